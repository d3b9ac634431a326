//! An environment at one position, with everything that is derived from it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use burgee_evaluator::{Item, ItemId, Ruleset, RulesetState};
use burgee_proto::sync::v1::{ItemKey, ResumeToken};
use burgee_proto::types::v1::Position;
use prost::Message as _;
use tokio::time::Instant;

use crate::changes::Changes;
use crate::encoding::{self, Difference, Encoded, TOKEN_VERSION, is_visible, item_bytes};
use crate::source::{EnvironmentDelta, EnvironmentLoad, Tombstone};
use crate::tombstones::Tombstones;

/// The first change goes out at once, those of the next so long in one message.
const GATHER: Duration = Duration::from_millis(10);

/// Differences that are kept for a position. Streams that follow ask for one or
/// two; more only come when many reconnect at once.
const DIFFERENCES_MAX: usize = 64;

/// An environment at one position. Immutable but for what is made on first use.
pub(crate) struct EnvironmentState {
    ruleset: RulesetState,
    tombstones: Tombstones,
    committed_at: Option<SystemTime>,
    /// Streams send it from this instant on.
    due: Instant,
    /// What a snapshot's items take, without access keys, and these alone.
    item_bytes: [usize; 2],
    /// Made for the first evaluation.
    compiled: ArcSwapOption<Ruleset>,
    changes: Changes,
    messages: Mutex<Messages>,
}

/// Encoded messages, made on first use.
#[derive(Default)]
struct Messages {
    snapshots: [Option<Encoded>; 2],
    /// By what the receiver holds, and whether it gets access keys. `None`:
    /// nothing in it is for such a receiver.
    differences: HashMap<(Position, bool), Option<Encoded>>,
    used_at: Option<Instant>,
}

/// What a receiver with a resume token deserves.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Deserved {
    /// It missed nothing.
    Bookmark,
    /// What it missed since it held this position.
    Difference(Position),
    /// Everything.
    Whole,
    /// It is ahead: nothing, until this hop has caught up.
    Patience,
}

impl EnvironmentState {
    /// An environment as a source gave it.
    pub(crate) fn new(load: EnvironmentLoad, now: Instant) -> Self {
        let tombstones = Tombstones::new(load.floor, load.tombstones, now);
        let ruleset = RulesetState::new(&load.environment, load.position, load.items);
        Self::with(ruleset, tombstones, load.committed_at, now)
    }

    fn with(
        ruleset: RulesetState,
        tombstones: Tombstones,
        committed_at: Option<SystemTime>,
        due: Instant,
    ) -> Self {
        let mut bytes = [0; 2];
        let [without, access_keys] = &mut bytes;
        for item in ruleset.items() {
            if is_visible(item.kind, false) {
                *without += item_bytes(item);
            } else {
                *access_keys += item_bytes(item);
            }
        }
        Self {
            ruleset,
            tombstones,
            committed_at,
            due,
            item_bytes: bytes,
            compiled: ArcSwapOption::empty(),
            changes: Changes::default(),
            messages: Mutex::default(),
        }
    }

    /// This state after a delta of the same epoch.
    pub(crate) fn apply(&self, delta: EnvironmentDelta, now: Instant) -> Self {
        let mut tombstones = self.tombstones.clone();
        for item in &delta.upserted {
            tombstones.revive(&ItemId::from(&**item));
        }
        let mut removed = Vec::with_capacity(delta.removed.len());
        for tombstone in delta.removed {
            removed.push(ItemKey {
                kind: tombstone.kind,
                key: tombstone.key.clone(),
            });
            tombstones.remove(tombstone, now);
        }
        tombstones.prune(now);
        let ruleset = self.ruleset.apply(delta.position, delta.upserted, &removed);
        let next = Self::with(ruleset, tombstones, delta.committed_at, self.due_after(now));
        self.recompile_into(&next);
        next
    }

    /// A whole environment in place of this one. In the same epoch what
    /// vanished becomes a tombstone, so that receivers of this one still get a
    /// difference.
    pub(crate) fn replace(&self, load: EnvironmentLoad, now: Instant) -> Self {
        let mut next = Self::new(load, now);
        next.due = self.due_after(now);
        if next.position().epoch == self.position().epoch {
            let revision = next.position().revision;
            next.tombstones.merge(&self.tombstones);
            for item in self.ruleset.items() {
                let id = ItemId::from(&**item);
                let gone = next.ruleset.get(item.kind, &item.key).is_none();
                if gone && !next.tombstones.contains(&id) {
                    let tombstone = Tombstone {
                        kind: id.kind,
                        key: id.key,
                        revision,
                    };
                    next.tombstones.remove(tombstone, now);
                }
            }
            for item in next.ruleset.items() {
                next.tombstones.revive(&ItemId::from(&**item));
            }
            next.tombstones.prune(now);
        }
        self.recompile_into(&next);
        next
    }

    /// Compiles the next state, at the cost of what differs, if somebody
    /// evaluates with this one.
    fn recompile_into(&self, next: &Self) {
        if let Some(compiled) = self.compiled() {
            let recompiled = compiled.recompile(&next.ruleset);
            next.compiled.store(Some(Arc::new(recompiled)));
        }
    }

    /// A change is due at once, unless another went out just before.
    fn due_after(&self, now: Instant) -> Instant {
        if self.due > now {
            self.due
        } else {
            now.max(self.due + GATHER)
        }
    }

    /// The ruleset itself.
    pub(crate) fn ruleset(&self) -> &RulesetState {
        &self.ruleset
    }

    /// Where it stands.
    pub(crate) fn position(&self) -> Position {
        self.ruleset.position()
    }

    /// Streams send it from this instant on.
    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// What it takes in memory, roughly: items, and what is derived from them.
    pub(crate) fn size_bytes(&self) -> usize {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let encoded: usize = (messages.snapshots.iter().flatten())
            .chain(messages.differences.values().flatten())
            .map(Encoded::size_bytes)
            .sum();
        let compiled = if self.compiled().is_some() { 1 } else { 0 };
        self.ruleset.size_bytes() * (1 + compiled) + encoded
    }

    /// What a receiver deserves that shows a resume token, or none.
    pub(crate) fn deserved(&self, token: &[u8], with_access_keys: bool) -> Deserved {
        let Some(held) = self.held(token, with_access_keys) else {
            return Deserved::Whole;
        };
        let position = self.position();
        if held > position {
            Deserved::Patience
        } else if held == position {
            Deserved::Bookmark
        } else if !self.reaches_back_to(held) {
            Deserved::Whole
        } else {
            let missed = self.difference(held, with_access_keys);
            let missed_bytes = missed.map_or(0, |encoded| encoded.size_bytes());
            if missed_bytes > self.snapshot_bytes(with_access_keys) / 2 {
                Deserved::Whole
            } else {
                Deserved::Difference(held)
            }
        }
    }

    /// Whether the difference to an earlier position is known.
    pub(crate) fn reaches_back_to(&self, held: Position) -> bool {
        held.epoch == self.position().epoch && held.revision >= self.tombstones.floor()
    }

    /// What a token says that its bearer holds, if that is of use here.
    fn held(&self, token: &[u8], with_access_keys: bool) -> Option<Position> {
        if token.is_empty() {
            return None;
        }
        let token = ResumeToken::decode(token).ok()?;
        let fits = token.version == TOKEN_VERSION
            && token.environment == self.ruleset.environment()
            && (token.with_access_keys || !with_access_keys);
        token.position.filter(|_| fits)
    }

    fn snapshot_bytes(&self, with_access_keys: bool) -> usize {
        let [without, access_keys] = self.item_bytes;
        without + if with_access_keys { access_keys } else { 0 }
    }

    /// The whole ruleset, encoded.
    pub(crate) fn snapshot(&self, with_access_keys: bool) -> Encoded {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.used_at = Some(Instant::now());
        let [without, with] = &mut messages.snapshots;
        let memo = if with_access_keys { with } else { without };
        // Under the lock: whoever wants it too waits instead of doing it again.
        memo.get_or_insert_with(|| encoding::snapshot(&self.ruleset, with_access_keys))
            .clone()
    }

    /// What a receiver missed since a position that this state reaches back to.
    /// `None`: nothing that is for such a receiver.
    pub(crate) fn difference(&self, from: Position, with_access_keys: bool) -> Option<Encoded> {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.used_at = Some(Instant::now());
        if let Some(known) = messages.differences.get(&(from, with_access_keys)) {
            return known.clone();
        }
        let encoded = self.encode_difference(from, with_access_keys);
        if messages.differences.len() < DIFFERENCES_MAX {
            (messages.differences).insert((from, with_access_keys), encoded.clone());
        }
        encoded
    }

    fn encode_difference(&self, from: Position, with_access_keys: bool) -> Option<Encoded> {
        let visible = |item: &&Arc<Item>| {
            item.revision > from.revision && is_visible(item.kind, with_access_keys)
        };
        let upserted: Vec<_> = self.ruleset.items().filter(visible).collect();
        let removed: Vec<_> = (self.tombstones.since(from.revision))
            .filter(|key| is_visible(key.kind, with_access_keys))
            .collect();
        if upserted.is_empty() && removed.is_empty() {
            return None;
        }
        let difference = Difference {
            from,
            upserted,
            removed,
            committed_at: self.committed_at,
        };
        Some(encoding::delta(&self.ruleset, with_access_keys, difference))
    }

    /// The compiled ruleset, if somebody asked for it before.
    pub(crate) fn compiled(&self) -> Option<Arc<Ruleset>> {
        self.compiled.load_full()
    }

    /// Compiles, and keeps the result.
    pub(crate) fn compile(&self) -> Arc<Ruleset> {
        let compiled = Arc::new(Ruleset::compile(&self.ruleset));
        self.compiled.store(Some(compiled.clone()));
        compiled
    }

    /// Which flags changed on the way here.
    pub(crate) fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Lets the compiled ruleset go.
    pub(crate) fn forget_compiled(&self) {
        self.compiled.store(None);
    }

    /// Lets encoded messages go that were not used for a while.
    pub(crate) fn forget_messages(&self, now: Instant, idle: Duration) {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let idles = |used_at: Instant| now.saturating_duration_since(used_at) >= idle;
        if messages.used_at.is_some_and(idles) {
            *messages = Messages::default();
        }
    }
}
