//! What the hub's services share: the environments that are held, the keys, the
//! open streams, and the way to the source.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use burgee_proto::sync::v1::GoodbyeReason;
use burgee_proto::types::v1::Position;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::config::HubConfig;
use crate::environment::{Attached, Compiled, Environment};
use crate::keys::Keys;
use crate::lookups::Lookups;
use crate::refused::Refused;
use crate::single_flight::SingleFlight;
use crate::source::{EnvironmentLoad, Source};
use crate::state::EnvironmentState;
use crate::streams::Streams;

/// Environments that are read from the source at once: one big environment
/// delays no other, and a herd does not overwhelm the source.
const LOADS_MAX: usize = 4;

/// A load that takes longer has failed, waiting for its turn included.
const LOAD_MAX: Duration = Duration::from_secs(15);

/// Asking the source for news takes at most so long, and is repeated so often
/// while somebody waits for it.
const CATCH_UP_MAX: Duration = Duration::from_secs(5);

/// Somebody who waits for news has the source asked each so long.
pub(crate) const CATCH_UP_EACH: Duration = Duration::from_secs(1);

/// Deleted environments that are remembered.
const DELETED_MAX: usize = 10_000;

type Environments = HashMap<Arc<str>, Arc<Environment>>;

/// What the hub's services share.
pub(crate) struct Core {
    /// What the operator set.
    pub(crate) config: HubConfig,
    /// Where background work runs.
    pub(crate) runtime: Handle,
    /// Where rulesets come from. Set once, after the hub was made.
    pub(crate) source: OnceLock<Arc<dyn Source>>,
    /// The environments that are held, by uid.
    pub(crate) environments: ArcSwap<Environments>,
    /// The keys that they vouch for.
    pub(crate) keys: Keys,
    /// The keys that the source was asked for.
    pub(crate) lookups: Lookups,
    /// The open streams.
    pub(crate) streams: Arc<Streams>,
    /// Environments that certainly do not exist any more, though keys may still
    /// name them.
    deleted: Mutex<BTreeSet<Arc<str>>>,
    loads: SingleFlight<Arc<str>, Result<Arc<Environment>, Refused>>,
    load_permits: Semaphore,
    draining: AtomicBool,
}

impl Core {
    pub(crate) fn new(config: HubConfig) -> Self {
        Self {
            config,
            runtime: Handle::current(),
            source: OnceLock::new(),
            environments: ArcSwap::default(),
            keys: Keys::default(),
            lookups: Lookups::default(),
            streams: Arc::default(),
            deleted: Mutex::default(),
            loads: SingleFlight::default(),
            load_permits: Semaphore::new(LOADS_MAX),
            draining: AtomicBool::new(false),
        }
    }

    /// The source.
    ///
    /// # Errors
    ///
    /// [`Refused::NotCurrent`] before there is one.
    pub(crate) fn source(&self) -> Result<&Arc<dyn Source>, Refused> {
        self.source.get().ok_or(Refused::NotCurrent("starting up"))
    }

    /// Whether the source would bring news.
    pub(crate) fn is_current(&self) -> bool {
        self.source.get().is_some_and(|source| source.is_current())
    }

    /// Takes no more streams.
    pub(crate) fn begin_drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether a new stream may be opened.
    ///
    /// # Errors
    ///
    /// [`Refused::Draining`].
    pub(crate) fn check_draining(&self) -> Result<(), Refused> {
        if self.draining.load(Ordering::Acquire) {
            Err(Refused::Draining)
        } else {
            Ok(())
        }
    }

    /// An environment that is held.
    pub(crate) fn loaded(&self, uid: &str) -> Option<Arc<Environment>> {
        self.environments.load().get(uid).cloned()
    }

    /// An environment, loaded if need be.
    ///
    /// # Errors
    ///
    /// Not found, not current, exhausted.
    pub(crate) async fn environment(
        self: &Arc<Self>,
        uid: &Arc<str>,
    ) -> Result<Arc<Environment>, Refused> {
        if let Some(environment) = self.loaded(uid) {
            environment.touch();
            return Ok(environment);
        }
        let load = || {
            let (core, uid) = (self.clone(), uid.clone());
            async move {
                let loading = core.load(&uid);
                let late = Err(Refused::NotCurrent("loading the environment took too long"));
                timeout(LOAD_MAX, loading).await.unwrap_or(late)
            }
        };
        let loaded = self.loads.run(&self.runtime, uid, load).await;
        loaded.unwrap_or(Err(Refused::Internal))
    }

    /// An environment, kept for as long as the answer is.
    ///
    /// # Errors
    ///
    /// Those of [`environment`](Self::environment).
    pub(crate) async fn attach(self: &Arc<Self>, uid: &Arc<str>) -> Result<Attached, Refused> {
        loop {
            // Between the two it may be let go; then it is loaded again.
            if let Some(attached) = self.environment(uid).await?.attach() {
                return Ok(attached);
            }
        }
    }

    /// The compiled ruleset of an environment, at a position or newer.
    ///
    /// # Errors
    ///
    /// Those of [`environment`](Self::environment), and of
    /// [`wait_for`](Self::wait_for).
    pub(crate) async fn compiled(
        self: &Arc<Self>,
        uid: &Arc<str>,
        min_position: Option<Position>,
        deadline: Instant,
    ) -> Result<Compiled, Refused> {
        let environment = self.environment(uid).await?;
        if min_position.is_some() {
            // Kept meanwhile: what is let go gets no news.
            let attached = self.attach(uid).await?;
            self.wait_for(attached.environment(), min_position, deadline)
                .await?;
            return attached.environment().compiled().await;
        }
        environment.compiled().await
    }

    async fn load(self: &Arc<Self>, uid: &Arc<str>) -> Result<Arc<Environment>, Refused> {
        let permit = self.load_permits.acquire().await;
        let _permit = permit.map_err(|_| Refused::Internal)?;
        if let Some(environment) = self.loaded(uid) {
            return Ok(environment);
        }
        self.check_memory(0)?;
        let load = self.source()?.load(uid).await.map_err(|error| {
            tracing::warn!(environment = %uid, %error, "loading an environment failed");
            Refused::NotCurrent("the environment cannot be loaded now")
        })?;
        let Some(load) = load else {
            self.remember_deleted(uid);
            return Err(Refused::EnvironmentNotFound(uid.to_string()));
        };
        if load.environment != **uid {
            tracing::error!(environment = %uid, got = %load.environment, "another environment was loaded");
            return Err(Refused::Internal);
        }
        let state = tokio::task::spawn_blocking(|| EnvironmentState::new(load, Instant::now()));
        let state = state.await.map_err(|_| Refused::Internal)?;
        self.check_memory(state.ruleset().size_bytes())?;
        let environment = self.insert(state);
        // Whatever happened while it was read did not reach it.
        self.catch_up(&environment);
        Ok(environment)
    }

    /// Refuses what would take more memory than the operator allows.
    fn check_memory(&self, more_bytes: usize) -> Result<(), Refused> {
        let environments = self.environments.load();
        let states = environments.values().map(|held| held.latest().size_bytes());
        if states.sum::<usize>() + more_bytes >= self.config.memory_max_bytes {
            tracing::warn!("hub_memory_max is reached: an environment is refused");
            return Err(Refused::Exhausted(
                "no memory is left for another environment",
            ));
        }
        Ok(())
    }

    /// Lists a loaded environment, unless somebody was faster. Its keys come
    /// first: one that is listed vouches for them.
    fn insert(&self, state: EnvironmentState) -> Arc<Environment> {
        let environment = Arc::new(Environment::new(state));
        let uid = environment.uid();
        self.deleted().remove(uid);
        let latest = environment.latest();
        self.keys.update(uid, None, Some(latest.ruleset()));
        self.environments.rcu(|environments| {
            let mut environments = Environments::clone(environments);
            (environments.entry(uid.clone())).or_insert_with(|| environment.clone());
            environments
        });
        self.loaded(uid).unwrap_or(environment)
    }

    /// Takes a whole environment, loaded or not.
    pub(crate) fn publish_whole(&self, load: EnvironmentLoad) {
        match self.loaded(&load.environment) {
            Some(environment) => {
                environment.publish_whole(load, &self.keys);
            }
            None => {
                let state = EnvironmentState::new(load, Instant::now());
                if self.check_memory(state.ruleset().size_bytes()).is_ok() {
                    self.insert(state);
                }
            }
        }
    }

    /// Lets go of an environment that is no more.
    pub(crate) fn delete(&self, uid: &str) {
        let known: Arc<str> = Arc::from(uid);
        self.remember_deleted(&known);
        // Before its keys go, so that its streams hear the true reason; and
        // after, for those that came in between.
        self.end_streams_of(uid);
        if let Some(environment) = self.loaded(uid) {
            environment.close_now(|| self.unlist(&known), &self.keys);
        }
        self.end_streams_of(uid);
    }

    fn end_streams_of(&self, uid: &str) {
        for stream in self.streams.all() {
            if stream.environment.as_deref() == Some(uid) {
                stream.end(GoodbyeReason::EnvironmentDeleted);
            }
        }
    }

    /// Takes an environment off the list.
    pub(crate) fn unlist(&self, uid: &Arc<str>) {
        self.environments.rcu(|environments| {
            let mut environments = Environments::clone(environments);
            environments.remove(uid);
            environments
        });
    }

    /// Asks the source for news of an environment, unless that is under way.
    pub(crate) fn catch_up(&self, environment: &Arc<Environment>) {
        let Some(source) = self.source.get().cloned() else {
            return;
        };
        if environment.catching_up.swap(true, Ordering::AcqRel) {
            return;
        }
        let environment = environment.clone();
        self.runtime.spawn(async move {
            let asked = timeout(CATCH_UP_MAX, source.catch_up(environment.uid())).await;
            if let Ok(Err(error)) = asked {
                tracing::debug!(environment = %environment.uid(), %error, "catching up failed");
            }
            environment.catching_up.store(false, Ordering::Release);
        });
    }

    /// Asks the source for news, and for everything if that does not lead to a
    /// position.
    pub(crate) fn reload(self: &Arc<Self>, environment: &Arc<Environment>, wanted: Position) {
        if environment.reloading.swap(true, Ordering::AcqRel) {
            return;
        }
        let (core, environment) = (self.clone(), environment.clone());
        self.runtime.spawn(async move {
            core.reload_now(&environment, wanted).await;
            environment.reloading.store(false, Ordering::Release);
        });
    }

    async fn reload_now(&self, environment: &Environment, wanted: Position) {
        let (Ok(source), uid) = (self.source(), environment.uid()) else {
            return;
        };
        let _ = timeout(CATCH_UP_MAX, source.catch_up(uid)).await;
        if environment.position() >= wanted {
            return;
        }
        match timeout(LOAD_MAX, source.load(uid)).await {
            Ok(Ok(Some(load))) => {
                environment.publish_whole(load, &self.keys);
            }
            Ok(Ok(None)) => self.delete(uid),
            Ok(Err(error)) => tracing::warn!(environment = %uid, %error, "reading again failed"),
            Err(_) => tracing::warn!(environment = %uid, "reading again took too long"),
        }
    }

    /// Waits until an environment stands at a position or above.
    ///
    /// # Errors
    ///
    /// [`Refused::NotCurrent`] when the deadline has passed.
    pub(crate) async fn wait_for(
        &self,
        environment: &Arc<Environment>,
        wanted: Option<Position>,
        deadline: Instant,
    ) -> Result<(), Refused> {
        let Some(wanted) = wanted.filter(|wanted| *wanted > environment.position()) else {
            return Ok(());
        };
        let mut latest = environment.subscribe();
        let reached = async {
            while latest.borrow_and_update().position() < wanted {
                self.catch_up(environment);
                // The other end lives as long as the environment.
                let _ = timeout(CATCH_UP_EACH, latest.changed()).await;
            }
        };
        let waited = tokio::time::timeout_at(deadline, reached).await;
        waited.map_err(|_| Refused::NotCurrent("min_position is not reached here yet"))
    }

    /// Whether an environment certainly does not exist any more.
    pub(crate) fn is_deleted(&self, uid: &str) -> bool {
        self.deleted().contains(uid)
    }

    fn remember_deleted(&self, uid: &Arc<str>) {
        let mut deleted = self.deleted();
        if deleted.len() >= DELETED_MAX {
            deleted.pop_first();
        }
        deleted.insert(uid.clone());
    }

    fn deleted(&self) -> std::sync::MutexGuard<'_, BTreeSet<Arc<str>>> {
        self.deleted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
