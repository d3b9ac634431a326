-- Relay keys whose environments follow patterns: what they open is in api_key_environments as of
-- any other key, and kept up as environments come and go.

create table api_key_patterns (
    api_key_id uuid not null references api_keys on delete cascade,
    -- The key of a project, and of an environment. Null: any.
    project text collate "C",
    environment text collate "C",
    constraint api_key_patterns_once unique nulls not distinct (api_key_id, project, environment)
);
