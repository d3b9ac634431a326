//! The streams that need no credential: those of gRPC's own services.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;

use super::answer::Caller;
use super::{Places, busy};

/// Reflection, in both versions. Its requests are streams: each tells what the next
/// one asks.
pub(super) const REFLECTION: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Health, as it changes.
const HEALTH: &str = "/grpc.health.v1.Health/Watch";

/// The room for them.
#[derive(Debug, Clone)]
pub(super) struct OpenStreams {
    pub(super) places: Places,
    pub(super) reflection: Duration,
}

impl OpenStreams {
    /// Lets a call pass, and holds a place for as long as its stream is open, if it is one.
    pub(super) async fn count(&self, caller: &Caller, request: Request, next: Next) -> Response {
        let reflects = REFLECTION.contains(&request.uri().path());
        if !reflects && request.uri().path() != HEALTH {
            return next.run(request).await;
        }
        let Some(place) = self.places.take(&request, 1) else {
            return caller.answer(busy());
        };
        let request = if reflects {
            request.map(|body| ending(body, self.reflection))
        } else {
            request
        };
        let response = next.run(request).await;
        response.map(|body| {
            let held = body.map_frame(move |frame| {
                // With the body goes the place.
                let _ = &place;
                frame
            });
            Body::new(held)
        })
    }
}

/// A request that says nothing more after a while.
fn ending(body: Body, after: Duration) -> Body {
    let said_all = tokio::time::sleep(after);
    Body::from_stream(body.into_data_stream().take_until(said_all))
}
