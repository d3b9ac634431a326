-- What an organization says of itself, and of the sessions in it.
alter table organizations
    add column session_idle_seconds integer not null default 86400
        check (session_idle_seconds > 0),
    add column session_lifetime_seconds integer not null default 604800
        check (session_lifetime_seconds > 0),
    add column version bigint not null default 1,
    add column updated_at timestamptz not null default now(),
    add column changed_by text not null default 'burgee-server';

-- When a session ends, however much it is used. It was told when it began; an organization that
-- shortens the lives of sessions since ends it earlier.
create function end_of_session(session sessions, organization organizations)
    returns timestamptz language sql stable as
$$
    select least(
        session.expires_at,
        session.created_at + make_interval(secs => organization.session_lifetime_seconds)
    )
$$;

-- Whether a session still opens anything, as long as its member is let in.
create function session_is_live(session sessions, organization organizations)
    returns boolean language sql volatile as
$$
    select session.ended_at is null
       and end_of_session(session, organization) > clock_timestamp()
       and session.last_seen_at
           > clock_timestamp() - make_interval(secs => organization.session_idle_seconds)
$$;
