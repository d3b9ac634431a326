-- Everything a change leaves behind, in one statement: changed items, heads,
-- history, the change set, audit rows, the outbox row, the idempotency record,
-- and configurations that no statement before this one had to see.
with configs as (
    update flag_configs c
    set version = n.version, enabled = n.enabled, body = n.body,
        updated_at = $31, changed_by = $15
    from unnest($32::uuid[], $33::uuid[], $34::bigint[], $35::boolean[], $36::bytea[])
        as n(environment_id, flag_id, version, enabled, body)
    where c.environment_id = n.environment_id and c.flag_id = n.flag_id
),
items as (
    insert into environment_items (environment_id, kind, key, revision, level, body, removed_at)
    select i.environment_id, i.kind, i.key, i.revision, $6, i.body,
           case when i.body is null then clock_timestamp() end
    from unnest($1::uuid[], $2::smallint[], $3::text[], $4::bigint[], $5::bytea[])
        as i(environment_id, kind, key, revision, body)
    on conflict (environment_id, kind, key) do update
    set revision = excluded.revision, level = excluded.level,
        body = excluded.body, removed_at = excluded.removed_at
),
heads as (
    update environment_heads h
    set revision = n.revision, item_count = n.item_count, item_bytes = n.item_bytes,
        committed_at = clock_timestamp()
    from unnest($7::uuid[], $8::bigint[], $9::integer[], $10::bigint[])
        as n(environment_id, revision, item_count, item_bytes)
    where h.environment_id = n.environment_id
),
history as (
    insert into environment_changes (environment_id, revision, change_set_id)
    select n.environment_id, n.revision, $11
    from unnest($7::uuid[], $8::bigint[]) as n(environment_id, revision)
),
change_set as (
    insert into change_sets (id, organization_id, project_id, state, author, body, applied_at)
    select $11, $12, $13, $14, $15, $16, clock_timestamp()
    where $11::uuid is not null
),
audit as (
    insert into audit_entries (organization_id, project_id, environment_id, change_set_id, actor,
                               method, request_id, resource, part, reason, before, after, detail,
                               address, user_agent)
    select $12, $13, a.environment_id, $11, $15, $17, $18, a.resource, a.part, $19,
           a.before::json, a.after::json, a.detail::json, $37, $38
    from unnest($20::uuid[], $21::text[], $22::text[], $23::text[], $24::text[], $25::text[])
        as a(environment_id, resource, part, before, after, detail)
),
event as (
    insert into outbox (organization_id, event, change_set_id, body)
    select $12, $26, $11, $27::text::json
    where $26::text is not null
)
insert into idempotency_records (principal, method, request_id, body_hash, response)
select $30, $17, $18, $28, $29
where $28::bytea is not null
-- One that has had its 24 hours may be there still.
on conflict (principal, method, request_id) do update
set body_hash = excluded.body_hash, response = excluded.response, created_at = clock_timestamp()
where idempotency_records.created_at <= now() - interval '24 hours'
