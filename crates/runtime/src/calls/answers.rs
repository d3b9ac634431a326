//! The answers of unary calls are held until their callers have taken them, which costs
//! memory: so within a bounded time, and in the room that the call had.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Status;

use super::bodies::WEIGHT_BYTES;
use super::busy;
use crate::Connection;
use crate::shares::Share;

/// How answers are held.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    pub(super) deadline: Duration,
}

/// A part of an answer. HTTP/2 takes it from the body before the caller takes it from HTTP/2,
/// so what is held goes with the bytes, and not with the body.
struct Held {
    bytes: Bytes,
    /// Dropped, it gives back the room, and nobody waits any more.
    _held: Arc<(Share, Option<DropGuard>)>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Answers {
    /// An answer that takes the room of its call, and more if it is long, until it is on
    /// its way.
    ///
    /// # Errors
    /// What to answer instead if there is no room.
    pub(super) async fn hold(
        &self,
        answer: Response,
        mut room: Share,
        connection: Option<Connection>,
    ) -> Result<Response, Status> {
        let (head, body) = answer.into_parts();
        let (frames, bytes) = whole(body).await?;
        if frames.is_empty() {
            // Without a body the head must be the end: clients take it for the trailers.
            return Ok(Response::from_parts(head, Body::empty()));
        }
        let is_long = bytes > WEIGHT_BYTES;
        // Nothing is kept of the request.
        if !room.resize(WEIGHT_BYTES + if is_long { bytes } else { 0 }) {
            return Err(busy());
        }
        // Nobody waits for what is short while there is much room: that would cost each call.
        let waiting = match connection {
            Some(connection) if is_long || room.is_scarce() => Some(self.wait_for(connection)),
            _ => None,
        };
        let held = Arc::new((room, waiting));
        let frames = frames.into_iter().map(move |frame| {
            let bytes = |bytes| {
                let _held = Arc::clone(&held);
                Bytes::from_owner(Held { bytes, _held })
            };
            Ok::<_, Infallible>(frame.map_data(bytes))
        });
        let body = StreamBody::new(stream::iter(frames));
        Ok(Response::from_parts(head, Body::new(body)))
    }

    /// Closes a connection after a while, unless what this gives is dropped before. What
    /// waits to be sent goes with the connection, and in no other way.
    fn wait_for(&self, connection: Connection) -> DropGuard {
        let taken = CancellationToken::new();
        let waiting = taken.clone().drop_guard();
        let deadline = self.deadline;
        tokio::spawn(async move {
            if tokio::time::timeout(deadline, taken.cancelled())
                .await
                .is_err()
            {
                let remote_addr = connection.remote_addr;
                tracing::info!(%remote_addr, "closing a connection that takes no answer");
                connection.close.cancel();
            }
        });
        waiting
    }
}

/// The whole of a body that waits for nobody, and the bytes in it.
async fn whole(mut body: Body) -> Result<(Vec<Frame<Bytes>>, usize), Status> {
    // A message, and how the call ended.
    let mut frames = Vec::with_capacity(2);
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            tracing::error!(%error, "an answer broke off");
            Status::internal("internal error")
        })?;
        bytes += frame.data_ref().map_or(0, Bytes::len);
        frames.push(frame);
    }
    Ok((frames, bytes))
}
