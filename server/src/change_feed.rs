//! Follows the heads and items in Postgres, and feeds the hub.
//!
//! ```text
//! local commit ─┐
//! notification ─┼─▶ read heads of loaded environments ─▶ those that moved: head and items above ─▶ hub
//! each second  ─┘
//! ```
//!
//! Wake-ups are hints. Losing every one of them delays a change by one second.

mod load;
mod wake;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use burgee_hub::{EnvironmentLoad, Hub, Source, SourceError};
use burgee_proto::types::v1::{AccessKey, Position};
use sqlx::types::Uuid;
use tokio::sync::{Mutex as FairMutex, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::Error;
use crate::{api_keys, deployment};
use load::Read;

/// How many environments are read at once, so that one big one delays no other.
const LOADS_MAX: usize = 4;
/// How long a read may take.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long reading the heads, or looking up a key, may take.
const GLANCE_TIMEOUT: Duration = Duration::from_secs(2);
/// How often to ask whether this is still the cluster and timeline that the epoch
/// was made on.
const HISTORY_CHECK: Duration = Duration::from_secs(1);
/// The feed is current if it has seen the heads within this time.
const CURRENT: Duration = Duration::from_secs(5);

/// Feeds the hub from Postgres. Cheap to clone.
#[derive(Clone)]
pub struct ChangeFeed {
    shared: Arc<Shared>,
}

struct Shared {
    app: App,
    hub: Hub,
    loads: Semaphore,
    /// One flight an environment.
    flights: Mutex<HashMap<String, Arc<FairMutex<()>>>>,
    seen: Mutex<Option<Instant>>,
}

/// A head as it was read. `position` is none where the environment is gone.
struct SeenHead {
    environment: String,
    position: Option<Position>,
}

impl ChangeFeed {
    /// A feed from the database that `app` is connected to, to `hub`.
    #[must_use]
    pub fn new(app: App, hub: Hub) -> Self {
        Self {
            shared: Arc::new(Shared {
                app,
                hub,
                loads: Semaphore::new(LOADS_MAX),
                flights: Mutex::new(HashMap::new()),
                seen: Mutex::new(None),
            }),
        }
    }

    /// Follows until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let following = async {
            tokio::join!(self.follow(), wake::notify_others(&self.shared.app));
        };
        stop.run_until_cancelled(following).await;
    }

    async fn follow(&self) {
        let mut wake = wake::Wake::new(&self.shared.app);
        let mut failing = false;
        let mut checked: Option<Instant> = None;
        loop {
            // A database that comes back at once, as after a failover, need not
            // fail a look: the pool connects anew by itself.
            let due = failing || checked.is_none_or(|at| at.elapsed() >= HISTORY_CHECK);
            if due {
                checked = Some(Instant::now());
            }
            match self.look(due).await {
                Ok(()) => {
                    if std::mem::take(&mut failing) {
                        tracing::info!("the change feed follows the database again");
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "the change feed cannot read the database; what is loaded is served on");
                    }
                }
            }
            wake.wait().await;
        }
    }

    /// One look at the heads, and at what is above those that moved.
    async fn look(&self, check_history: bool) -> Result<(), SourceError> {
        let pools = &self.shared.app.pools;
        if check_history && within(GLANCE_TIMEOUT, deployment::has_moved(&pools.feed)).await? {
            within(GLANCE_TIMEOUT, deployment::ensure_deployment(&pools.write)).await?;
        }
        let hub = &self.shared.hub;
        let held: HashMap<String, Position> = hub.loaded().into_iter().collect();
        let environments: Vec<Uuid> = held.keys().filter_map(|uid| uid.parse().ok()).collect();
        let heads = within(GLANCE_TIMEOUT, load::heads(&pools.feed, &environments)).await?;
        *self
            .shared
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        for head in heads {
            let Some(position) = head.position else {
                hub.delete(&head.environment);
                continue;
            };
            let Some(held) = held.get(&head.environment) else {
                continue;
            };
            if position < *held {
                // The database has lost what was delivered: history begins anew.
                let renew = deployment::new_epoch_after(&pools.write, position.epoch, held.epoch);
                within(GLANCE_TIMEOUT, renew).await?;
                tracing::error!(
                    environment = head.environment,
                    "the database is behind what was delivered; a new epoch begins"
                );
                break;
            }
            // Somebody who waits for the flight will read what moved just now.
            if position > *held && !self.is_awaited(&head.environment) {
                let feed = self.clone();
                tokio::spawn(async move {
                    if let Err(error) = feed.advance(&head.environment).await {
                        tracing::warn!(%error, environment = head.environment, "could not read what is new");
                    }
                });
            }
        }
        Ok(())
    }

    /// Reads what is new in an environment and hands it to the hub. Whoever
    /// comes while somebody reads waits, and then finds nothing left to do.
    async fn advance(&self, environment: &str) -> Result<(), SourceError> {
        let hub = &self.shared.hub;
        let flight = self.flight(environment);
        let _flight = flight.lock().await;
        let Some(held) = hub.position(environment) else {
            return Ok(());
        };
        match self.read(environment, Some(held)).await? {
            Read::Gone => hub.delete(environment),
            Read::Whole(load) => hub.publish_whole(load),
            Read::Delta(delta) if delta.position > held => hub.publish(delta),
            Read::Delta(_) => {}
        }
        Ok(())
    }

    async fn read(&self, environment: &str, held: Option<Position>) -> Result<Read, SourceError> {
        let Ok(id) = environment.parse::<Uuid>() else {
            return Ok(Read::Gone);
        };
        let _permit = self
            .shared
            .loads
            .acquire()
            .await
            .map_err(|_| unavailable("shutting down"))?;
        within(
            READ_TIMEOUT,
            load::read(&self.shared.app.pools.feed, id, held),
        )
        .await
    }

    fn flight(&self, environment: &str) -> Arc<FairMutex<()>> {
        let mut flights = self
            .shared
            .flights
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        flights.retain(|_, flight| Arc::strong_count(flight) > 1);
        flights.entry(environment.to_owned()).or_default().clone()
    }

    fn is_awaited(&self, environment: &str) -> bool {
        /// The map, who flies, who waits.
        const AWAITED: usize = 3;
        let flights = self
            .shared
            .flights
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        flights
            .get(environment)
            .is_some_and(|flight| Arc::strong_count(flight) >= AWAITED)
    }
}

fn unavailable(cause: impl ToString) -> SourceError {
    SourceError::Unavailable(cause.to_string())
}

async fn within<T>(
    timeout: Duration,
    read: impl Future<Output = Result<T, Error>>,
) -> Result<T, SourceError> {
    match tokio::time::timeout(timeout, read).await {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(Error::Internal(cause))) => Err(SourceError::Corrupt(cause.to_string())),
        Ok(Err(Error::Unavailable { cause, .. })) => Err(unavailable(cause)),
        Ok(Err(error)) => Err(SourceError::Corrupt(format!("{error:?}"))),
        Err(_) => Err(unavailable(format!("no answer within {timeout:?}"))),
    }
}

#[tonic::async_trait]
impl Source for ChangeFeed {
    async fn load(&self, environment: &str) -> Result<Option<EnvironmentLoad>, SourceError> {
        match self.read(environment, None).await? {
            Read::Whole(load) => Ok(Some(load)),
            Read::Gone | Read::Delta(_) => Ok(None),
        }
    }

    async fn catch_up(&self, environment: &str) -> Result<(), SourceError> {
        self.advance(environment).await
    }

    async fn access_key(&self, hash: &[u8; 32]) -> Result<Option<AccessKey>, SourceError> {
        let look_up = api_keys::look_up(&self.shared.app.pools.authentication, hash);
        within(GLANCE_TIMEOUT, look_up).await
    }

    fn is_current(&self) -> bool {
        let seen = *self
            .shared
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        seen.is_some_and(|seen| seen.elapsed() < CURRENT)
    }
}
