//! Ordinary HTTP beside gRPC on the one port: the probe of load balancers, and
//! what browsers may ask across origins.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use http::{HeaderName, Method};
use tower_http::cors::{AllowHeaders, Any, CorsLayer};

/// How long a browser may remember what it was allowed.
const PREFLIGHT_AGE: Duration = Duration::from_secs(2 * 60 * 60);

/// What gRPC-web clients read of a response.
const EXPOSED: [HeaderName; 3] = [
    HeaderName::from_static("grpc-status"),
    HeaderName::from_static("grpc-message"),
    HeaderName::from_static("grpc-status-details-bin"),
];

/// Paths that are not gRPC.
pub fn router() -> Router {
    // That it answers is the answer: what is behind it is told by grpc.health.v1.
    Router::new().route("/healthz", get(|| async { "ok\n" }))
}

/// Lets pages of any origin call: who calls is told by a header that no browser
/// sends by itself, and a client key's own origins are checked with the key.
pub fn cross_origin() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        // A list, and not `*`, which does not stand for `authorization`.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED)
        .max_age(PREFLIGHT_AGE)
}
