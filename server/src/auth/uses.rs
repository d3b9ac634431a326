//! Which credentials were used: tokens and sessions, as they are recognised, and API keys, as the
//! hub tells. A use is not worth a write of its own: they are written down together, now and then.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use burgee_hub::Hub;
use sqlx::PgPool;
use sqlx::types::time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::error::Error;

/// How often they are written down.
const INTERVAL: Duration = Duration::from_secs(10);
/// The most tokens and sessions that are remembered between two writes; of others it is not known.
const USES_MAX: usize = 10_000;
/// How many one statement writes, so that none takes long.
const ROWS_MAX: usize = 10_000;

/// A credential by its hash, and when it was last used.
type Use = ([u8; 32], OffsetDateTime);

/// The credentials that were used since the last write. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Uses(Arc<Mutex<HashMap<[u8; 32], OffsetDateTime>>>);

impl Uses {
    /// A credential was used.
    pub fn note(&self, hash: [u8; 32]) {
        let mut uses = self.held();
        if uses.len() < USES_MAX || uses.contains_key(&hash) {
            uses.insert(hash, OffsetDateTime::now_utc());
        }
    }

    /// Writes them down now and then, and once more at the end.
    pub async fn run(self, hub: Hub, pool: PgPool, stop: CancellationToken) {
        let mut stopped = false;
        while !stopped {
            let pause = tokio::time::sleep(INTERVAL);
            stopped = stop.run_until_cancelled(pause).await.is_none();
            let told = hub.take_uses().into_iter();
            self.remember(told.map(|told| (told.hash, told.last_used_at.into())));
            self.write(&pool).await;
        }
    }

    /// Writes them down. What could not be written is kept for the next time.
    pub async fn write(&self, pool: &PgPool) {
        let uses: Vec<Use> = std::mem::take(&mut *self.held()).into_iter().collect();
        for uses in uses.chunks(ROWS_MAX) {
            match write(pool, uses).await {
                Ok(held) => self.remember(held.into_iter()),
                Err(error) => {
                    tracing::warn!(?error, "could not write down which credentials were used");
                    self.remember(uses.iter().copied());
                }
            }
        }
    }

    fn remember(&self, told: impl Iterator<Item = Use>) {
        let mut uses = self.held();
        for (hash, at) in told {
            let last = uses.entry(hash).or_insert(at);
            *last = at.max(*last);
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<[u8; 32], OffsetDateTime>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each hash is of one kind of credential. Gives those whose rows somebody else holds: whoever
/// ends many at once locks them in an order of their own, and so does another replica. Nobody is
/// waited for with rows in hand, so nobody waits in a circle.
async fn write(pool: &PgPool, uses: &[Use]) -> Result<Vec<Use>, Error> {
    let hashes: Vec<Vec<u8>> = uses.iter().map(|(hash, _)| hash.to_vec()).collect();
    let times: Vec<OffsetDateTime> = uses.iter().map(|(_, at)| *at).collect();
    let tokens = sqlx::query_scalar!(
        r#"with used as (
               select t.id, t.hash, u.at
               from unnest($1::bytea[], $2::timestamptz[]) as u(hash, at)
               join tokens t on t.hash = u.hash
               where t.last_used_at is null or t.last_used_at < u.at
           ),
           free as (
               select id from tokens where id = any(array(select id from used))
               for no key update skip locked
           ),
           written as (
               update tokens t set last_used_at = greatest(t.last_used_at, used.at)
               from free join used using (id) where t.id = free.id
           )
           select hash from used where id not in (select id from free)"#,
        &hashes,
        &times,
    )
    .fetch_all(pool)
    .await?;
    let sessions = sqlx::query_scalar!(
        r#"with used as (
               select s.id, s.hash, u.at
               from unnest($1::bytea[], $2::timestamptz[]) as u(hash, at)
               join sessions s on s.hash = u.hash
               where s.last_seen_at < u.at
           ),
           free as (
               select id from sessions where id = any(array(select id from used))
               for no key update skip locked
           ),
           written as (
               update sessions s set last_seen_at = greatest(s.last_seen_at, used.at)
               from free join used using (id) where s.id = free.id
           )
           select hash from used where id not in (select id from free)"#,
        &hashes,
        &times,
    )
    .fetch_all(pool)
    .await?;
    // Nobody else locks these. In order, so that replicas wait for each other in no circle.
    sqlx::query!(
        "insert into api_key_uses (api_key_id, last_used_at)
         select k.id, used.at
         from unnest($1::bytea[], $2::timestamptz[]) as used(hash, at)
         join api_keys k on k.hash = used.hash
         order by k.id
         on conflict (api_key_id) do update set last_used_at = excluded.last_used_at
         where api_key_uses.last_used_at < excluded.last_used_at",
        &hashes,
        &times,
    )
    .execute(pool)
    .await?;
    let held: HashSet<Vec<u8>> = tokens.into_iter().chain(sessions).collect();
    let is_held = |(hash, _): &&Use| held.contains(hash.as_slice());
    Ok(uses.iter().filter(is_held).copied().collect())
}
