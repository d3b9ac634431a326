//! What a receiver holds, and whether each message was allowed to bring it
//! there.

use std::collections::BTreeMap;

use burgee_proto::sync::v1::ruleset_update::Message;
use burgee_proto::sync::v1::{
    Bookmark, Delta, GoodbyeReason, Item, ItemKind, RulesetUpdate, Snapshot,
};
use burgee_proto::types::v1::Position;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

#[cfg(test)]
mod tests;

/// The items held, and every message that was received.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// The environment's uid. Empty before the first message.
    pub environment: String,
    /// What is held. (0, 0) before the first synchronisation.
    pub position: Position,
    /// By kind and key.
    pub items: BTreeMap<(i32, String), Item>,
    /// What the next stream resumes with.
    pub resume_token: Bytes,
    /// Every message, oldest first.
    pub seen: Vec<Seen>,
    /// Broken rules. A test that finds one fails.
    pub violations: Vec<String>,
    staged: Staged,
    /// Streams begun.
    streams: usize,
}

/// A message that was received.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// What it was.
    pub kind: Kind,
    /// The position it named.
    pub position: Position,
    /// Whether the receiver held that position after it.
    pub complete: bool,
    /// Which stream brought it, from 1.
    pub stream: usize,
}

/// A message's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A chunk of the whole.
    Snapshot,
    /// What changed.
    Delta,
    /// A sign of life.
    Bookmark,
    /// A sign of life of a sender that is behind.
    Behind,
    /// The end.
    Goodbye,
}

/// What came of a series that is not complete.
#[derive(Clone, Debug, Default)]
struct Staged {
    snapshot: Vec<Item>,
    parts: Vec<Delta>,
    position: Position,
}

impl Ledger {
    /// A new stream: what was staged of the one before is gone.
    pub fn begin_stream(&mut self) {
        self.staged = Staged::default();
        self.streams += 1;
    }

    /// Takes a message; gives the reason if it was a goodbye.
    pub fn receive(&mut self, update: RulesetUpdate) -> Option<GoodbyeReason> {
        let position = update.position.unwrap_or_default();
        if self.environment.is_empty() {
            self.environment.clone_from(&update.environment);
        }
        let same = update.environment == self.environment;
        self.demand(same, "another environment", position);
        let mut goodbye = None;
        let (kind, complete) = match &update.message {
            Some(Message::Snapshot(snapshot)) => {
                (Kind::Snapshot, self.take_snapshot(snapshot, position))
            }
            Some(Message::Delta(delta)) => (Kind::Delta, self.take_delta(delta, position)),
            Some(Message::Bookmark(Bookmark { behind: true, .. })) => {
                self.demand(position < self.position, "behind, but ahead", position);
                (Kind::Behind, false)
            }
            Some(Message::Bookmark(_)) => {
                self.demand(position >= self.position, "a lower bookmark", position);
                (Kind::Bookmark, true)
            }
            Some(Message::Goodbye(message)) => {
                goodbye = Some(message.reason());
                (Kind::Goodbye, false)
            }
            None => {
                self.violations.push("a message without a kind".to_owned());
                return None;
            }
        };
        if complete {
            self.position = position;
            self.check_hashes(&update);
            self.resume_token = update.resume_token;
        } else {
            let bare = update.resume_token.is_empty() && update.state_hash.is_empty();
            self.demand(bare, "a token or hash on an incomplete message", position);
        }
        self.seen.push(Seen {
            kind,
            position,
            complete,
            stream: self.streams,
        });
        goodbye
    }

    /// State hash and access hash of `items`, as `RulesetUpdate` describes them.
    ///
    /// # Panics
    ///
    /// When a kind or level does not fit a byte.
    pub fn hashes<'items>(
        environment: &str,
        position: Position,
        items: impl IntoIterator<Item = &'items Item>,
    ) -> (Bytes, Bytes) {
        let (mut state, mut access) = ([0_u8; 16], [0_u8; 16]);
        for item in items {
            let is_access_key = item.kind() == ItemKind::AccessKey;
            let sum = if is_access_key {
                &mut access
            } else {
                &mut state
            };
            let mut hasher = Sha256::new();
            hasher.update([u8::try_from(item.kind).unwrap()]);
            hasher.update(item.key.as_bytes());
            hasher.update([0, u8::try_from(item.level).unwrap()]);
            hasher.update(&item.body);
            for (byte, more) in sum.iter_mut().zip(hasher.finalize()) {
                *byte ^= more;
            }
        }
        let whole = |sum: [u8; 16]| {
            let mut hasher = Sha256::new();
            hasher.update(environment.as_bytes());
            hasher.update(position.epoch.to_be_bytes());
            hasher.update(position.revision.to_be_bytes());
            hasher.update(sum);
            Bytes::copy_from_slice(&hasher.finalize()[..16])
        };
        (whole(state), whole(access))
    }

    /// # Panics
    ///
    /// When a message broke a rule of the protocol.
    pub fn assert_sound(&self) {
        assert!(self.violations.is_empty(), "{:#?}", self.violations);
    }

    fn take_snapshot(&mut self, snapshot: &Snapshot, position: Position) -> bool {
        self.demand(position >= self.position, "a lower snapshot", position);
        self.stage(position);
        self.staged.snapshot.extend(snapshot.items.iter().cloned());
        if !snapshot.last_chunk {
            return false;
        }
        self.items.clear();
        for item in std::mem::take(&mut self.staged.snapshot) {
            let newer = item.revision > position.revision;
            self.demand(!newer, "an item above the snapshot's position", position);
            let twice = self.items.insert((item.kind, item.key.clone()), item);
            self.demand(twice.is_none(), "an item twice in a snapshot", position);
        }
        true
    }

    fn take_delta(&mut self, delta: &Delta, position: Position) -> bool {
        let from = delta.from.unwrap_or_default();
        self.demand(from == self.position, "a delta from elsewhere", position);
        self.demand(position > from, "a delta that goes nowhere", position);
        self.demand(
            position.epoch == from.epoch,
            "a delta over epochs",
            position,
        );
        self.stage(position);
        self.staged.parts.push(delta.clone());
        if delta.more {
            return false;
        }
        let parts = std::mem::take(&mut self.staged.parts);
        let changes = |part: &Delta| part.upserted.len() + part.removed.len();
        let any = parts.iter().map(changes).sum::<usize>() > 0;
        self.demand(any, "an empty delta", position);
        for part in parts {
            for item in part.upserted {
                let due = item.revision > from.revision && item.revision <= position.revision;
                self.demand(due, "an item that this delta does not span", position);
                self.items.insert((item.kind, item.key.clone()), item);
            }
            for key in part.removed {
                self.items.remove(&(key.kind, key.key));
            }
        }
        true
    }

    /// Parts of one series name one position.
    fn stage(&mut self, position: Position) {
        if self.staged.position != position {
            self.staged = Staged {
                position,
                ..Staged::default()
            };
        }
    }

    fn check_hashes(&mut self, update: &RulesetUpdate) {
        let (state_hash, access_hash) =
            Self::hashes(&self.environment, self.position, self.items.values());
        let fits = update.state_hash == state_hash;
        self.demand(fits, "a state hash that does not fit", self.position);
        if !update.access_hash.is_empty() {
            let fits = update.access_hash == access_hash;
            self.demand(fits, "an access hash that does not fit", self.position);
        }
        let token = !update.resume_token.is_empty();
        self.demand(token, "no resume token", self.position);
    }

    fn demand(&mut self, holds: bool, broken: &str, position: Position) {
        if !holds {
            let held = self.position;
            self.violations
                .push(format!("{broken}: message at {position:?}, held {held:?}"));
        }
    }
}
