-- People, who sign in with a password, and what they are in each organization.

create table people (
    id uuid primary key,
    -- In lower case.
    email text collate "C" not null,
    -- Argon2id, in the PHC string format.
    password_hash text not null,
    created_at timestamptz not null default now(),
    constraint people_email unique (email)
);

-- A person in one organization: `members/{id}`.
create table members (
    id uuid primary key,
    organization_id uuid not null references organizations,
    person_id uuid not null references people,
    display_name text not null,
    deactivated boolean not null default false,
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    changed_by text not null,
    constraint members_person unique (organization_id, person_id)
);
create index members_list on members (organization_id, created_at, id);
create index members_of_person on members (person_id);

-- A person who is signed in to one organization.
create table sessions (
    id uuid primary key,
    member_id uuid not null references members on delete cascade,
    -- SHA-256 of the whole secret.
    hash bytea not null unique check (length(hash) = 32),
    -- From where, for people to recognise it by.
    address text not null,
    user_agent text not null,
    created_at timestamptz not null default clock_timestamp(),
    -- Written a while later, for many at once.
    last_seen_at timestamptz not null default clock_timestamp(),
    -- It ends then, however much it is used.
    expires_at timestamptz not null,
    ended_at timestamptz
);
create index sessions_member on sessions (member_id, created_at);
create index sessions_expiry on sessions (expires_at);

-- One-time links that make somebody a member.
create table invitations (
    id uuid primary key,
    organization_id uuid not null references organizations,
    -- In lower case. Null: whoever has the link says.
    email text collate "C",
    hash bytea not null unique check (length(hash) = 32),
    -- The key of a role, and where it will be held, as in `role_bindings`.
    role text collate "C" not null,
    project_id uuid references projects on delete cascade,
    environment_id uuid references environments on delete cascade,
    -- Good only as long as the organization has no member.
    first_owner boolean not null default false,
    created_at timestamptz not null default clock_timestamp(),
    created_by text not null,
    expires_at timestamptz not null,
    accepted_at timestamptz,
    revoked_at timestamptz,
    check (project_id is null or environment_id is null)
);
create index invitations_list on invitations (organization_id, created_at, id);
create index invitations_project on invitations (project_id) where project_id is not null;
create index invitations_environment on invitations (environment_id)
    where environment_id is not null;

-- One-time links by which a person sets a new password.
create table password_resets (
    id uuid primary key,
    member_id uuid not null references members on delete cascade,
    hash bytea not null unique check (length(hash) = 32),
    created_at timestamptz not null default clock_timestamp(),
    created_by text not null,
    expires_at timestamptz not null,
    ended_at timestamptz
);
create index password_resets_member on password_resets (member_id);

-- Who is made to wait before another password is tried.
create table password_attempts (
    -- An account (as a hash: it may be nobody's) or an address.
    subject text collate "C" primary key,
    failures integer not null,
    failed_at timestamptz not null,
    next_at timestamptz not null
);

alter table role_bindings
    alter column service_account_id drop not null,
    add column member_id uuid references members on delete cascade,
    add constraint role_bindings_subject check (num_nonnulls(service_account_id, member_id) = 1),
    drop constraint role_bindings_once,
    add constraint role_bindings_once unique nulls not distinct
        (service_account_id, member_id, role, project_id, environment_id);
create index role_bindings_member on role_bindings (member_id) where member_id is not null;
