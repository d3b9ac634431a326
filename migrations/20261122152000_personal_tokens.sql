-- People have tokens too, and a token may be good for less than its owner may do.

-- Renamed before anything was released that reads it by its old name.
alter table service_account_tokens rename to tokens;
alter index service_account_tokens_account rename to tokens_account;

alter table tokens
    alter column service_account_id drop not null,
    add column member_id uuid references members on delete cascade,
    -- What it may be used for: names of permissions, and where, as in `role_bindings`. Null:
    -- all that its owner may do.
    add column permissions text[],
    add column project_id uuid references projects on delete cascade,
    add column environment_id uuid references environments on delete cascade,
    add constraint tokens_owner check (num_nonnulls(service_account_id, member_id) = 1),
    add constraint tokens_personal
        check (member_id is null or (expires_at is not null and permissions is not null)),
    add constraint tokens_place check (num_nonnulls(project_id, environment_id)
        <= case when permissions is null then 0 else 1 end);
create index tokens_member on tokens (member_id, created_at) where member_id is not null;
create index tokens_project on tokens (project_id) where project_id is not null;
create index tokens_environment on tokens (environment_id) where environment_id is not null;
