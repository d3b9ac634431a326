-- A page of a project's flags, by key or by a time and then the key.
with found as (
    select f.key, case when $10 then f.created_at else f.updated_at end as at
    from flags f
    where f.project_id = $1
      and (f.archived_at is not null) = $2
      and ($3::text is null or f.key ilike $3 or f.display_name ilike $3 or f.description ilike $3)
      and f.tags @> $4
      and ($5::smallint is null or f.type = $5)
      and ($6::text is null or f.owner = $6)
      and ($7::uuid is null or exists (
          select from flag_configs c where c.flag_id = f.id and c.environment_id = $7 and c.enabled))
      and ($8::uuid is null or exists (
          select from flag_configs c where c.flag_id = f.id and c.environment_id = $8 and not c.enabled))
)
select key, at as "at!"
from found
where $12::text is null
   or (not $9 and not $11 and key > $12)
   or (not $9 and $11 and key < $12)
   or ($9 and not $11 and (at, key) > ($13::timestamptz, $12))
   or ($9 and $11 and (at, key) < ($13::timestamptz, $12))
order by
    case when $9 and not $11 then at end,
    case when $9 and $11 then at end desc,
    case when not $11 then key end,
    case when $11 then key end desc
limit $14
