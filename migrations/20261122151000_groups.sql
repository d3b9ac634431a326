-- Groups of members, which have roles together.

create table groups (
    id uuid primary key,
    organization_id uuid not null references organizations,
    key text collate "C" not null,
    version bigint not null,
    -- burgee.admin.v1.Group.
    body bytea not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    changed_by text not null,
    constraint groups_key unique (organization_id, key)
);

-- Who is in which group.
create table group_members (
    group_id uuid not null references groups on delete cascade,
    member_id uuid not null references members on delete cascade,
    primary key (group_id, member_id)
);
create index group_members_member on group_members (member_id);

alter table role_bindings
    add column group_id uuid references groups on delete cascade,
    drop constraint role_bindings_subject,
    add constraint role_bindings_subject
        check (num_nonnulls(service_account_id, member_id, group_id) = 1),
    drop constraint role_bindings_once,
    add constraint role_bindings_once unique nulls not distinct
        (service_account_id, member_id, group_id, role, project_id, environment_id);
create index role_bindings_group on role_bindings (group_id) where group_id is not null;
