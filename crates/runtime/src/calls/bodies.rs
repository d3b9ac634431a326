//! Requests are read whole before anything is done for them, in a bounded time and
//! within a bounded memory.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use bytes::BytesMut;
use futures_util::StreamExt as _;
use tonic::Status;

use super::open_streams::REFLECTION;
use super::{Kind, Places, Shapes, busy};
use crate::shares::Share;

/// The longest request: 4 MiB, as base64 in gRPC-web, and what is around them. The
/// services themselves are more exact.
const BODY_BYTES_MAX: usize = 6 << 20;

/// What a request that is awaited weighs at least: its headers and its task.
pub(super) const WEIGHT_BYTES: usize = 8 << 10;

/// A request that is no longer than this becomes nothing large, in bytes.
const SMALL_BYTES: usize = 256;

/// The most that a request may take once it is decoded, in bytes: several times what any
/// takes that is accepted.
const DECODED_BYTES_MAX: usize = 24 << 20;

/// The room for requests.
#[derive(Debug, Clone)]
pub(super) struct Bodies {
    pub(super) places: Places,
    pub(super) shapes: Shapes,
    pub(super) deadline: Duration,
}

impl Bodies {
    /// A gRPC request with its whole body, and the room that this takes.
    ///
    /// # Errors
    /// What to answer if there is no room, or the body does not come.
    pub(super) async fn gather(
        &self,
        request: Request,
    ) -> Result<(Request, Option<Share>), Status> {
        if REFLECTION.contains(&request.uri().path()) {
            return Ok((request, None));
        }
        let mut room = self.places.take(&request, WEIGHT_BYTES).ok_or_else(busy)?;
        let (head, body) = request.into_parts();
        let whole = tokio::time::timeout(self.deadline, read(body, &mut room)).await;
        let late = |_| Status::deadline_exceeded("the request did not come in time");
        let whole = whole.map_err(late)??;
        if whole.len() > SMALL_BYTES {
            let is_text = Kind::is_text(&head.headers);
            let decoded = self.shapes.decoded_bytes(head.uri.path(), &whole, is_text);
            if decoded > DECODED_BYTES_MAX {
                return Err(Status::out_of_range("the message has too many parts"));
            }
            if decoded > WEIGHT_BYTES && !room.grow(decoded) {
                return Err(busy());
            }
        }
        Ok((Request::from_parts(head, whole.into()), Some(room)))
    }
}

/// The whole of a body, for which there is room.
async fn read(body: Body, room: &mut Share) -> Result<Bytes, Status> {
    let mut parts = body.into_data_stream();
    let mut whole = BytesMut::new();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|_| Status::invalid_argument("the request broke off"))?;
        if whole.len() + part.len() > BODY_BYTES_MAX {
            return Err(Status::invalid_argument("a message has at most 4 MiB"));
        }
        if !room.grow(part.len()) {
            return Err(busy());
        }
        // Copied, as a part of one byte keeps all of the buffer that it was read into.
        whole.extend_from_slice(&part);
    }
    Ok(whole.freeze())
}
