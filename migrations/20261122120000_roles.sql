-- Service accounts that people manage, and who has which role where. Roles that every organization has are not stored.

-- Roles that an organization made.
create table roles (
    id uuid primary key,
    organization_id uuid not null references organizations,
    key text collate "C" not null,
    -- Names of permissions, as in `body`.
    permissions text[] not null,
    version bigint not null,
    -- burgee.admin.v1.Role.
    body bytea not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    changed_by text not null,
    constraint roles_key unique (organization_id, key)
);

-- A role, and where it is held: in the organization, or in one project or
-- environment, with which the binding ends.
create table role_bindings (
    id uuid primary key,
    organization_id uuid not null references organizations,
    service_account_id uuid not null references service_accounts on delete cascade,
    -- The key of a role.
    role text collate "C" not null,
    project_id uuid references projects on delete cascade,
    environment_id uuid references environments on delete cascade,
    created_at timestamptz not null default now(),
    created_by text not null,
    check (project_id is null or environment_id is null),
    constraint role_bindings_once unique nulls not distinct
        (service_account_id, role, project_id, environment_id)
);
create index role_bindings_role on role_bindings (organization_id, role);
create index role_bindings_project on role_bindings (project_id) where project_id is not null;
create index role_bindings_environment on role_bindings (environment_id)
    where environment_id is not null;

insert into role_bindings (id, organization_id, service_account_id, role, created_by)
select gen_random_uuid(), organization_id, id, role, 'burgee-server' from service_accounts;

-- Replaced by the bindings before anything was released that reads it.
alter table service_accounts drop column role;

alter table service_accounts
    -- burgee.admin.v1.ServiceAccount.
    add column body bytea not null default '',
    add column disabled boolean not null default false,
    add column version bigint not null default 1,
    add column updated_at timestamptz not null default now(),
    add column changed_by text not null default 'burgee-server',
    drop constraint service_accounts_organization_id_key_key,
    add constraint service_accounts_key unique (organization_id, key);

-- The key alone: field 4, of less than 64 bytes.
update service_accounts
set body = '\x22'::bytea || set_byte('\x00'::bytea, 0, length(key)) || convert_to(key, 'UTF8');

alter table service_account_tokens
    add column display_name text not null default '',
    add column creator text not null default 'burgee-server',
    -- Written a while later, for many at once.
    add column last_used_at timestamptz;
create index service_account_tokens_account
    on service_account_tokens (service_account_id, created_at);
