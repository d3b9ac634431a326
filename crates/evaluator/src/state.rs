//! What a hop holds of an environment: its items at one position.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use burgee_proto::sync::v1::{Item, ItemKey, ItemKind};
use burgee_proto::types::v1::Position;

use crate::hash::{Digest, HASH_BYTES, state_hash};

/// What an item costs in memory beside its key and its body, in bytes; counted
/// so that a flood of empty items is bounded too.
const ITEM_OVERHEAD_BYTES: usize = 128;

/// Names an item. Ordered by kind, then by the bytes of the key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId {
    /// The enum number of the kind; numbers that this release does not know are
    /// kept.
    pub kind: i32,
    /// The key within the kind.
    pub key: String,
}

impl ItemId {
    /// Names an item of a known kind.
    pub fn new(kind: ItemKind, key: impl Into<String>) -> Self {
        Self {
            kind: kind as i32,
            key: key.into(),
        }
    }
}

impl From<&Item> for ItemId {
    fn from(item: &Item) -> Self {
        Self {
            kind: item.kind,
            key: item.key.clone(),
        }
    }
}

impl From<&ItemKey> for ItemId {
    fn from(key: &ItemKey) -> Self {
        Self {
            kind: key.kind,
            key: key.key.clone(),
        }
    }
}

/// All items of one environment at one position. Immutable; a clone shares
/// everything, and [`apply`](Self::apply) shares what it does not change.
#[derive(Clone)]
pub struct RulesetState {
    environment: Arc<str>,
    position: Position,
    /// Sorted by kind and key, each once. (Made once for each change: a slice would
    /// be copied out of the vector.)
    items: Arc<Vec<Held>>,
    /// Over every item but access keys.
    ruleset_digest: Digest,
    /// Over access keys alone.
    access_digest: Digest,
    size_bytes: usize,
}

/// An item with its digest, so that replacing it does not hash the old body
/// again.
#[derive(Clone)]
struct Held {
    item: Arc<Item>,
    digest: Digest,
}

impl RulesetState {
    /// Takes items from a trusted source (a database, a verified file). Of two
    /// with the same kind and key the later counts.
    pub fn new(
        environment: &str,
        position: Position,
        items: impl IntoIterator<Item = Arc<Item>>,
    ) -> Self {
        let empty = Self {
            environment: environment.into(),
            position,
            items: Arc::default(),
            ruleset_digest: Digest::new(),
            access_digest: Digest::new(),
            size_bytes: 0,
        };
        empty.apply(position, items.into_iter().collect(), &[])
    }

    /// The environment's uid.
    pub fn environment(&self) -> &str {
        &self.environment
    }

    /// Where the ruleset stands.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Every item, access keys and unknown kinds included, by kind and key.
    pub fn items(&self) -> impl ExactSizeIterator<Item = &Arc<Item>> {
        self.items.iter().map(|held| &held.item)
    }

    /// The items of one kind, by key.
    pub fn items_of(&self, kind: ItemKind) -> impl ExactSizeIterator<Item = &Arc<Item>> {
        let kind = kind as i32;
        let start = self.items.partition_point(|held| held.item.kind < kind);
        let end = self.items.partition_point(|held| held.item.kind <= kind);
        let held = self.items.get(start..end).unwrap_or_default();
        held.iter().map(|held| &held.item)
    }

    /// One item.
    pub fn get(&self, kind: i32, key: &str) -> Option<&Arc<Item>> {
        let index = self
            .items
            .binary_search_by(|held| (held.item.kind, held.item.key.as_str()).cmp(&(kind, key)))
            .ok()?;
        self.items.get(index).map(|held| &held.item)
    }

    /// The hash over every item but access keys.
    pub fn state_hash(&self) -> [u8; HASH_BYTES] {
        state_hash(&self.environment, self.position, &self.ruleset_digest)
    }

    /// The hash over access keys alone.
    pub fn access_hash(&self) -> [u8; HASH_BYTES] {
        state_hash(&self.environment, self.position, &self.access_digest)
    }

    /// What the items take in memory, roughly.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// This state with some items replaced or added, and then some removed, at
    /// another position. Nothing is verified: see
    /// [`Receiver`](crate::receiver::Receiver) for what comes from a stream.
    pub fn apply(&self, to: Position, upserted: Vec<Arc<Item>>, removed: &[ItemKey]) -> Self {
        let mut changes: BTreeMap<ItemId, Option<Arc<Item>>> = BTreeMap::new();
        changes.extend(
            upserted
                .into_iter()
                .map(|item| ((&*item).into(), Some(item))),
        );
        changes.extend(removed.iter().map(|key| (key.into(), None)));

        let mut next = Self {
            position: to,
            items: Arc::default(),
            ..self.clone()
        };
        let mut items = Vec::with_capacity(self.items.len() + changes.len());
        // Those after the change before. What lies between two changes is taken
        // over without a look at it.
        let mut rest = self.items.as_slice();
        for (id, change) in changes {
            let place = rest.partition_point(|held| held.id() < (id.kind, &id.key));
            let (before, from) = rest.split_at_checked(place).unwrap_or((rest, &[]));
            items.extend_from_slice(before);
            rest = from;
            if let Some((old, after)) = rest.split_first()
                && old.id() == (id.kind, &id.key)
            {
                next.count(old);
                next.size_bytes -= item_size_bytes(&old.item);
                rest = after;
            }
            if let Some(item) = change {
                let new = Held {
                    digest: Digest::of(&item),
                    item,
                };
                next.count(&new);
                next.size_bytes += item_size_bytes(&new.item);
                items.push(new);
            }
        }
        items.extend_from_slice(rest);
        next.items = Arc::new(items);
        next
    }

    /// The same items at another position.
    pub fn at(&self, position: Position) -> Self {
        Self {
            position,
            ..self.clone()
        }
    }

    /// Puts an item into the digest that covers it, or takes it out.
    fn count(&mut self, held: &Held) {
        if held.item.kind == ItemKind::AccessKey as i32 {
            self.access_digest.combine(&held.digest);
        } else {
            self.ruleset_digest.combine(&held.digest);
        }
    }
}

impl Held {
    fn id(&self) -> (i32, &String) {
        (self.item.kind, &self.item.key)
    }
}

impl fmt::Debug for RulesetState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RulesetState")
            .field("environment", &self.environment)
            .field("position", &self.position)
            .field("items", &self.items.len())
            .finish_non_exhaustive()
    }
}

/// What an item takes in memory, roughly.
pub(crate) fn item_size_bytes(item: &Item) -> usize {
    item.body.len() + item.key.len() + ITEM_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn position(revision: u64) -> Position {
        Position { epoch: 1, revision }
    }

    fn item(kind: ItemKind, key: &str, body: &'static str) -> Arc<Item> {
        Arc::new(Item {
            kind: kind as i32,
            key: key.to_owned(),
            revision: 1,
            level: 1,
            body: Bytes::from_static(body.as_bytes()),
        })
    }

    #[test]
    fn applying_changes_gives_the_state_that_the_items_alone_would_give() {
        let start = RulesetState::new(
            "e",
            position(1),
            [
                item(ItemKind::Flag, "b", "1"),
                item(ItemKind::AccessKey, "k", "1"),
                item(ItemKind::Flag, "a", "1"),
            ],
        );
        let gone = [ItemKey {
            kind: ItemKind::Flag as i32,
            key: "a".into(),
        }];
        let next = start.apply(
            position(2),
            vec![
                item(ItemKind::Flag, "b", "two"),
                item(ItemKind::Segment, "s", ""),
            ],
            &gone,
        );
        let whole = RulesetState::new(
            "e",
            position(2),
            [
                item(ItemKind::Segment, "s", ""),
                item(ItemKind::Flag, "b", "two"),
                item(ItemKind::AccessKey, "k", "1"),
            ],
        );
        assert_eq!(next.state_hash(), whole.state_hash());
        assert_eq!(next.access_hash(), whole.access_hash());
        assert_eq!(next.size_bytes(), whole.size_bytes());
        let keys: Vec<_> = next.items().map(|item| item.key.as_str()).collect();
        assert_eq!(keys, ["b", "s", "k"]);
        assert!(next.get(ItemKind::Flag as i32, "a").is_none());
        assert_eq!(next.items_of(ItemKind::Segment).len(), 1);
        assert_eq!(start.items().len(), 3, "the state before is untouched");
    }

    #[test]
    fn of_two_items_with_one_key_the_later_counts() {
        let twice = RulesetState::new(
            "e",
            position(1),
            [
                item(ItemKind::Flag, "a", "1"),
                item(ItemKind::Flag, "a", "2"),
            ],
        );
        let once = RulesetState::new("e", position(1), [item(ItemKind::Flag, "a", "2")]);
        assert_eq!(twice.state_hash(), once.state_hash());
    }

    #[test]
    fn access_keys_do_not_touch_the_state_hash() {
        let without = RulesetState::new("e", position(1), []);
        let with = RulesetState::new("e", position(1), [item(ItemKind::AccessKey, "k", "1")]);
        assert_eq!(with.state_hash(), without.state_hash());
        assert_ne!(with.access_hash(), without.access_hash());
    }
}
