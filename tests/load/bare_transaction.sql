-- All that a change writes, in one statement.
-- $1 environment, $2 revision, $3 which flag, $4 change set, $5 a body
with config as (
    update bare.flag_configs set enabled = not enabled, version = version + 1, updated_at = now()
    where environment_id = $1
      and flag_id = (select flag_id from bare.flag_configs where environment_id = $1
                     order by flag_id offset $3 limit 1)
), item as (
    update bare.environment_items set revision = $2
    where environment_id = $1 and kind = 1 and key = 'flag-' || $3::text
), head as (
    update bare.environment_heads set revision = $2, committed_at = clock_timestamp()
    where environment_id = $1
), change as (
    insert into bare.environment_changes (environment_id, revision, change_set_id)
    values ($1, $2, $4)
), change_set as (
    insert into bare.change_sets (id, organization_id, project_id, state, author, body, applied_at)
    values ($4, $1, $1, 5, 'serviceAccounts/admin', $5, clock_timestamp())
), audit as (
    insert into bare.audit_entries (organization_id, project_id, environment_id, change_set_id,
        actor, method, request_id, resource, part, reason, before, after)
    values ($1, $1, $1, $4, 'serviceAccounts/admin',
        'burgee.admin.v1.FlagService/SetFlagEnabled', $4::text,
        'projects/shop/environments/production/flags/banner', 'enabled', '', 'false', 'true')
), told as (
    insert into bare.outbox (organization_id, event, change_set_id, body)
    values ($1, 'change_set.applied', $4, json_build_object('body', encode($5, 'base64')))
)
insert into bare.idempotency_records (principal, method, request_id, body_hash, response)
values ('serviceAccounts/admin', 'burgee.admin.v1.FlagService/SetFlagEnabled', $4::text,
    sha256($5), $5)
