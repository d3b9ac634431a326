//! Burgee's relay: follows environments from a server or another relay, holds
//! them in memory and on disk, and serves the same data plane that it follows.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | what an operator sets |
//! | [`data_dir`] | snapshot files: what a start without upstream is served from |
//! | [`held`] | one environment, with what differences are made from |
//! | [`upstream`] | follows, feeds the hub, answers its questions |
//! | `key_file` | a key that is replaced while the relay runs |
//! | `forwarding` | the calls that are passed upstream: test keys set flags |
//! | `serve` | the routes: hub, health, reflection |
//!
//! There is no database, and nothing is ever emptied by an error.

pub mod config;
pub mod data_dir;
mod forwarding;
pub mod held;
mod key_file;
mod serve;
pub mod upstream;

use std::net::SocketAddr;
use std::sync::Arc;

use burgee::sync::{Connections, Origin, client_info};
use burgee_hub::{Hub, HubConfig};
use burgee_runtime::listening::BindError;
use burgee_runtime::{Limits, Listening, tls};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Options;
use crate::data_dir::{DataDir, Restored};
use crate::forwarding::Forwarding;
use crate::serve::Terms;
use crate::upstream::{Holdings, Upstream};

const SDK: &str = "burgee-relay";
const VERSION: &str = env!("CARGO_PKG_VERSION");
const USER_AGENT: &str = concat!("burgee-relay/", env!("CARGO_PKG_VERSION"));

/// A relay that is ready to run.
pub struct Relay {
    options: Options,
    listening: Listening,
    data_dir: Arc<DataDir>,
    restored: Vec<Restored>,
}

/// Why a relay cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be used.
    #[error(transparent)]
    DataDir(#[from] data_dir::Error),
    /// The port cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// The services cannot be described, which is a fault of the build.
    #[error("cannot describe the services: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// Reading the disk was cut short.
    #[error("the process is ending")]
    Ending(#[from] tokio::task::JoinError),
}

impl Relay {
    /// Takes the data directory, reads what is in it, and binds the port.
    /// Upstream is not needed for any of it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn prepare(options: Options) -> Result<Self, Error> {
        let mut listening = Listening::bind(options.listen).await?;
        if let Some(files) = &options.tls {
            let tls = tls::Tls::load(&files.certificate, &files.key).await?;
            listening = listening.with_tls(tls);
        }
        let path = options.data_dir.clone();
        let opening = tokio::task::spawn_blocking(move || {
            let data_dir = DataDir::open(&path)?;
            let restored = data_dir.restore()?;
            Ok::<_, data_dir::Error>((Arc::new(data_dir), restored))
        });
        let (data_dir, restored) = opening.await??;
        Ok(Self {
            options,
            listening,
            data_dir,
            restored,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.listening.local_addr()
    }

    /// Serves until `shutdown`, then says goodbye to every stream within the
    /// drain window and writes what is not on disk yet.
    ///
    /// # Errors
    /// [`Error`], before anything is served.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let (key_sender, key) = watch::channel(self.options.key);
        let key_file = self
            .options
            .key_file
            .map(|path| tokio::spawn(key_file::follow(path, key_sender)));
        let origin = Origin {
            connections: Connections::new(self.options.upstream, USER_AGENT, self.options.ca_file),
            key,
            client: client_info(SDK, VERSION),
        };
        let holdings = Arc::new(Holdings::default());
        let config = HubConfig {
            // What the key opens is held, whether somebody asks for it or not.
            environment_idle: None,
            ..self.options.callers.hub()
        };
        let hub = Hub::new(config);
        hub.attach(holdings.clone());
        let forwarding = Forwarding::new(hub.clone(), origin.connections.clone());
        let upstream = Upstream::new(origin, Arc::clone(&holdings), hub.clone(), self.data_dir);
        let following = CancellationToken::new();
        let upstream = tokio::spawn(upstream.run(self.restored, following.clone()));

        let terms = Terms {
            limits: Limits {
                trusted_proxies: self.options.trusted_proxies,
                ..Limits::default()
            },
            origins: self.options.allowed_origins,
            drain_window: self.options.drain_window,
        };
        let served = serve::serve(
            self.listening,
            &hub,
            &forwarding,
            holdings.standing(),
            terms,
            shutdown,
        )
        .await;

        // Until the last stream has gone, changes are passed on.
        following.cancel();
        if let Err(error) = upstream.await {
            tracing::error!(%error, "following upstream ended badly");
        }
        if let Some(key_file) = key_file {
            key_file.abort();
        }
        Ok(served?)
    }
}
