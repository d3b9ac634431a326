//! One environment that is held: its latest state, and who uses it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use burgee_evaluator::Ruleset;
use burgee_proto::types::v1::Position;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::keys::Keys;
use crate::refused::Refused;
use crate::source::{EnvironmentDelta, EnvironmentLoad};
use crate::state::EnvironmentState;

/// An environment that is held.
pub(crate) struct Environment {
    uid: Arc<str>,
    latest: watch::Sender<Arc<EnvironmentState>>,
    /// Held by whoever makes the next state, or lets the environment go.
    writer: Mutex<Tenancy>,
    /// Held by whoever compiles.
    compiling: tokio::sync::Mutex<()>,
    /// The source is being asked for news.
    pub(crate) catching_up: AtomicBool,
    /// The source is being asked for everything.
    pub(crate) reloading: AtomicBool,
    /// Times of last use, in milliseconds since `created_at`.
    created_at: Instant,
    used_ms: AtomicU64,
    evaluated_ms: AtomicU64,
}

/// Who is in.
struct Tenancy {
    streams: usize,
    /// No longer held: neither news nor streams reach it.
    closed: bool,
}

/// What became of news.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is the latest state now.
    Published,
    /// What is held is as new, or newer.
    Ignored,
    /// It builds on what is not held.
    Gap,
}

/// A state, and its compiled ruleset.
pub(crate) type Compiled = (Arc<EnvironmentState>, Arc<Ruleset>);

/// Keeps an environment from being let go.
pub(crate) struct Attached(Arc<Environment>);

impl Environment {
    pub(crate) fn new(state: EnvironmentState) -> Self {
        Self {
            uid: Arc::from(state.ruleset().environment()),
            latest: watch::Sender::new(Arc::new(state)),
            writer: Mutex::new(Tenancy {
                streams: 0,
                closed: false,
            }),
            compiling: tokio::sync::Mutex::default(),
            catching_up: AtomicBool::new(false),
            reloading: AtomicBool::new(false),
            created_at: Instant::now(),
            used_ms: AtomicU64::new(0),
            evaluated_ms: AtomicU64::new(0),
        }
    }

    /// Its uid.
    pub(crate) fn uid(&self) -> &Arc<str> {
        &self.uid
    }

    /// The latest state.
    pub(crate) fn latest(&self) -> Arc<EnvironmentState> {
        self.latest.borrow().clone()
    }

    /// Follows the latest state.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<EnvironmentState>> {
        self.latest.subscribe()
    }

    /// Where it stands.
    pub(crate) fn position(&self) -> Position {
        self.latest.borrow().position()
    }

    /// Takes a delta, if it continues what is held.
    pub(crate) fn publish(&self, delta: EnvironmentDelta, keys: &Keys) -> Outcome {
        let tenancy = self.tenancy();
        let held = self.latest();
        if tenancy.closed || delta.position <= held.position() {
            return Outcome::Ignored;
        }
        let continues = delta.from.epoch == held.position().epoch
            && delta.position.epoch == held.position().epoch
            && delta.from <= held.position();
        if !continues {
            return Outcome::Gap;
        }
        let next = held.apply(delta, Instant::now());
        self.swap(&tenancy, &held, next, keys);
        Outcome::Published
    }

    /// Takes a whole environment, if it is newer than what is held.
    pub(crate) fn publish_whole(&self, load: EnvironmentLoad, keys: &Keys) -> Outcome {
        let tenancy = self.tenancy();
        let held = self.latest();
        if tenancy.closed || load.position <= held.position() {
            return Outcome::Ignored;
        }
        let next = held.replace(load, Instant::now());
        self.swap(&tenancy, &held, next, keys);
        Outcome::Published
    }

    /// The one place where the state changes. Keys first: nobody reads a state
    /// with a key that it revokes.
    fn swap(
        &self,
        _tenancy: &MutexGuard<'_, Tenancy>,
        held: &EnvironmentState,
        next: EnvironmentState,
        keys: &Keys,
    ) {
        keys.update(&self.uid, Some(held.ruleset()), Some(next.ruleset()));
        self.latest.send_replace(Arc::new(next));
    }

    /// The latest state and its compiled ruleset, which is made if it is not
    /// there: off the runtime's threads, once for all who wait.
    ///
    /// # Errors
    ///
    /// [`Refused::Internal`] if compiling panicked.
    pub(crate) async fn compiled(&self) -> Result<Compiled, Refused> {
        let state = self.latest();
        self.touch_evaluated();
        if let Some(compiled) = state.compiled() {
            return Ok((state, compiled));
        }
        let _compiling = self.compiling.lock().await;
        let state = self.latest();
        if let Some(compiled) = state.compiled() {
            return Ok((state, compiled));
        }
        let compiling = state.clone();
        let compiled = tokio::task::spawn_blocking(move || compiling.compile()).await;
        match compiled {
            Ok(compiled) => Ok((state, compiled)),
            Err(error) => {
                tracing::error!(environment = %self.uid, %error, "compiling a ruleset failed");
                Err(Refused::Internal)
            }
        }
    }

    /// Keeps the environment, unless it is let go already.
    pub(crate) fn attach(self: &Arc<Self>) -> Option<Attached> {
        let mut tenancy = self.tenancy();
        if tenancy.closed {
            return None;
        }
        tenancy.streams += 1;
        Some(Attached(self.clone()))
    }

    /// Lets the environment go if nobody is in. Its keys are no longer vouched
    /// for by it.
    pub(crate) fn close_if_idle(&self, idle: Duration, unlist: impl FnOnce(), keys: &Keys) -> bool {
        let mut tenancy = self.tenancy();
        if tenancy.closed || tenancy.streams > 0 || self.idle_for(&self.used_ms) < idle {
            return false;
        }
        self.close(&mut tenancy, unlist, keys);
        true
    }

    /// Lets the environment go, whoever is in.
    pub(crate) fn close_now(&self, unlist: impl FnOnce(), keys: &Keys) {
        let mut tenancy = self.tenancy();
        if !tenancy.closed {
            self.close(&mut tenancy, unlist, keys);
        }
    }

    /// Whether it was let go: no news reaches it any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.tenancy().closed
    }

    /// Off the list before its keys go: a key of an environment that is listed
    /// is vouched for.
    fn close(&self, tenancy: &mut Tenancy, unlist: impl FnOnce(), keys: &Keys) {
        tenancy.closed = true;
        unlist();
        keys.update(&self.uid, Some(self.latest().ruleset()), None);
    }

    /// Lets go of what was derived and not used for a while.
    pub(crate) fn forget_idle(&self, idle: Duration) {
        let state = self.latest();
        state.forget_messages(Instant::now(), idle);
        if self.idle_for(&self.evaluated_ms) >= idle {
            state.forget_compiled();
        }
    }

    /// Somebody uses it.
    pub(crate) fn touch(&self) {
        store_if_moved(&self.used_ms, self.age_ms());
    }

    /// Somebody evaluates with it.
    pub(crate) fn touch_evaluated(&self) {
        store_if_moved(&self.evaluated_ms, self.age_ms());
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.created_at.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn idle_for(&self, last_ms: &AtomicU64) -> Duration {
        let last_ms = last_ms.load(Ordering::Relaxed);
        Duration::from_millis(self.age_ms().saturating_sub(last_ms))
    }

    fn tenancy(&self) -> MutexGuard<'_, Tenancy> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attached {
    /// The environment.
    pub(crate) fn environment(&self) -> &Arc<Environment> {
        &self.0
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.0.touch();
        self.0.tenancy().streams -= 1;
    }
}

/// Readers of one cache line on many cores do not write to it on each call.
fn store_if_moved(last_ms: &AtomicU64, now_ms: u64) {
    const RESOLUTION_MS: u64 = 500;
    if now_ms.saturating_sub(last_ms.load(Ordering::Relaxed)) >= RESOLUTION_MS {
        last_ms.store(now_ms, Ordering::Relaxed);
    }
}
