//! Serving, from a bound port to the last goodbye.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::Extensions;
use burgee_hub::{CloseConnection, Hub};
use burgee_runtime::tls::Tls;
use burgee_runtime::{Connection, Limits, Listening, shutdown};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::app::App;
use crate::audit::denials::Denials;
use crate::audit::sealer;
use crate::auth::Principals;
use crate::change_feed::ChangeFeed;
use crate::config::{Edge, Listen, Shutdown};
use crate::failure::Failure;
use crate::keyring::Keyring;
use crate::oidc::Oidc;
use crate::sealing::reseal;
use crate::{compaction, grpc};

/// A control plane with a port, not yet served.
pub struct Server {
    app: App,
    audit_keys: Keyring,
    listening: Listening,
    scheme: &'static str,
    edge: Edge,
    drain_window: Duration,
}

impl Server {
    /// Takes the port.
    ///
    /// # Errors
    /// [`Failure::Bind`], [`Failure::Tls`].
    pub async fn bind(
        app: App,
        audit_keys: Keyring,
        listen: &Listen,
        edge: Edge,
        shutdown: &Shutdown,
    ) -> Result<Self, Failure> {
        let mut listening = Listening::bind(listen.listen).await?;
        let mut scheme = "http";
        if let (Some(certificate), Some(key)) = (&listen.tls_cert_file, &listen.tls_key_file) {
            listening = listening.with_tls(Tls::load(certificate, key).await?);
            scheme = "https";
        }
        Ok(Self {
            scheme,
            ..Self::on(listening, app, audit_keys, edge, shutdown)
        })
    }

    /// Takes a port that is bound already, without TLS.
    #[must_use]
    pub fn on(
        listening: Listening,
        app: App,
        audit_keys: Keyring,
        edge: Edge,
        shutdown: &Shutdown,
    ) -> Self {
        Self {
            app,
            audit_keys,
            listening,
            scheme: "http",
            edge,
            drain_window: shutdown.drain_window(),
        }
    }

    /// The address that was bound.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.listening.local_addr()
    }

    /// Where clients on this machine reach it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.local_addr())
    }

    /// Serves, signing people in with their identity providers too, until `stop`, and then until everybody has been told: health says
    /// NOT_SERVING, streams say goodbye, calls end, connections close.
    ///
    /// # Errors
    /// [`Failure::Reflection`].
    pub async fn run(self, oidc: Oidc, stop: impl Future<Output = ()>) -> Result<(), Failure> {
        let address = self.url();
        reseal::warn_of_missing_keys(&self.app).await;
        let config = self.edge.callers.hub();
        let tokens = Principals::new(&self.app, config.limits.clone());
        let hub = Hub::new(config);
        let feed = ChangeFeed::new(self.app.clone(), hub.clone());
        hub.attach(Arc::new(feed.clone()));
        let (reporter, health) = tonic_health::server::health_reporter();
        report(&reporter, ServingStatus::Serving).await;
        let uses = tokens.uses();
        let denials = Denials::default();
        let origins = self.edge.origins();
        let router = grpc::router(
            (&self.app, &oidc),
            &hub,
            tokens,
            denials.clone(),
            health,
            &origins,
        )?;

        let stopped = CancellationToken::new();
        let workers = TaskTracker::new();
        workers.spawn(feed.run(stopped.clone()));
        workers.spawn(compaction::run(self.app.clone(), stopped.clone()));
        workers.spawn(uses.run(hub.clone(), self.app.pools.write.clone(), stopped.clone()));
        workers.spawn(denials.run(self.app.pools.write.clone(), stopped.clone()));
        workers.spawn(sealer::run(
            self.app.pools.write.clone(),
            self.audit_keys,
            stopped.clone(),
        ));
        let closing = CancellationToken::new();
        let limits = Limits {
            trusted_proxies: self.edge.proxies(),
            ..Limits::default()
        };
        let serving = self
            .listening
            .serve(router, on_connection, limits, closing.clone());
        let serving = tokio::spawn(serving);
        println!("burgee-server listening on {address}");

        stop.await;
        report(&reporter, ServingStatus::NotServing).await;
        hub.drain(self.drain_window).await;
        closing.cancel();
        // Its only other end is a panic, after which there is nothing to wait for.
        let _ = serving.await;
        stopped.cancel();
        workers.close();
        workers.wait().await;
        self.app.close().await;
        Ok(())
    }
}

/// Waits until an operator asks the process to end. Without signals nobody can:
/// then it runs on until it is killed.
pub async fn asked_to_end() {
    if let Err(error) = shutdown::signal().await {
        tracing::error!(%error, "signals cannot be received");
        std::future::pending::<()>().await;
    }
}

/// Lets the hub close a connection whose peer takes nothing more.
fn on_connection(extensions: &mut Extensions, connection: &Connection) {
    extensions.insert(CloseConnection(connection.close.clone()));
}

async fn report(reporter: &HealthReporter, status: ServingStatus) {
    for service in grpc::SERVICES.iter().chain(&[""]) {
        reporter.set_service_status(service, status).await;
    }
}
