-- When API keys were last used: apart from the keys, whose rows are locked by those who change
-- them. Written a while later, for many at once.
create table api_key_uses (
    api_key_id uuid primary key references api_keys on delete cascade,
    last_used_at timestamptz not null
);
