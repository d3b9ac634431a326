//! Environments come and go with what the relay key opens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use burgee::sync::{EnvironmentsFollower, Lost, Membership};
use burgee_evaluator::Refusal;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Upstream;
use super::environment::{self, Running};
use crate::data_dir::{Restored, is_environment};

/// More environments are not followed: a bound on what a wrong upstream can
/// make a relay hold.
const ENVIRONMENTS_MAX: usize = 10_000;
/// How often it is looked whether upstream is still there, for the log.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Streams that are back within this time were never missed.
const STALE_AFTER: Duration = Duration::from_secs(5);
/// Environments that may wait to be dropped.
const GONE_CAPACITY: usize = 64;

/// The environments that are followed now.
pub(super) struct Environments {
    upstream: Upstream,
    running: BTreeMap<String, Running>,
    gone: mpsc::Sender<String>,
    deleted: mpsc::Receiver<String>,
}

impl Environments {
    pub(super) fn new(upstream: Upstream) -> Self {
        let (gone, deleted) = mpsc::channel(GONE_CAPACITY);
        Self {
            upstream,
            running: BTreeMap::new(),
            gone,
            deleted,
        }
    }

    /// Serves and follows what was on disk.
    pub(super) fn restore(&mut self, restored: Restored) {
        let Restored { environment, held } = restored;
        let running = self.start(&environment, Some(held));
        self.running.insert(environment, running);
    }

    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        let mut follower = EnvironmentsFollower::new(&self.upstream.origin);
        self.upstream.holdings.set_membership(follower.liveness());
        let mut looks = interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut currency = Currency::default();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                event = follower.next() => self.handle(event, &follower.address()).await,
                Some(environment) = self.deleted.recv() => {
                    self.drop_one(&environment, "it was deleted").await;
                }
                _ = looks.tick() => currency.look(self.upstream.holdings.is_current()),
            }
            self.upstream.holdings.review();
        }
        let mut stopping: JoinSet<_> = self.running.into_values().map(Running::stop).collect();
        while stopping.join_next().await.is_some() {}
    }

    async fn handle(&mut self, event: Membership, address: &str) {
        match event {
            Membership::Whole(environments) => self.replace(environments).await,
            Membership::Changed { added, removed } => {
                for environment in removed {
                    self.drop_one(&environment, "the key no longer opens it")
                        .await;
                }
                for environment in added {
                    self.add(&environment);
                }
            }
            Membership::Live => {}
            Membership::Lost(Lost::Lied(refusal)) => self.doubt(refusal, address),
            Membership::Lost(lost) if lost.is_refusal() => {
                tracing::warn!(address, %lost, "upstream refuses the relay key; serving what is held");
            }
            Membership::Lost(lost) => tracing::debug!(address, %lost, "stream lost"),
        }
    }

    async fn replace(&mut self, environments: Vec<String>) {
        let wanted: BTreeSet<String> = environments.into_iter().collect();
        let surplus: Vec<String> = self
            .running
            .keys()
            .filter(|environment| !wanted.contains(*environment))
            .cloned()
            .collect();
        for environment in surplus {
            self.drop_one(&environment, "the key no longer opens it")
                .await;
        }
        for environment in wanted {
            self.add(&environment);
        }
    }

    fn add(&mut self, environment: &str) {
        if self.running.contains_key(environment) {
            return;
        }
        // It becomes the name of a file.
        if !is_environment(environment) {
            tracing::warn!(?environment, "upstream named an environment that is no uid");
        } else if self.running.len() >= ENVIRONMENTS_MAX {
            tracing::error!(environment, ENVIRONMENTS_MAX, "too many environments");
        } else {
            tracing::info!(environment, "following an environment");
            let running = self.start(environment, None);
            self.running.insert(environment.to_owned(), running);
        }
    }

    async fn drop_one(&mut self, uid: &str, cause: &str) {
        if let Some(running) = self.running.remove(uid) {
            tracing::info!(environment = uid, cause, "dropping an environment");
            self.upstream.holdings.remove(uid);
            // First of all nothing more may come, or it would be back at once.
            let file = running.stop().await;
            self.upstream.hub.delete(uid);
            environment::remove(file).await;
        }
    }

    fn start(&self, environment: &str, held: Option<burgee::sync::Holding>) -> Running {
        environment::follow(
            environment,
            held,
            self.upstream.data_dir.file(environment),
            &self.upstream.origin,
            &self.upstream.holdings,
            &self.upstream.hub,
            self.gone.clone(),
        )
    }

    fn doubt(&self, refusal: Refusal, address: &str) {
        let refused_in_all = self.upstream.holdings.count_lie();
        tracing::warn!(address, %refusal, refused_in_all, "serving what is held");
    }
}

/// Says once when upstream is lost, and once when it is back.
#[derive(Debug, Default)]
struct Currency {
    lost_at: Option<(Instant, SystemTime)>,
    reported: bool,
}

impl Currency {
    fn look(&mut self, is_current: bool) {
        if is_current {
            if let Some((lost_at, _)) = self.lost_at.take() {
                tracing::info!(stale_for = ?lost_at.elapsed(), "current with upstream");
            }
            self.reported = false;
            return;
        }
        let (lost_at, stale_since) = *self
            .lost_at
            .get_or_insert_with(|| (Instant::now(), SystemTime::now()));
        if !self.reported && lost_at.elapsed() >= STALE_AFTER {
            self.reported = true;
            tracing::warn!(?stale_since, "upstream is away; serving what is held");
        }
    }
}
