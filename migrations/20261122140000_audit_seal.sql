-- The audit log can be relied on: it tells from where, and what was refused; nobody
-- changes it; and it is sealed, so that whoever changes it all the same is found out.

alter table audit_entries
    -- From where. Empty: the server itself, or an entry of before.
    add column address text not null default '',
    add column user_agent text not null default '',
    -- How many attempts were refused. 0: it was done.
    add column denied integer not null default 0 check (denied >= 0),
    -- The parts that were blanked for a person's privacy: of before, after, detail, reason,
    -- address, user_agent.
    add column erased text[] not null default '{}';

-- The order in which entries are sealed.
create index audit_entries_transaction on audit_entries (transaction_id, id);

-- One seal an entry. They refer to nothing: a reference would be checked under a lock.
create table audit_seals (
    position bigint primary key check (position >= 1),
    audit_id bigint not null,
    -- SHA-256 of what is never blanked, and then of each part that can be, in the order above.
    digests bytea not null,
    -- With which the parts that can be blanked are digested, in the same order: an address
    -- that was blanked must not be found again by trying all addresses. Null: blanked.
    salts bytea[] not null,
    -- Over the previous seal's, this position and the digests.
    mac bytea not null check (length(mac) = 32),
    -- Of the key that it was made with. Empty: none was configured.
    key_id text not null,
    sealed_at timestamptz not null default clock_timestamp(),
    constraint audit_seals_once unique (audit_id)
);

-- Append-only, in three layers. The role that the server works with has no right to update,
-- delete or truncate (`burgee-server migrate --serving-role`). Triggers refuse it to everybody
-- else, the owner of the tables included, so that it takes intent. Who has that intent and
-- the rights of an owner can switch triggers off: the seals show it.

create function audit_refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'the audit log is append-only: % of % is refused', lower(tg_op), tg_table_name
        using errcode = 'insufficient_privilege';
end
$$;

-- The one change that entries take: within audit_erase, parts become blank, and are named.
create function audit_allow_erasure() returns trigger language plpgsql as $$
declare
    erasable constant text[] :=
        array['before', 'after', 'detail', 'reason', 'address', 'user_agent', 'erased'];
begin
    if current_setting('burgee.audit_erasure', true) is distinct from 'on'
        or to_jsonb(new) - erasable is distinct from to_jsonb(old) - erasable
        or not new.erased @> old.erased
        -- (In parentheses, for a bare `then` would end the condition.)
        or new.before::text is distinct from
            (case when not 'before' = any(new.erased) then old.before::text end)
        or new.after::text is distinct from
            (case when not 'after' = any(new.erased) then old.after::text end)
        or new.detail::text is distinct from
            (case when not 'detail' = any(new.erased) then old.detail::text end)
        or new.reason <> (case when 'reason' = any(new.erased) then '' else old.reason end)
        or new.address <> (case when 'address' = any(new.erased) then '' else old.address end)
        or new.user_agent <>
            (case when 'user_agent' = any(new.erased) then '' else old.user_agent end)
    then
        raise exception 'the audit log is append-only: update of % is refused', tg_table_name
            using errcode = 'insufficient_privilege';
    end if;
    return new;
end
$$;

-- The one change that seals take: within audit_erase, salts of blanked parts are forgotten.
create function audit_allow_forgetting() returns trigger language plpgsql as $$
begin
    if current_setting('burgee.audit_erasure', true) is distinct from 'on'
        or to_jsonb(new) - 'salts' is distinct from to_jsonb(old) - 'salts'
        or cardinality(new.salts) <> cardinality(old.salts)
        or exists (
            select from unnest(old.salts, new.salts) as salt(was, becomes)
            where becomes is not null and becomes is distinct from was)
    then
        raise exception 'the audit log is append-only: update of % is refused', tg_table_name
            using errcode = 'insufficient_privilege';
    end if;
    return new;
end
$$;

create trigger audit_entries_update before update on audit_entries
    for each row execute function audit_allow_erasure();
create trigger audit_entries_delete before delete or truncate on audit_entries
    for each statement execute function audit_refuse_change();
create trigger audit_seals_update before update on audit_seals
    for each row execute function audit_allow_forgetting();
create trigger audit_seals_delete before delete or truncate on audit_seals
    for each statement execute function audit_refuse_change();

-- Whatever session_replication_role says.
alter table audit_entries
    enable always trigger audit_entries_update,
    enable always trigger audit_entries_delete;
alter table audit_seals
    enable always trigger audit_seals_update,
    enable always trigger audit_seals_delete;

-- Blanks parts of entries, forgets the salts of their digests, and tells so in an entry of its
-- own. It runs with the rights of the migration role, so that whoever may call it needs none
-- on the tables; nobody else may until that role grants it.
create function audit_erase(
    organization uuid, subject text, why text, parts text[], entries bigint[]
) returns void language plpgsql security definer as $$
declare
    erased bigint;
    sealed bigint;
begin
    perform set_config('burgee.audit_erasure', 'on', true);
    update audit_entries e
    set before = case when not 'before' = any(parts) then e.before end,
        after = case when not 'after' = any(parts) then e.after end,
        detail = case when not 'detail' = any(parts) then e.detail end,
        reason = case when 'reason' = any(parts) then '' else e.reason end,
        address = case when 'address' = any(parts) then '' else e.address end,
        user_agent = case when 'user_agent' = any(parts) then '' else e.user_agent end,
        erased = array(select distinct part from unnest(e.erased || parts) as part order by part)
    where e.organization_id = organization and e.id = any(entries)
      -- What was erased stays told.
      and e.method <> 'audit-erase';
    get diagnostics erased = row_count;
    update audit_seals s
    set salts = array(
        select case when part.name = any(parts) then null else s.salts[part.place] end
        from unnest(array['before', 'after', 'detail', 'reason', 'address', 'user_agent'])
            with ordinality as part(name, place)
        order by part.place)
    where s.audit_id = any(entries);
    -- What has no seal yet would be sealed blank, and nothing would tell what was there.
    get diagnostics sealed = row_count;
    if erased <> cardinality(entries) or sealed <> cardinality(entries) then
        raise exception 'only sealed entries of the organization can be blanked';
    end if;
    perform set_config('burgee.audit_erasure', '', true);
    insert into audit_entries
        (organization_id, actor, method, request_id, resource, part, reason, detail)
    values (organization, 'burgee-server', 'audit-erase', '', subject, '', why,
            json_build_object('parts', parts, 'entries', entries));
end
$$;
revoke execute on function audit_erase(uuid, text, text, text[], bigint[]) from public;

-- With somebody else's rights it must not find somebody else's tables.
do $$
begin
    execute format('alter function audit_erase set search_path = %I, pg_temp', current_schema());
end
$$;
