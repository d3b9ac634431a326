//! A change leads to the same ruleset, whatever pieces it is sent in.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may stop at the first surprise"
)]

#[path = "support/builders.rs"]
mod builders;
#[path = "support/generate.rs"]
mod generate;
#[path = "support/strategies.rs"]
mod strategies;

use std::sync::Arc;

use burgee_evaluator::{Item, Received, Receiver, Ruleset, RulesetState};
use burgee_proto::sync::v1::ruleset_update::Message;
use burgee_proto::sync::v1::{Delta, ItemKey, RulesetUpdate, Snapshot};
use burgee_proto::types::v1::Position;
use proptest::prelude::*;

use builders::evaluate;
use generate::{FLAGS, Generator, KEYS};
use strategies::{bytes, wild};

const ENVIRONMENT: &str = "3f2b8c1e-0000-4000-8000-000000000001";

fn position(revision: u64) -> Position {
    Position { epoch: 1, revision }
}

/// Items that a receiver takes: their kinds and levels fit into a byte.
fn items(generator: &mut Generator<'_>) -> Vec<Arc<Item>> {
    let mut items = generator.items(16);
    items.retain(|item| (1..=255).contains(&item.kind) && item.level <= 255);
    items
}

/// An item that is new or other, or the key of one that is gone.
#[derive(Clone)]
enum Change {
    Upsert(Arc<Item>),
    Remove(ItemKey),
}

fn changes(from: &RulesetState, to: &RulesetState) -> Vec<Change> {
    let upserted = to.items().filter(|item| {
        let old = from.get(item.kind, &item.key);
        old.is_none_or(|old| old != *item)
    });
    let removed = from
        .items()
        .filter(|item| to.get(item.kind, &item.key).is_none());
    let removed = removed.map(|item| {
        Change::Remove(ItemKey {
            kind: item.kind,
            key: item.key.clone(),
        })
    });
    upserted
        .cloned()
        .map(Change::Upsert)
        .chain(removed)
        .collect()
}

/// Some of a list, in any order, at least one.
fn take_some<T>(from: &mut Vec<T>, choices: &mut Generator<'_>) -> Vec<T> {
    let count = 1 + choices.below(from.len());
    let one = |_| {
        let place = choices.below(from.len());
        from.swap_remove(place)
    };
    (0..count).map(one).collect()
}

/// A sender, and a receiver that verifies what it is sent.
struct Stream {
    receiver: Receiver,
    /// What the receiver should come to hold next.
    sent: RulesetState,
}

impl Stream {
    fn send(&mut self, message: Message) -> Received {
        let update = RulesetUpdate {
            environment: ENVIRONMENT.to_owned(),
            position: Some(self.sent.position()),
            message: Some(message),
            state_hash: self.sent.state_hash().to_vec().into(),
            access_hash: self.sent.access_hash().to_vec().into(),
            ..RulesetUpdate::default()
        };
        self.receiver.receive(update).unwrap()
    }

    /// Sends a snapshot of everything in some chunks.
    fn snapshot(&mut self, choices: &mut Generator<'_>) {
        let mut items: Vec<_> = self.sent.items().map(|item| Item::clone(item)).collect();
        while !items.is_empty() && choices.once_in(2) {
            let items = take_some(&mut items, choices);
            self.send(Message::Snapshot(Snapshot {
                items,
                last_chunk: false,
            }));
        }
        self.send(Message::Snapshot(Snapshot {
            items,
            last_chunk: true,
        }));
    }

    /// Sends a delta of some changes in some parts.
    fn delta(&mut self, mut changes: Vec<Change>, choices: &mut Generator<'_>) -> RulesetState {
        let from = self.sent.position();
        let (upserted, removed) = divide(changes.clone());
        let to = position(from.revision + 1);
        self.sent = self.sent.apply(to, upserted, &removed);
        loop {
            let (upserted, removed) = divide(take_some(&mut changes, choices));
            let received = self.send(Message::Delta(Delta {
                from: Some(from),
                upserted: upserted.iter().map(|item| Item::clone(item)).collect(),
                removed,
                more: !changes.is_empty(),
                committed_at: None,
            }));
            match received {
                Received::Swapped { state, .. } => return state,
                Received::Nothing => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn divide(changes: Vec<Change>) -> (Vec<Arc<Item>>, Vec<ItemKey>) {
    let (mut upserted, mut removed) = (Vec::new(), Vec::new());
    for change in changes {
        match change {
            Change::Upsert(item) => upserted.push(item),
            Change::Remove(key) => removed.push(key),
        }
    }
    (upserted, removed)
}

fn told(ruleset: &Ruleset) -> Vec<String> {
    let pairs = FLAGS
        .iter()
        .flat_map(|flag| KEYS.iter().map(move |key| (flag, key)));
    let told = pairs.map(|(flag, key)| {
        let problem = ruleset.problem(flag);
        format!("{problem:?} {:?}", evaluate(ruleset, flag, key))
    });
    told.collect()
}

proptest! {
    #[test]
    fn deltas_in_any_split_give_what_a_snapshot_gives(
        before in wild(items),
        after in wild(items),
        choices in bytes(100),
    ) {
        let mut choices = Generator::sound(&choices);
        let before = RulesetState::new(ENVIRONMENT, position(1), before);
        let after = RulesetState::new(ENVIRONMENT, position(1), after);
        let mut stream = Stream {
            receiver: Receiver::new(None, true),
            sent: before.clone(),
        };
        stream.snapshot(&mut choices);
        let mut ruleset = Ruleset::compile(&before);
        let mut changes = changes(&before, &after);
        while !changes.is_empty() {
            let some = take_some(&mut changes, &mut choices);
            let state = stream.delta(some, &mut choices);
            ruleset = ruleset.recompile(&state);
        }
        let held = stream.receiver.state().unwrap();
        let whole = after.at(held.position());
        prop_assert_eq!(held.state_hash(), whole.state_hash());
        prop_assert_eq!(held.access_hash(), whole.access_hash());
        prop_assert_eq!(held.size_bytes(), whole.size_bytes());
        prop_assert!(held.items().eq(whole.items()));
        prop_assert_eq!(told(&ruleset), told(&Ruleset::compile(&whole)));
    }
}
