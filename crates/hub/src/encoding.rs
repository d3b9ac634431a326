//! Ruleset messages as bytes. Each is encoded once and shared by all streams
//! that carry it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use burgee_evaluator::RulesetState;
use burgee_proto::sync::v1::ruleset_update::Message as Payload;
use burgee_proto::sync::v1::{
    Bookmark, Delta, Goodbye, GoodbyeReason, Item, ItemKey, ItemKind, ResumeToken, RulesetUpdate,
    Snapshot, WatchRulesetResponse,
};
use burgee_proto::types::v1::Position;
use bytes::Bytes;
use prost::Message as _;

/// The only version of resume tokens there is.
pub(crate) const TOKEN_VERSION: u32 = 1;

/// A message holds items of at most so many bytes, which with all that is
/// around them stays below 1 MiB.
const CHUNK_BYTES_MAX: usize = (1 << 20) - 1024;

/// What a field's tag and length take around an item or result, at most.
pub(crate) const FIELD_OVERHEAD_BYTES: usize = 6;

/// Encoded messages that belong together: a snapshot, or a delta.
#[derive(Clone, Debug, Default)]
pub(crate) struct Encoded {
    messages: Arc<[Bytes]>,
}

impl Encoded {
    /// The messages in order.
    pub(crate) fn messages(&self) -> &[Bytes] {
        &self.messages
    }

    /// All of them together.
    pub(crate) fn size_bytes(&self) -> usize {
        self.messages.iter().map(Bytes::len).sum()
    }
}

impl From<Vec<Bytes>> for Encoded {
    fn from(messages: Vec<Bytes>) -> Self {
        Self {
            messages: messages.into(),
        }
    }
}

/// What a difference holds, before it is encoded.
pub(crate) struct Difference<'a> {
    /// What the receiver holds.
    pub(crate) from: Position,
    /// New items and items with a new body.
    pub(crate) upserted: Vec<&'a Arc<Item>>,
    /// Items that are gone.
    pub(crate) removed: Vec<ItemKey>,
    /// When the newest change was committed.
    pub(crate) committed_at: Option<SystemTime>,
}

/// Whether an item is sent to a receiver.
pub(crate) fn is_visible(kind: i32, with_access_keys: bool) -> bool {
    with_access_keys || kind != ItemKind::AccessKey as i32
}

/// What an item takes in a message.
pub(crate) fn item_bytes(item: &Item) -> usize {
    item.encoded_len() + FIELD_OVERHEAD_BYTES
}

/// A whole ruleset. At least one message, even of an empty one.
pub(crate) fn snapshot(ruleset: &RulesetState, with_access_keys: bool) -> Encoded {
    let visible = ruleset
        .items()
        .filter(|item| is_visible(item.kind, with_access_keys));
    let mut chunks = chunks(visible.map(|item| (item_bytes(item), item)));
    let last = chunks.pop().unwrap_or_default();
    let message = |items: Vec<&Arc<Item>>, last_chunk: bool| {
        let snapshot = Snapshot {
            items: items.into_iter().map(|item| (**item).clone()).collect(),
            last_chunk,
        };
        let payload = Payload::Snapshot(snapshot);
        if last_chunk {
            completing(ruleset, with_access_keys, payload)
        } else {
            partial(ruleset, payload)
        }
    };
    let mut messages: Vec<Bytes> = chunks
        .into_iter()
        .map(|items| message(items, false))
        .collect();
    messages.push(message(last, true));
    messages.into()
}

/// What changed. At least one message, even where nothing did.
pub(crate) fn delta(
    ruleset: &RulesetState,
    with_access_keys: bool,
    difference: Difference<'_>,
) -> Encoded {
    let from = difference.from;
    let committed_at = difference.committed_at.map(Into::into);
    let changes = (difference.upserted.into_iter())
        .map(|item| (item_bytes(item), Change::Upserted(item)))
        .chain(difference.removed.into_iter().map(|key| {
            let bytes = key.encoded_len() + FIELD_OVERHEAD_BYTES;
            (bytes, Change::Removed(key))
        }));
    let mut parts = chunks(changes);
    let last = parts.pop().unwrap_or_default();
    let message = |changes: Vec<Change<'_>>, more: bool| {
        let mut delta = Delta {
            from: Some(from),
            more,
            committed_at,
            ..Delta::default()
        };
        for change in changes {
            match change {
                Change::Upserted(item) => delta.upserted.push((**item).clone()),
                Change::Removed(key) => delta.removed.push(key),
            }
        }
        let payload = Payload::Delta(delta);
        if more {
            partial(ruleset, payload)
        } else {
            completing(ruleset, with_access_keys, payload)
        }
    };
    let mut messages: Vec<Bytes> = parts.into_iter().map(|part| message(part, true)).collect();
    messages.push(message(last, false));
    messages.into()
}

enum Change<'a> {
    Upserted(&'a Arc<Item>),
    Removed(ItemKey),
}

/// Everything up to the ruleset's position has been delivered.
pub(crate) fn bookmark(ruleset: &RulesetState, with_access_keys: bool, now: SystemTime) -> Bytes {
    let bookmark = Bookmark {
        server_time: Some(now.into()),
        behind: false,
    };
    completing(ruleset, with_access_keys, Payload::Bookmark(bookmark))
}

/// This hop is behind the receiver, but alive.
pub(crate) fn behind(ruleset: &RulesetState, now: SystemTime) -> Bytes {
    let bookmark = Bookmark {
        server_time: Some(now.into()),
        behind: true,
    };
    partial(ruleset, Payload::Bookmark(bookmark))
}

/// The stream ends.
pub(crate) fn goodbye(ruleset: &RulesetState, goodbye: Goodbye) -> Bytes {
    partial(ruleset, Payload::Goodbye(goodbye))
}

/// The message that says why a stream ends.
pub(crate) fn farewell(reason: GoodbyeReason, after: Duration) -> Goodbye {
    Goodbye {
        reason: reason.into(),
        // Never out of range: a few seconds.
        reconnect_after: prost_types::Duration::try_from(after).ok(),
    }
}

/// A message without token and hashes.
fn partial(ruleset: &RulesetState, payload: Payload) -> Bytes {
    encode(RulesetUpdate {
        environment: ruleset.environment().to_owned(),
        position: Some(ruleset.position()),
        message: Some(payload),
        ..RulesetUpdate::default()
    })
}

/// A message after which the receiver holds exactly the ruleset.
fn completing(ruleset: &RulesetState, with_access_keys: bool, payload: Payload) -> Bytes {
    let token = ResumeToken {
        version: TOKEN_VERSION,
        environment: ruleset.environment().to_owned(),
        position: Some(ruleset.position()),
        with_access_keys,
    };
    let access_hash = if with_access_keys {
        Bytes::copy_from_slice(&ruleset.access_hash())
    } else {
        Bytes::new()
    };
    encode(RulesetUpdate {
        environment: ruleset.environment().to_owned(),
        position: Some(ruleset.position()),
        message: Some(payload),
        resume_token: token.encode_to_vec().into(),
        state_hash: Bytes::copy_from_slice(&ruleset.state_hash()),
        access_hash,
    })
}

/// GetRulesetResponse has the same bytes.
fn encode(update: RulesetUpdate) -> Bytes {
    let response = WatchRulesetResponse {
        update: Some(update),
    };
    response.encode_to_vec().into()
}

/// Groups things so that each group stays below the limit. One thing that
/// exceeds it alone has a group of its own.
fn chunks<T>(things: impl Iterator<Item = (usize, T)>) -> Vec<Vec<T>> {
    let mut chunks = Vec::new();
    let mut chunk = Vec::new();
    let mut chunk_bytes = 0;
    for (bytes, thing) in things {
        if !chunk.is_empty() && chunk_bytes + bytes > CHUNK_BYTES_MAX {
            chunks.push(std::mem::take(&mut chunk));
            chunk_bytes = 0;
        }
        chunk_bytes += bytes;
        chunk.push(thing);
    }
    if !chunk.is_empty() {
        chunks.push(chunk);
    }
    chunks
}
