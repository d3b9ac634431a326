//! What has been received so far, and how it stands with upstream.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use burgee::sync::Liveness;
use burgee_proto::types::v1::Position;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::held::Held;

/// All environments that the relay follows.
#[derive(Debug, Default)]
pub struct Holdings {
    environments: RwLock<BTreeMap<String, Arc<Followed>>>,
    /// Of the stream that says which environments there are.
    membership: RwLock<Liveness>,
    /// Messages from upstream that were refused since the start.
    lies: AtomicU64,
    standing: watch::Sender<Standing>,
}

/// Whether there is anything to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// Nothing was on disk, and upstream has not spoken.
    #[default]
    Waiting,
    /// At least one environment is held, or upstream has said that there is
    /// none.
    Serving,
}

/// One followed environment.
#[derive(Debug)]
pub(super) struct Followed {
    held: Mutex<Option<Held>>,
    position: watch::Sender<Option<Position>>,
    pub(super) liveness: Liveness,
    hurry: Arc<Notify>,
    hurried_at: Mutex<Option<Instant>>,
}

/// However many ask, upstream is not tried more often than this out of turn.
const HURRY_INTERVAL: Duration = Duration::from_secs(1);

impl Holdings {
    /// Whether there is anything to serve, as it changes.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Whether every stream to upstream is live.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.knows_all_environments()
            && self
                .read()
                .values()
                .all(|followed| followed.liveness.is_live())
    }

    /// How many messages from upstream were refused since the start.
    #[must_use]
    pub fn lies(&self) -> u64 {
        self.lies.load(Ordering::Relaxed)
    }

    /// Whether what is not followed certainly does not exist for this key.
    pub(super) fn knows_all_environments(&self) -> bool {
        self.membership
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_live()
    }

    pub(super) fn set_membership(&self, liveness: Liveness) {
        *self
            .membership
            .write()
            .unwrap_or_else(PoisonError::into_inner) = liveness;
    }

    pub(super) fn count_lie(&self) -> u64 {
        self.lies.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn get(&self, environment: &str) -> Option<Arc<Followed>> {
        self.read().get(environment).cloned()
    }

    pub(super) fn insert(&self, environment: &str, followed: Arc<Followed>) {
        self.write().insert(environment.to_owned(), followed);
    }

    pub(super) fn remove(&self, environment: &str) {
        self.write().remove(environment);
    }

    /// Upstream has named every environment, or one was received.
    pub(super) fn review(&self) {
        let environments = self.read();
        let holds_one = environments.values().any(|followed| followed.is_held());
        let none_to_hold = environments.is_empty() && self.knows_all_environments();
        drop(environments);
        if holds_one || none_to_hold {
            self.standing.send_replace(Standing::Serving);
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Arc<Followed>>> {
        self.environments
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, Arc<Followed>>> {
        self.environments
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Followed {
    pub(super) fn new(held: Option<Held>, liveness: Liveness, hurry: Arc<Notify>) -> Self {
        let position = held.as_ref().map(|held| held.state().position());
        Self {
            held: Mutex::new(held),
            position: watch::Sender::new(position),
            liveness,
            hurry,
            hurried_at: Mutex::new(None),
        }
    }

    /// Ends the wait after a failed stream: somebody has heard of something
    /// newer, so there may be somebody to ask.
    pub(super) fn hurry(&self) {
        let mut hurried_at = self
            .hurried_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if hurried_at.is_none_or(|at| at.elapsed() >= HURRY_INTERVAL) {
            *hurried_at = Some(Instant::now());
            self.hurry.notify_waiters();
        }
    }

    /// What is held, to read or to replace. Never across an await.
    pub(super) fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The position, as the hub has been told of it.
    pub(super) fn positions(&self) -> watch::Receiver<Option<Position>> {
        self.position.subscribe()
    }

    /// The hub has been told of what is held now.
    pub(super) fn told(&self) {
        let position = self.held().as_ref().map(|held| held.state().position());
        self.position.send_replace(position);
    }

    fn is_held(&self) -> bool {
        self.held().is_some()
    }
}
