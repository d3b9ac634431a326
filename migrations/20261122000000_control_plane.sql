-- The control plane. Keys are compared by their bytes (collate "C").
-- Rows that hold a protobuf message keep it in `body`; columns beside it are
-- what queries ask for. History (change sets, audit, outbox) refers to nothing:
-- it outlives what it tells of.

-- Which history this database tells. A restored backup begins a new epoch.
create table deployment (
    only_row boolean primary key default true check (only_row),
    -- Milliseconds since the Unix epoch on this database's clock.
    epoch bigint not null,
    -- Of the Postgres cluster that the epoch was made on.
    system_identifier bigint not null,
    timeline text not null
);

create table organizations (
    id uuid primary key,
    key text collate "C" not null unique,
    display_name text not null,
    created_at timestamptz not null default now()
);

create table service_accounts (
    id uuid primary key,
    organization_id uuid not null references organizations,
    key text collate "C" not null,
    role text not null,
    created_at timestamptz not null default now(),
    unique (organization_id, key)
);

create table service_account_tokens (
    id uuid primary key,
    service_account_id uuid not null references service_accounts on delete cascade,
    -- SHA-256 of the whole secret.
    hash bytea not null unique check (length(hash) = 32),
    secret_prefix text not null,
    -- Made by `burgee-server dev`, and refused by `serve`.
    dev boolean not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    revoked_at timestamptz
);

create table projects (
    id uuid primary key,
    organization_id uuid not null references organizations,
    key text collate "C" not null,
    version bigint not null,
    body bytea not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    changed_by text not null,
    constraint projects_key unique (organization_id, key)
);

create table environments (
    id uuid primary key,
    project_id uuid not null references projects,
    key text collate "C" not null,
    version bigint not null,
    body bytea not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    changed_by text not null,
    constraint environments_key unique (project_id, key)
);

-- Where each environment stands. Locked first by every change, in ascending
-- order; a revision is taken nowhere else.
create table environment_heads (
    environment_id uuid primary key references environments on delete cascade,
    revision bigint not null check (revision >= 1),
    -- The newest removed item that was purged: below it no difference is known.
    floor bigint not null default 0,
    -- Of live items.
    item_count integer not null default 0,
    item_bytes bigint not null default 0,
    committed_at timestamptz not null default now()
)
-- Updated by every change: room for new versions beside the old ones.
with (fillfactor = 25);

-- What an environment ships, as it is sent. A removed item stays without a
-- body for a while, so that receivers learn of its removal.
create table environment_items (
    environment_id uuid not null references environments on delete cascade,
    kind smallint not null,
    key text collate "C" not null,
    revision bigint not null,
    level smallint not null,
    body bytea,
    removed_at timestamptz,
    primary key (environment_id, kind, key),
    check ((body is null) = (removed_at is not null))
);
create index environment_items_since on environment_items (environment_id, revision);
create index environment_items_removed on environment_items (removed_at) where removed_at is not null;

create table environment_changes (
    environment_id uuid not null,
    revision bigint not null,
    -- Null for API keys only.
    change_set_id uuid,
    committed_at timestamptz not null default clock_timestamp(),
    primary key (environment_id, revision)
);

create table flags (
    id uuid primary key,
    project_id uuid not null references projects,
    key text collate "C" not null,
    type smallint not null,
    display_name text not null,
    description text not null,
    tags text[] not null,
    owner text not null,
    version bigint not null,
    body bytea not null,
    archived_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    changed_by text not null
);
-- Keys that differ by case alone are one key too many.
create unique index flags_key on flags (project_id, lower(key));
create index flags_by_key on flags (project_id, key);

create table flag_configs (
    environment_id uuid not null references environments on delete cascade,
    flag_id uuid not null references flags on delete cascade,
    enabled boolean not null,
    -- Keys of the flags and segments that the configuration refers to.
    prerequisites text[] not null,
    segments text[] not null,
    -- Of these, those that rules name which are not disabled.
    shipped_segments text[] not null,
    version bigint not null,
    body bytea not null,
    updated_at timestamptz not null default now(),
    changed_by text not null,
    primary key (environment_id, flag_id)
);
create index flag_configs_flag on flag_configs (flag_id);
create index flag_configs_prerequisites on flag_configs (environment_id) where prerequisites <> '{}';
create index flag_configs_segments on flag_configs (environment_id) where segments <> '{}';
create index flag_configs_shipped_segments on flag_configs (environment_id) where shipped_segments <> '{}';

create table segments (
    id uuid primary key,
    project_id uuid not null references projects,
    key text collate "C" not null,
    version bigint not null,
    body bytea not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    changed_by text not null
);
create unique index segments_key on segments (project_id, lower(key));
create index segments_by_key on segments (project_id, key);

create table segment_configs (
    environment_id uuid not null references environments on delete cascade,
    segment_id uuid not null references segments on delete cascade,
    included_count integer not null,
    excluded_count integer not null,
    version bigint not null,
    body bytea not null,
    updated_at timestamptz not null default now(),
    changed_by text not null,
    primary key (environment_id, segment_id)
);
create index segment_configs_segment on segment_configs (segment_id);

create table segment_keys (
    environment_id uuid not null,
    segment_id uuid not null,
    excluded boolean not null,
    key text collate "C" not null,
    -- The shipped part that holds it: the lowest byte of the key's hash.
    part smallint not null,
    primary key (environment_id, segment_id, excluded, key),
    foreign key (environment_id, segment_id) references segment_configs on delete cascade
);
create index segment_keys_part on segment_keys (environment_id, segment_id, part);

create table api_keys (
    id uuid primary key,
    organization_id uuid not null references organizations,
    kind smallint not null,
    -- SHA-256 of the whole secret.
    hash bytea not null unique check (length(hash) = 32),
    -- Made by `burgee-server dev`, and refused by `serve`.
    dev boolean not null,
    version bigint not null,
    body bytea not null,
    expires_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    changed_by text not null
);

create table api_key_environments (
    api_key_id uuid not null references api_keys on delete cascade,
    environment_id uuid not null references environments on delete cascade,
    primary key (api_key_id, environment_id)
);
create index api_key_environments_environment on api_key_environments (environment_id);

create table change_sets (
    id uuid primary key,
    organization_id uuid not null,
    -- Null for what stands above projects.
    project_id uuid,
    state smallint not null,
    author text not null,
    -- burgee.admin.v1.ChangeSet.
    body bytea not null,
    created_at timestamptz not null default clock_timestamp(),
    applied_at timestamptz
);
create index change_sets_project on change_sets (project_id, created_at);

create table audit_entries (
    id bigint generated always as identity primary key,
    transaction_id xid8 not null default pg_current_xact_id(),
    organization_id uuid not null,
    project_id uuid,
    environment_id uuid,
    change_set_id uuid,
    actor text not null,
    -- How: the RPC's full name.
    method text not null,
    request_id text not null,
    resource text not null,
    -- Which part of the resource: the field of Operation.part.
    part text not null,
    reason text not null,
    -- ProtoJSON, to the letter.
    before json,
    after json,
    -- What else the operation says: the rule, the keys added and removed.
    detail json,
    created_at timestamptz not null default clock_timestamp()
);
create index audit_entries_resource on audit_entries (organization_id, resource, id);

create table outbox (
    id bigint generated always as identity primary key,
    organization_id uuid not null,
    event text not null,
    change_set_id uuid,
    -- ProtoJSON of what happened.
    body json not null,
    created_at timestamptz not null default clock_timestamp()
);

-- Answers to mutations that named a request id, for 24 hours.
create table idempotency_records (
    principal text not null,
    method text not null,
    request_id text collate "C" not null,
    -- SHA-256 of the request.
    body_hash bytea not null,
    response bytea not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (principal, method, request_id)
);
create index idempotency_records_age on idempotency_records (created_at);
