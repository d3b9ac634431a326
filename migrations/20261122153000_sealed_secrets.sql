-- Secrets that the database gives back, such as the seeds of second factors: encrypted with a key
-- that the database does not have. The program knows every column of this type, and finds in the
-- first 17 bytes the version of the form and the id of the key.
create domain sealed as bytea constraint sealed_form check (length(value) >= 57);
