//! What browsers are told, and what pages of other origins may ask.
//!
//! Nothing, unless the operator names origins; then, of the services that are meant
//! for them, and never with a cookie: what a page may do is decided by the key that
//! it shows. Beside that, answers that a browser could show say that they are not to
//! be shown, guessed at, kept, or framed.

mod headers;
mod origins;

use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use http::header::ORIGIN;
use http::{HeaderName, Method};
use tower::{Layer as _, ServiceExt as _};
use tower_http::cors::{AllowHeaders, CorsLayer};

pub use self::origins::{
    AllowedOrigin, AllowedOrigins, MalformedOrigins, is_loopback_host, is_origin,
};

/// How long a browser may remember what it was allowed.
const PREFLIGHT_AGE: Duration = Duration::from_secs(2 * 60 * 60);

/// What gRPC-web clients read of a response.
const EXPOSED: [HeaderName; 3] = [
    HeaderName::from_static("grpc-status"),
    HeaderName::from_static("grpc-message"),
    HeaderName::from_static("grpc-status-details-bin"),
];

/// Answers browsers in front of everything else, so that refusals of any kind can be
/// read, too. Pages of the `origins` may call what is below `paths`, each
/// `/package.Service/`.
pub fn admit(router: Router, origins: &AllowedOrigins, paths: &'static [&'static str]) -> Router {
    let router = match origins.layer() {
        None => router,
        Some(origins) => {
            let cors = CorsLayer::new()
                .allow_origin(origins)
                .allow_methods([Method::POST])
                // A list, and not `*`, which does not stand for `authorization`.
                .allow_headers(AllowHeaders::mirror_request())
                .expose_headers(EXPOSED)
                .max_age(PREFLIGHT_AGE);
            router.layer(from_fn_with_state((cors, paths), cross_origin))
        }
    };
    router.layer(from_fn(headers::add))
}

async fn cross_origin(
    State((cors, paths)): State<(CorsLayer, &'static [&'static str])>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    let open = paths.iter().any(|prefix| path.starts_with(prefix));
    // Only browsers say from where a page came.
    if !open || !request.headers().contains_key(ORIGIN) {
        return next.run(request).await;
    }
    match cors.layer(next).oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}
