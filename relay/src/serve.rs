//! The port: what is served on it, whether it is ready, and how it ends.

use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::get;
use burgee_hub::{CROSS_ORIGIN_PATHS, CloseConnection, Hub, explain};
use burgee_runtime::browsers::{self, AllowedOrigins};
use burgee_runtime::calls::{CallLimits, Shapes, guard, only_calls, unknown_path};
use burgee_runtime::{Limits, Listening};
use http::StatusCode;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tonic_reflection::server::Builder;
use tonic_web::GrpcWebLayer;

use crate::forwarding::Forwarding;
use crate::upstream::Standing;

/// What health probes may ask for: the process, and each service it serves.
const HEALTH_NAMES: [&str; 4] = [
    "",
    "burgee.sync.v1.SyncService",
    "burgee.evaluation.v1.EvaluationService",
    "burgee.telemetry.v1.TelemetryService",
];

/// The largest request of gRPC's own services, which need no credential, in bytes.
const OPEN_REQUEST_BYTES_MAX: usize = 4 * 1024;

/// What the operator has set of the port.
pub(crate) struct Terms {
    /// What peers are granted.
    pub(crate) limits: Limits,
    /// Of which origins pages may call.
    pub(crate) origins: AllowedOrigins,
    /// How long saying goodbye takes.
    pub(crate) drain_window: Duration,
}

/// Serves until `shutdown`, and then until every stream was told to leave, or the
/// window is over.
pub(crate) async fn serve(
    listening: Listening,
    hub: &Hub,
    forwarding: &Forwarding,
    standing: watch::Receiver<Standing>,
    terms: Terms,
    shutdown: CancellationToken,
) -> Result<(), tonic_reflection::server::Error> {
    let (health, health_service) = tonic_health::server::health_reporter();
    report(&health, ServingStatus::NotServing).await;
    let readiness = tokio::spawn(follow_standing(health.clone(), standing));

    let health_service = health_service.max_decoding_message_size(OPEN_REQUEST_BYTES_MAX);
    let routes = with_reflection(hub.routes().add_service(health_service))?;
    let router = router(routes, forwarding, &terms.origins)?;
    let closing = CancellationToken::new();
    let serving = tokio::spawn(listening.serve(
        router,
        |extensions, connection| {
            // So that the hub can close a connection whose peer takes nothing.
            extensions.insert(CloseConnection(connection.close.clone()));
        },
        terms.limits,
        closing.clone(),
    ));
    shutdown.cancelled().await;
    readiness.abort();
    report(&health, ServingStatus::NotServing).await;
    hub.drain(terms.drain_window).await;
    closing.cancel();
    if let Err(error) = serving.await {
        tracing::error!(%error, "serving ended badly");
    }
    Ok(())
}

fn router(
    routes: Routes,
    forwarding: &Forwarding,
    origins: &AllowedOrigins,
) -> Result<Router, tonic_reflection::server::Error> {
    // gRPC-web answers 400 to whatever it does not know, so it stands around the
    // gRPC routes alone.
    let services = routes
        .into_axum_router()
        .merge(forwarding.router())
        .layer(GrpcWebLayer::new())
        .layer(from_fn(only_calls));
    let router = Router::new()
        .route("/healthz", get(async || (StatusCode::OK, "ok\n")))
        .merge(services)
        .fallback(unknown_path);
    let shapes = Shapes::read(burgee_proto::FILE_DESCRIPTOR_SET)?;
    let guarded = guard(router, &CallLimits::default(), shapes, explain);
    Ok(browsers::admit(guarded, origins, CROSS_ORIGIN_PATHS))
}

/// Describes every service, and the error details that they answer with, in both
/// versions of the protocol: grpcurl still asks for the older one.
fn with_reflection(routes: Routes) -> Result<Routes, tonic_reflection::server::Error> {
    let describe = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(burgee_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("burgee.sync.v1.SyncService")
            .with_service_name("burgee.evaluation.v1.EvaluationService")
            .with_service_name("burgee.telemetry.v1.TelemetryService")
            // What of it is passed on.
            .with_service_name("burgee.admin.v1.FlagService")
            .with_service_name("grpc.health.v1.Health")
    };
    let v1 = describe().build_v1()?;
    let v1alpha = describe().build_v1alpha()?;
    Ok(routes
        .add_service(v1.max_decoding_message_size(OPEN_REQUEST_BYTES_MAX))
        .add_service(v1alpha.max_decoding_message_size(OPEN_REQUEST_BYTES_MAX)))
}

/// Ready from the first ruleset on, or from upstream's word that there is none.
/// It never ends by itself: last known good does not expire.
async fn follow_standing(health: HealthReporter, mut standing: watch::Receiver<Standing>) {
    let serving = standing.wait_for(|standing| *standing == Standing::Serving);
    if serving.await.is_ok() {
        report(&health, ServingStatus::Serving).await;
    }
}

async fn report(health: &HealthReporter, status: ServingStatus) {
    for name in HEALTH_NAMES {
        health.set_service_status(name, status).await;
    }
}
