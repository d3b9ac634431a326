//! API keys' rows.

use std::collections::BTreeMap;

use burgee_proto::admin::v1::ApiKey;
use burgee_proto::types::v1::AccessKey;
use prost::Message as _;
use sqlx::types::time::OffsetDateTime;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{KeyEntry, patterns, shipped};
use crate::change::Change;
use crate::error::Error;
use crate::stored::{Slot, Stored, time_of};

/// Reads keys of an organization, oldest first. Those that do not exist are
/// left out.
///
/// # Errors
/// Those of the database.
pub async fn read(
    connection: &mut PgConnection,
    organization: Uuid,
    ids: &[Uuid],
) -> Result<Vec<KeyEntry>, Error> {
    let rows = sqlx::query!(
        r#"select k.id, k.hash, k.dev, k.version, k.body, k.created_at, k.updated_at, k.changed_by,
                  k.withdrawn_at is not null as "withdrawn!",
                  (select u.last_used_at from api_key_uses u where u.api_key_id = k.id) as last_used_at,
                  array_remove(array_agg(e.id order by e.id), null) as "environments!: Vec<Uuid>",
                  array_remove(array_agg('projects/' || p.key || '/environments/' || e.key order by e.id),
                               null) as "names!: Vec<String>"
           from api_keys k
           left join api_key_environments o on o.api_key_id = k.id
           left join environments e on e.id = o.environment_id
           left join projects p on p.id = e.project_id
           where k.organization_id = $1 and k.id = any($2)
           group by k.id
           order by k.created_at, k.id"#,
        organization,
        ids,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let opens: BTreeMap<Uuid, String> =
                row.environments.into_iter().zip(row.names).collect();
            let mut environments: Vec<String> = opens.values().cloned().collect();
            environments.sort_unstable();
            let message = ApiKey {
                environments,
                dev: row.dev,
                ..ApiKey::decode(row.body.as_slice())?
            };
            let stored = Stored {
                id: row.id,
                environment: None,
                version: row.version,
                changed_by: row.changed_by,
                created_at: row.created_at,
                updated_at: row.updated_at,
                message,
            };
            Ok(KeyEntry {
                id: row.id,
                hash: hash_of(row.hash)?,
                last_used_at: row.last_used_at,
                key: Slot::read(stored),
                opened: opens.clone(),
                opens,
                withdrawn: row.withdrawn,
            })
        })
        .collect()
}

fn hash_of(bytes: Vec<u8>) -> Result<[u8; 32], Error> {
    let hash = <[u8; 32]>::try_from(bytes);
    hash.map_err(|_| Error::internal("a stored hash that is not 32 bytes long"))
}

/// Writes a key's rows. What rows of their own hold is left out of the body.
///
/// # Errors
/// Those of the database.
pub(super) async fn write(change: &mut Change, entry: &KeyEntry) -> Result<(), Error> {
    let key = entry.key.after.clone().unwrap_or_default();
    let instant = |field: &str, time: &Option<prost_types::Timestamp>| {
        time.as_ref().map(|time| time_of(field, time)).transpose()
    };
    let expires_at: Option<OffsetDateTime> = instant("expire_time", &key.expire_time)?;
    let revoked_at = instant("revoke_time", &key.revoke_time)?;
    let (organization, now) = (change.authorized.organization(), change.now());
    let actor = change.actor().to_owned();
    let kind = i16::try_from(key.kind).map_err(Error::internal)?;
    let dev = key.dev;
    let patterns = patterns::parse(&key)?;
    let body = ApiKey {
        environments: Vec::new(),
        dev: false,
        ..key
    };
    sqlx::query!(
        "insert into api_keys (id, organization_id, kind, hash, dev, version, body, expires_at,
                               revoked_at, created_at, updated_at, changed_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11)
         on conflict (id) do update
         set version = excluded.version, body = excluded.body, expires_at = excluded.expires_at,
             revoked_at = excluded.revoked_at, updated_at = excluded.updated_at,
             changed_by = excluded.changed_by",
        entry.id,
        organization,
        kind,
        entry.hash.as_slice(),
        dev,
        entry.key.version(),
        body.encode_to_vec(),
        expires_at,
        revoked_at,
        now,
        actor,
    )
    .execute(change.connection())
    .await?;
    write_environments(change.connection(), entry).await?;
    patterns::write(change.connection(), entry.id, &patterns).await
}

async fn write_environments(connection: &mut PgConnection, entry: &KeyEntry) -> Result<(), Error> {
    let opens: Vec<Uuid> = entry.opens.keys().copied().collect();
    sqlx::query!(
        "delete from api_key_environments where api_key_id = $1 and environment_id <> all($2)",
        entry.id,
        &opens,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "insert into api_key_environments (api_key_id, environment_id)
         select $1, o.environment_id from unnest($2::uuid[]) as o(environment_id)
         on conflict do nothing",
        entry.id,
        &opens,
    )
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// Looks up a key by the SHA-256 of its secret, as hops are told of it.
/// Whether it has ended is for the caller to see.
///
/// # Errors
/// Those of the database.
pub async fn look_up(pool: &PgPool, hash: &[u8; 32]) -> Result<Option<AccessKey>, Error> {
    let row = sqlx::query!(
        r#"select k.body,
                  array(select o.environment_id from api_key_environments o
                        where o.api_key_id = k.id order by 1) as "environments!: Vec<Uuid>"
           from api_keys k where k.hash = $1"#,
        hash.as_slice(),
    )
    .fetch_optional(pool)
    .await?;
    row.map(|row| {
        let key = ApiKey::decode(row.body.as_slice())?;
        Ok(shipped::access_key(&key, hash, row.environments.iter()))
    })
    .transpose()
}
