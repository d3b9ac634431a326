//! The receiving side of a ruleset watch, as a state machine without I/O: what
//! SDKs and relays do with each message, in one place.
//!
//! Parts are staged and swapped in as a whole. Nothing that is refused touches
//! what is held, and nothing ever goes back to a lower position.

use std::sync::Arc;

use burgee_proto::sync::v1::ruleset_update::Message;
use burgee_proto::sync::v1::{
    Bookmark, Delta, Goodbye, Item, ItemKey, ItemKind, RulesetUpdate, Snapshot,
};
use burgee_proto::types::v1::Position;
use bytes::Bytes;
use prost_types::Timestamp;

use crate::state::{ItemId, RulesetState, item_size_bytes};

/// The longest body of an item, in bytes.
pub const BODY_BYTES_MAX: usize = 256 * 1024;

/// The most that a staged message series or a held ruleset may take, in bytes.
/// Servers refuse rulesets over 20 MiB, so this bounds a sender that lies.
pub const STATE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Kinds and levels are one byte in the state hash.
const BYTE_MAX: u32 = 255;

/// Follows the ruleset of one environment.
#[derive(Debug)]
pub struct Receiver {
    /// Refuse any other one. Learnt from the first ruleset if it was not given.
    environment: Option<String>,
    /// Whether the stream carries access keys and their hash.
    with_access_keys: bool,
    state: Option<RulesetState>,
    resume_token: Bytes,
    staged: Option<Staged>,
}

/// Parts of a snapshot or delta whose last part has not come yet.
#[derive(Debug)]
struct Staged {
    environment: String,
    position: Position,
    /// The position a delta builds on; none: a snapshot.
    from: Option<Position>,
    upserted: Vec<Arc<Item>>,
    removed: Vec<ItemKey>,
    size_bytes: usize,
}

/// What a message did.
#[derive(Debug)]
pub enum Received {
    /// It was staged, or was a bookmark of a sender that is behind.
    Nothing,
    /// A sign of life that confirmed what is held.
    Bookmark {
        /// What is held now.
        state: RulesetState,
        /// Whether the bookmark moved the position forward.
        moved: bool,
        /// When it was sent, on the sender's clock.
        server_time: Option<Timestamp>,
    },
    /// It completed a snapshot or delta, which is verified and held now.
    Swapped {
        /// What is held now.
        state: RulesetState,
        /// What is new in it.
        change: Applied,
    },
    /// The stream ends.
    Goodbye(Goodbye),
}

/// What a swap changed.
#[derive(Debug)]
pub enum Applied {
    /// Anything: a snapshot.
    Whole,
    /// What a delta named.
    Delta {
        /// New items and items with a new body.
        upserted: Vec<Arc<Item>>,
        /// Items that are gone.
        removed: Vec<ItemId>,
        /// When the newest change was committed, on the database's clock.
        committed_at: Option<Timestamp>,
    },
}

/// Why a message was refused. What is held stays as it was; reconnect with
/// [`Receiver::resume_token`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is about another environment.
    #[error("the message is about another environment")]
    OtherEnvironment,
    /// It would go back.
    #[error("the position is lower than the one held")]
    LowerPosition,
    /// It is a delta from a position that is not held. The token is dropped.
    #[error("the delta builds on a position that is not held")]
    FromMismatch,
    /// The result is not what the sender has. The token is dropped.
    #[error("the hash differs from the sender's")]
    HashMismatch,
    /// It breaks the protocol.
    #[error("malformed message: {0}")]
    Malformed(&'static str),
    /// It exceeds [`BODY_BYTES_MAX`] or [`STATE_BYTES_MAX`].
    #[error("an item or the ruleset is too large")]
    TooLarge,
}

impl Receiver {
    /// Holds nothing yet. Without an environment, that of the first ruleset is
    /// taken and kept. `with_access_keys`: the stream is a relay key's.
    pub fn new(environment: Option<String>, with_access_keys: bool) -> Self {
        Self {
            environment,
            with_access_keys,
            state: None,
            resume_token: Bytes::new(),
            staged: None,
        }
    }

    /// Goes on from a verified copy, such as a snapshot file.
    pub fn resume(state: RulesetState, resume_token: Bytes, with_access_keys: bool) -> Self {
        Self {
            environment: Some(state.environment().to_owned()),
            with_access_keys,
            state: Some(state),
            resume_token,
            staged: None,
        }
    }

    /// What to show at the next connection. Empty before the first ruleset and
    /// after a mismatch: a snapshot is wanted then.
    pub fn resume_token(&self) -> Bytes {
        self.resume_token.clone()
    }

    /// What is held.
    pub fn state(&self) -> Option<&RulesetState> {
        self.state.as_ref()
    }

    /// A new connection: drops what an earlier one left unfinished.
    pub fn begin_stream(&mut self) {
        self.staged = None;
    }

    /// Takes one message.
    ///
    /// # Errors
    ///
    /// A [`Refusal`]. What is held is untouched, what was staged is dropped; the
    /// caller counts it and reconnects.
    pub fn receive(&mut self, update: RulesetUpdate) -> Result<Received, Refusal> {
        let outcome = self.take(update);
        if let Err(refusal) = outcome {
            self.staged = None;
            if matches!(refusal, Refusal::FromMismatch | Refusal::HashMismatch) {
                self.resume_token = Bytes::new();
            }
        }
        outcome
    }

    fn take(&mut self, mut update: RulesetUpdate) -> Result<Received, Refusal> {
        self.check_environment(&update.environment)?;
        match update.message.take() {
            None => Err(Refusal::Malformed("no known message is set")),
            Some(Message::Goodbye(goodbye)) => Ok(Received::Goodbye(goodbye)),
            // Its position is the sender's own, and means nothing here.
            Some(Message::Bookmark(bookmark)) if bookmark.behind => Ok(Received::Nothing),
            Some(Message::Bookmark(bookmark)) => self.take_bookmark(&update, bookmark),
            Some(Message::Snapshot(snapshot)) => self.take_snapshot(&update, snapshot),
            Some(Message::Delta(delta)) => self.take_delta(&update, delta),
        }
    }

    fn check_environment(&self, environment: &str) -> Result<(), Refusal> {
        if environment.is_empty() {
            return Err(Refusal::Malformed("no environment"));
        }
        let expected = self.environment.as_deref();
        let staged = self
            .staged
            .as_ref()
            .map(|staged| staged.environment.as_str());
        match expected.or(staged) {
            Some(expected) if expected != environment => Err(Refusal::OtherEnvironment),
            _ => Ok(()),
        }
    }

    /// The position of a message that may not go back.
    fn position(&self, update: &RulesetUpdate) -> Result<Position, Refusal> {
        let position = update.position.ok_or(Refusal::Malformed("no position"))?;
        match &self.state {
            Some(state) if position < state.position() => Err(Refusal::LowerPosition),
            _ => Ok(position),
        }
    }

    fn take_bookmark(
        &mut self,
        update: &RulesetUpdate,
        bookmark: Bookmark,
    ) -> Result<Received, Refusal> {
        let position = self.position(update)?;
        if self.staged.is_some() {
            return Err(Refusal::Malformed("a bookmark inside a snapshot or delta"));
        }
        let Some(held) = &self.state else {
            return Err(Refusal::Malformed("a bookmark before the first ruleset"));
        };
        let moved = position > held.position();
        let state = held.at(position);
        self.hold(update, state.clone())?;
        Ok(Received::Bookmark {
            state,
            moved,
            server_time: bookmark.server_time,
        })
    }

    fn take_snapshot(
        &mut self,
        update: &RulesetUpdate,
        snapshot: Snapshot,
    ) -> Result<Received, Refusal> {
        let position = self.position(update)?;
        let staged = self.stage(update, position, None, snapshot.items, Vec::new())?;
        if !snapshot.last_chunk {
            self.staged = Some(staged);
            return Ok(Received::Nothing);
        }
        let state = RulesetState::new(&update.environment, position, staged.upserted);
        self.hold(update, state.clone())?;
        Ok(Received::Swapped {
            state,
            change: Applied::Whole,
        })
    }

    fn take_delta(&mut self, update: &RulesetUpdate, delta: Delta) -> Result<Received, Refusal> {
        let position = self.position(update)?;
        let from = delta
            .from
            .ok_or(Refusal::Malformed("a delta without from"))?;
        let held = match &self.state {
            Some(state) if state.position() == from => state.clone(),
            _ => return Err(Refusal::FromMismatch),
        };
        if position == from {
            return Err(Refusal::Malformed("a delta that does not move"));
        }
        let staged = self.stage(update, position, Some(from), delta.upserted, delta.removed)?;
        if delta.more {
            self.staged = Some(staged);
            return Ok(Received::Nothing);
        }
        let state = held.apply(position, staged.upserted.clone(), &staged.removed);
        self.hold(update, state.clone())?;
        Ok(Received::Swapped {
            state,
            change: Applied::Delta {
                upserted: staged.upserted,
                removed: staged.removed.iter().map(ItemId::from).collect(),
                committed_at: delta.committed_at,
            },
        })
    }

    /// Adds a part to the series it belongs to, or begins one. The series is
    /// given out; who waits for more of it puts it back.
    fn stage(
        &mut self,
        update: &RulesetUpdate,
        position: Position,
        from: Option<Position>,
        upserted: Vec<Item>,
        removed: Vec<ItemKey>,
    ) -> Result<Staged, Refusal> {
        let mut staged = match self.staged.take() {
            Some(staged) if staged.from == from && staged.position == position => staged,
            Some(_) => return Err(Refusal::Malformed("two series of parts are mixed")),
            None => Staged::new(update.environment.clone(), position, from),
        };
        for item in upserted {
            self.check_item(item.kind, item.level)?;
            if item.body.len() > BODY_BYTES_MAX {
                return Err(Refusal::TooLarge);
            }
            staged.grow(item_size_bytes(&item))?;
            staged.upserted.push(Arc::new(in_memory_of_its_own(item)));
        }
        for key in removed {
            self.check_item(key.kind, 0)?;
            staged.grow(key.key.len() + size_of::<ItemKey>())?;
            staged.removed.push(key);
        }
        Ok(staged)
    }

    fn check_item(&self, kind: i32, level: u32) -> Result<(), Refusal> {
        let kind_in_byte = u32::try_from(kind).is_ok_and(|kind| (1..=BYTE_MAX).contains(&kind));
        if !kind_in_byte {
            return Err(Refusal::Malformed("an item's kind is not 1 to 255"));
        }
        if level > BYTE_MAX {
            return Err(Refusal::Malformed("an item's level is not 0 to 255"));
        }
        if kind == ItemKind::AccessKey as i32 && !self.with_access_keys {
            return Err(Refusal::Malformed("access keys on a stream without them"));
        }
        Ok(())
    }

    /// Verifies a state against the hashes beside it, and holds it.
    fn hold(&mut self, update: &RulesetUpdate, state: RulesetState) -> Result<(), Refusal> {
        if update.state_hash != state.state_hash().as_slice() {
            return Err(Refusal::HashMismatch);
        }
        if self.with_access_keys && update.access_hash != state.access_hash().as_slice() {
            return Err(Refusal::HashMismatch);
        }
        if state.size_bytes() > STATE_BYTES_MAX {
            return Err(Refusal::TooLarge);
        }
        self.environment
            .get_or_insert_with(|| state.environment().to_owned());
        self.resume_token = Bytes::copy_from_slice(&update.resume_token);
        self.state = Some(state);
        Ok(())
    }
}

impl Staged {
    fn new(environment: String, position: Position, from: Option<Position>) -> Self {
        Self {
            environment,
            position,
            from,
            upserted: Vec::new(),
            removed: Vec::new(),
            size_bytes: 0,
        }
    }

    fn grow(&mut self, size_bytes: usize) -> Result<(), Refusal> {
        self.size_bytes += size_bytes;
        if self.size_bytes > STATE_BYTES_MAX {
            return Err(Refusal::TooLarge);
        }
        Ok(())
    }
}

/// A decoded body is a slice of the buffer that the message came in, and would
/// keep all of it in memory for as long as the item lives.
fn in_memory_of_its_own(item: Item) -> Item {
    Item {
        body: Bytes::copy_from_slice(&item.body),
        ..item
    }
}

#[cfg(test)]
#[path = "receiver_tests.rs"]
mod tests;
