//! Requests are read whole before anything is done for them, in a bounded time and
//! within a bounded memory.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::BytesMut;
use futures_util::StreamExt as _;
use tonic::Status;

use super::Places;
use super::answer::Caller;
use super::open_streams::REFLECTION;
use crate::shares::Share;

/// The longest request: 4 MiB, as base64 in gRPC-web, and what is around them. The
/// services themselves are more exact.
const BODY_BYTES_MAX: usize = 6 << 20;

/// What a request that is awaited weighs at least: its headers and its task.
const WEIGHT_BYTES: usize = 8 << 10;

/// The room for requests.
#[derive(Debug, Clone)]
pub(super) struct Bodies {
    pub(super) places: Places,
    pub(super) deadline: Duration,
}

pub(super) async fn gather(State(bodies): State<Bodies>, request: Request, next: Next) -> Response {
    let caller = Caller::of(&request);
    // Nobody reads what comes with anything else.
    if !caller.is_grpc() || REFLECTION.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let Some(mut room) = bodies.places.take(&request, WEIGHT_BYTES) else {
        return bodies.places.refuse(&request);
    };
    let (head, body) = request.into_parts();
    let whole = read(body, &mut room, bodies.places.busy);
    let whole = tokio::time::timeout(bodies.deadline, whole).await;
    let late = |_| {
        Err(Status::deadline_exceeded(
            "the request did not come in time",
        ))
    };
    match whole.unwrap_or_else(late) {
        // The room is held until the response begins: until then, so are the bytes.
        Ok(body) => next.run(Request::from_parts(head, body.into())).await,
        Err(status) => caller.answer(status),
    }
}

/// The whole of a body, for which there is room.
async fn read(body: Body, room: &mut Share, busy: fn() -> Status) -> Result<Bytes, Status> {
    let mut parts = body.into_data_stream();
    let mut whole = BytesMut::new();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|_| Status::cancelled("the request broke off"))?;
        if whole.len() + part.len() > BODY_BYTES_MAX {
            return Err(Status::out_of_range("a message has at most 4 MiB"));
        }
        if !room.grow(part.len()) {
            return Err(busy());
        }
        // Copied, as a part of one byte keeps all of the buffer that it was read into.
        whole.extend_from_slice(&part);
    }
    Ok(whole.freeze())
}
