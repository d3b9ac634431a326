//! Which tokens and sessions were used. A use is not worth a write of its own: they are written down
//! together, now and then.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::PgPool;
use sqlx::types::time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::error::Error;

/// How often they are written down.
const INTERVAL: Duration = Duration::from_secs(10);
/// The most that are remembered between two writes; of others it is not known.
const USES_MAX: usize = 10_000;

/// The credentials that were used since the last write, by their hashes. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Uses(Arc<Mutex<HashMap<[u8; 32], OffsetDateTime>>>);

impl Uses {
    /// A credential was used.
    pub(super) fn note(&self, hash: [u8; 32]) {
        let mut uses = self.held();
        if uses.len() < USES_MAX || uses.contains_key(&hash) {
            uses.insert(hash, OffsetDateTime::now_utc());
        }
    }

    /// Writes them down now and then, and once more at the end.
    pub async fn run(self, pool: PgPool, stop: CancellationToken) {
        let mut stopped = false;
        while !stopped {
            let pause = tokio::time::sleep(INTERVAL);
            stopped = stop.run_until_cancelled(pause).await.is_none();
            if let Err(error) = self.write(&pool).await {
                tracing::warn!(?error, "could not write down which credentials were used");
            }
        }
    }

    async fn write(&self, pool: &PgPool) -> Result<(), Error> {
        let uses = std::mem::take(&mut *self.held());
        if uses.is_empty() {
            return Ok(());
        }
        let hashes: Vec<Vec<u8>> = uses.keys().map(|hash| hash.to_vec()).collect();
        let times: Vec<OffsetDateTime> = uses.into_values().collect();
        sqlx::query!(
            "update tokens t
             set last_used_at = greatest(t.last_used_at, used.at)
             from unnest($1::bytea[], $2::timestamptz[]) as used(hash, at)
             where t.hash = used.hash",
            &hashes,
            &times,
        )
        .execute(pool)
        .await?;
        sqlx::query!(
            "update sessions s
             set last_seen_at = greatest(s.last_seen_at, used.at)
             from unnest($1::bytea[], $2::timestamptz[]) as used(hash, at)
             where s.hash = used.hash",
            &hashes,
            &times,
        )
        .execute(pool)
        .await?;
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, HashMap<[u8; 32], OffsetDateTime>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
