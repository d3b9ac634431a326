-- Whether people who sign in by a password need a second factor to do anything.
alter table organizations add column require_second_factor boolean not null default false;
