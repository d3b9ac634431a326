//! Requests are read whole before anything is done for them, in a bounded time and
//! within a bounded memory.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use bytes::BytesMut;
use futures_util::StreamExt as _;
use tonic::Status;

use super::open_streams::REFLECTION;
use super::{Places, busy};
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
