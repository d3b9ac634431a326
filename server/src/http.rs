//! Ordinary HTTP beside gRPC on the one port: the probe of load balancers.

use axum::Router;
use axum::routing::get;

/// Paths that are not gRPC.
pub fn router() -> Router {
    // That it answers is the answer: what is behind it is told by grpc.health.v1.
    Router::new().route("/healthz", get(|| async { "ok\n" }))
}
