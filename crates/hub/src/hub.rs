//! The hub's handle: news goes in, services come out.

use std::sync::Arc;
use std::time::Duration;

use burgee_evaluator::Ruleset;
use burgee_proto::evaluation::v1::evaluation_service_server::EvaluationServiceServer;
use burgee_proto::sync::v1::GoodbyeReason;
use burgee_proto::sync::v1::encoded::sync_service_server::SyncServiceServer;
use burgee_proto::telemetry::v1::telemetry_service_server::TelemetryServiceServer;
use burgee_proto::types::v1::Position;
use tokio::time::Instant;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::{Extensions, Status};

use crate::config::HubConfig;
use crate::core::Core;
use crate::environment::Outcome;
use crate::evaluation::EvaluationApi;
use crate::maintenance;
use crate::refused::Refused;
use crate::source::{EnvironmentDelta, EnvironmentLoad, Source};
use crate::sync::SyncApi;
use crate::telemetry::TelemetryApi;
use crate::uses::KeyUse;

/// After the drain window a stream has so long to take its goodbye.
const LAST_GOODBYE_MAX: Duration = Duration::from_secs(1);

/// What pages of other origins may ask, where the operator allows it: they have a
/// client key, which says itself of which origins.
pub const CROSS_ORIGIN_PATHS: &[&str] = &["/burgee.evaluation.v1.EvaluationService/"];

/// How often a drain looks whether all streams have gone.
const DRAIN_POLL: Duration = Duration::from_millis(20);

/// Holds the latest ruleset of each environment, and serves it. Cheap to clone;
/// all clones are the same hub.
#[derive(Clone)]
pub struct Hub {
    core: Arc<Core>,
}

/// Why there is no ruleset to evaluate with. The texts are for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCompiled {
    /// There certainly is no such environment.
    #[error("there is no such environment")]
    NoEnvironment,
    /// It cannot be loaded now, or is not at that position yet. Worth another
    /// try.
    #[error("{0}")]
    NotCurrent(&'static str),
    /// [`HubConfig::memory_max_bytes`] is reached.
    #[error("{0}")]
    Exhausted(&'static str),
    /// A fault of this program, which the log tells.
    #[error("the ruleset could not be made")]
    Internal,
}

impl From<Refused> for NotCompiled {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::EnvironmentNotFound(_) => Self::NoEnvironment,
            Refused::NotCurrent(why) => Self::NotCurrent(why),
            Refused::Exhausted(why) => Self::Exhausted(why),
            // What refuses a call rather than an environment.
            Refused::CredentialMissing
            | Refused::CredentialInvalid
            | Refused::PermissionDenied(_)
            | Refused::InvalidField(..)
            | Refused::Draining
            | Refused::TooOften(_)
            | Refused::Internal => Self::Internal,
        }
    }
}

impl Hub {
    /// Makes an empty hub, and starts what keeps it tidy. Must be called on a
    /// tokio runtime. Until [`attach`](Self::attach) it answers UNAVAILABLE.
    pub fn new(config: HubConfig) -> Self {
        let core = Arc::new(Core::new(config));
        core.runtime.spawn(maintenance::run(Arc::downgrade(&core)));
        Self { core }
    }

    /// Gives the hub its source. The feed needs the hub and the hub the feed,
    /// so this comes second. Only the first call counts; the source should hold
    /// the hub weakly or live as long as the process.
    pub fn attach(&self, source: Arc<dyn Source>) {
        if self.core.source.set(source).is_err() {
            tracing::error!("the hub has a source already; the second one is ignored");
        }
    }

    /// Takes what changed in an environment. Ignored if the environment is not
    /// loaded or holds that position already; if the delta builds on what is
    /// not held, the source is asked again.
    pub fn publish(&self, delta: EnvironmentDelta) {
        let Some(environment) = self.core.loaded(&delta.environment) else {
            return;
        };
        let position = delta.position;
        if environment.publish(delta, &self.core.keys) == Outcome::Gap {
            tracing::warn!(environment = %environment.uid(), ?position, "news with a gap; reading again");
            self.core.reload(&environment, position);
        }
    }

    /// Takes a whole environment, and loads it if it was not: so a relay holds
    /// what its key opens before anybody asks. A position that is not higher
    /// than the one held is ignored.
    pub fn publish_whole(&self, load: EnvironmentLoad) {
        self.core.publish_whole(load);
    }

    /// Lets go of an environment that was deleted, or that this hop no longer
    /// follows. Its streams end with ENVIRONMENT_DELETED.
    pub fn delete(&self, environment: &str) {
        self.core.delete(environment);
    }

    /// The loaded environments, and where each stands.
    pub fn loaded(&self) -> Vec<(String, Position)> {
        let environments = self.core.environments.load();
        let stand = environments
            .iter()
            .map(|(uid, environment)| (uid.to_string(), environment.position()));
        stand.collect()
    }

    /// Whether an environment is loaded, and where it stands.
    pub fn position(&self, environment: &str) -> Option<Position> {
        Some(self.core.loaded(environment)?.position())
    }

    /// The compiled ruleset of an environment, and where it stands: at
    /// `min_position` or newer. Loads the environment if it is not held, and
    /// waits for the position as long as [`HubConfig::position_wait_default`]
    /// says. For those who have authorized their caller themselves.
    ///
    /// # Errors
    ///
    /// A [`NotCompiled`].
    pub async fn compiled(
        &self,
        environment: &str,
        min_position: Position,
    ) -> Result<(Position, Arc<Ruleset>), NotCompiled> {
        let until = Instant::now() + self.core.config.position_wait_default;
        let uid = Arc::from(environment);
        let compiled = (self.core).compiled(&uid, Some(min_position), until).await;
        let (state, ruleset) = compiled.map_err(NotCompiled::from)?;
        Ok((state.position(), ruleset))
    }

    /// Whether a call carries a test key that is good, for whoever passes on what such a key
    /// may do beside what the hub serves.
    ///
    /// # Errors
    ///
    /// The status to answer with: of a credential that is missing, unknown, ended or of another
    /// kind, or that cannot be checked now.
    pub async fn check_test_key(
        &self,
        metadata: &MetadataMap,
        extensions: &Extensions,
    ) -> Result<(), Status> {
        let caller = self.core.authenticate(metadata, extensions).await?;
        caller.may_set_flags()?;
        Ok(())
    }

    /// Which keys were used since the last time that this was asked, open streams included.
    pub fn take_uses(&self) -> Vec<KeyUse> {
        self.core.keys.take_uses()
    }

    /// Takes uses back that could not be written down, or passed on.
    pub fn put_back(&self, uses: Vec<KeyUse>) {
        self.core.keys.put_back(uses);
    }

    /// How many streams are open.
    pub fn stream_count(&self) -> usize {
        self.core.streams.len()
    }

    /// SyncService, EvaluationService and TelemetryService. They authenticate their
    /// callers themselves: no layer is needed around them.
    pub fn routes(&self) -> Routes {
        let core = || self.core.clone();
        Routes::new(SyncServiceServer::new(SyncApi::new(core())))
            .add_service(EvaluationServiceServer::new(EvaluationApi::new(core())))
            .add_service(TelemetryServiceServer::new(TelemetryApi::new(core())))
    }

    /// Takes no more streams, and says goodbye to the open ones, spread over
    /// `window` so that they do not all arrive elsewhere at once. Returns when
    /// the last has gone, or a second after the window. Calls are answered on.
    pub async fn drain(&self, window: Duration) {
        self.core.begin_drain();
        let streams = self.core.streams.all();
        let start = Instant::now();
        let count = u32::try_from(streams.len()).unwrap_or(u32::MAX).max(1);
        for (index, stream) in (0_u32..).zip(&streams) {
            tokio::time::sleep_until(start + window.mul_f64(f64::from(index) / f64::from(count)))
                .await;
            stream.end(GoodbyeReason::Draining);
        }
        let gone = async {
            while self.core.streams.len() > 0 {
                tokio::time::sleep(DRAIN_POLL).await;
            }
        };
        let last = start + window + LAST_GOODBYE_MAX;
        if tokio::time::timeout_at(last, gone).await.is_err() {
            tracing::warn!(
                streams = self.core.streams.len(),
                "streams did not take their goodbye"
            );
        }
    }
}
