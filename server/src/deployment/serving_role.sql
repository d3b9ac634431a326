-- What the role that servers work with needs, and no more: above all, no way to change what
-- the audit log holds. Its name is in burgee.serving_role.
do $$
declare
    serving constant text := current_setting('burgee.serving_role');
    here constant text := current_schema();
    found record;
    rights text;
begin
    if not exists (select from pg_roles where rolname = serving) then
        raise exception 'there is no role %: create it first', serving;
    end if;
    execute format('grant usage on schema %I to %I', here, serving);
    for found in select tablename, tableowner from pg_tables where schemaname = here loop
        if pg_has_role(serving, found.tableowner, 'member') then
            raise exception 'the role % is, or may become, the owner of the tables, and would '
                'have all rights on the audit log: give another', serving;
        end if;
        rights := case found.tablename
            -- Ids, transactions and times are Postgres's to say, and blanking is for audit_erase.
            when 'audit_entries' then
                'select, insert (organization_id, project_id, environment_id, change_set_id, '
                'actor, method, request_id, resource, part, reason, before, after, detail, '
                'address, user_agent, denied)'
            when 'audit_seals' then 'select, insert'
            when '_sqlx_migrations' then 'select'
            else 'select, insert, update, delete'
        end;
        execute format('revoke all on %I.%I from %I', here, found.tablename, serving);
        execute format('grant %s on %I.%I to %I', rights, here, found.tablename, serving);
    end loop;
end
$$
