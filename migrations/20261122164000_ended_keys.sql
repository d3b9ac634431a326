-- When environments ceased to ship an API key that had ended long before. Null: they ship it.
alter table api_keys add column withdrawn_at timestamptz;

-- For whoever looks for those that are to be withdrawn: keys that never end are not in it.
create index api_keys_shipped_end on api_keys (least(expires_at, revoked_at))
    where withdrawn_at is null and coalesce(expires_at, revoked_at) is not null;
