-- What people prove beside their password: codes that an app makes from a seed, or, without the
-- app, recovery codes. It belongs to the person, in all of their organizations.
create table second_factors (
    person_id uuid primary key references people on delete cascade,
    seed sealed not null,
    -- Null: nobody has shown yet that an app has the seed, and no code is asked for.
    confirmed_at timestamptz,
    -- Of the last code that was accepted, in steps of 30 s since 1970: none is accepted twice.
    last_step bigint not null default 0,
    created_at timestamptz not null default clock_timestamp()
);

create table recovery_codes (
    person_id uuid not null references second_factors on delete cascade,
    -- SHA-256 of the person and the code.
    hash bytea not null check (length(hash) = 32),
    used_at timestamptz,
    primary key (person_id, hash)
);

-- Whether the person proved a second factor to begin it.
alter table sessions add column second_factor boolean not null default false;
