-- Signing in with an organization's own identity provider (OpenID Connect).

create table identity_providers (
    id uuid primary key,
    organization_id uuid not null references organizations,
    key text collate "C" not null,
    -- It lets nobody in.
    disabled boolean not null,
    version bigint not null,
    -- burgee.admin.v1.IdentityProvider, without its secret.
    body bytea not null,
    -- What it knows Burgee by. Null: it asks for none.
    client_secret sealed,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    changed_by text not null,
    constraint identity_providers_key unique (organization_id, key)
);

-- Whom an identity provider calls what.
create table identities (
    id uuid primary key,
    identity_provider_id uuid not null references identity_providers on delete cascade,
    member_id uuid not null references members on delete cascade,
    issuer text collate "C" not null,
    subject text collate "C" not null,
    created_at timestamptz not null default clock_timestamp(),
    last_used_at timestamptz not null default clock_timestamp(),
    constraint identities_subject unique (identity_provider_id, issuer, subject),
    -- A second subject with the same e-mail address is somebody else.
    constraint identities_member unique (identity_provider_id, issuer, member_id)
);
create index identities_of_member on identities (member_id);

-- Sign-ins that were begun, until they are completed or ten minutes have passed.
create table sign_in_flows (
    -- SHA-256 of the secret that the browser keeps.
    hash bytea primary key check (length(hash) = 32),
    identity_provider_id uuid not null references identity_providers on delete cascade,
    -- From where, so that one address cannot begin all that there is room for.
    address text not null,
    expires_at timestamptz not null
);
create index sign_in_flows_provider on sign_in_flows (identity_provider_id, expires_at);
create index sign_in_flows_address on sign_in_flows (address, expires_at);
create index sign_in_flows_expiry on sign_in_flows (expires_at);

alter table people
    -- Whose identity provider brought them. They are nobody in any other organization, and
    -- their e-mail address is what that provider says.
    add column organization_id uuid references organizations,
    alter column password_hash drop not null,
    add constraint people_known_by check ((organization_id is null) = (password_hash is not null)),
    drop constraint people_email,
    add constraint people_email unique nulls not distinct (email, organization_id);

alter table sessions
    -- By which identity it was made. Null: with a password.
    add column identity_id uuid references identities on delete cascade;
create index sessions_identity on sessions (identity_id) where identity_id is not null;

alter table role_bindings
    -- Whose groups gave it, and take it away again. Null: somebody gave it by hand.
    add column identity_provider_id uuid references identity_providers,
    add constraint role_bindings_mapped
        check (identity_provider_id is null or member_id is not null),
    drop constraint role_bindings_once,
    add constraint role_bindings_once unique nulls not distinct
        (service_account_id, member_id, group_id, role, project_id, environment_id,
         identity_provider_id);
create index role_bindings_provider on role_bindings (identity_provider_id)
    where identity_provider_id is not null;
