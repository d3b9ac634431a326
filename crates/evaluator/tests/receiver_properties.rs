//! Whatever a sender says: never backwards, never half, never another
//! environment, and never a state whose hash the sender did not give.

#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use std::sync::Arc;

use burgee_evaluator::{Item, Received, Receiver, RulesetState};
use burgee_proto::sync::v1::ruleset_update::Message;
use burgee_proto::sync::v1::{Bookmark, Delta, Goodbye, ItemKey, RulesetUpdate, Snapshot};
use burgee_proto::types::v1::Position;
use bytes::Bytes;
use proptest::prelude::*;

const ENVIRONMENTS: [&str; 2] = [
    "3f2b8c1e-0000-4000-8000-000000000001",
    "3f2b8c1e-0000-4000-8000-000000000002",
];

fn any_position() -> impl Strategy<Value = Position> {
    (1..3_u64, 0..6_u64).prop_map(|(epoch, revision)| Position { epoch, revision })
}

fn any_item() -> impl Strategy<Value = Item> {
    (0..6_i32, 0..3_u8, 0..3_u32, 0..4_u8).prop_map(|(kind, key, level, body)| Item {
        kind,
        key: key.to_string(),
        revision: 1,
        level,
        body: Bytes::copy_from_slice(&[body]),
    })
}

fn any_message() -> impl Strategy<Value = Message> {
    let items = || proptest::collection::vec(any_item(), 0..4);
    let snapshot = (items(), any::<bool>())
        .prop_map(|(items, last_chunk)| Message::Snapshot(Snapshot { items, last_chunk }));
    let delta = (any_position(), items(), items(), any::<bool>()).prop_map(
        |(from, upserted, removed, more)| {
            let key = |item: Item| ItemKey {
                kind: item.kind,
                key: item.key,
            };
            Message::Delta(Delta {
                from: Some(from),
                upserted,
                removed: removed.into_iter().map(key).collect(),
                more,
                committed_at: None,
            })
        },
    );
    let bookmark = any::<bool>().prop_map(|behind| {
        Message::Bookmark(Bookmark {
            server_time: None,
            behind,
        })
    });
    prop_oneof![
        3 => snapshot,
        4 => delta,
        2 => bookmark,
        1 => Just(Message::Goodbye(Goodbye::default())),
    ]
}

/// A message, and whether its hashes are those that the receiver will find.
fn any_update() -> impl Strategy<Value = (RulesetUpdate, bool)> {
    let environment = prop_oneof![9 => Just(ENVIRONMENTS[0]), 1 => Just(ENVIRONMENTS[1])];
    let position = proptest::option::weighted(0.95, any_position());
    (
        environment,
        position,
        any_message(),
        proptest::bool::weighted(0.8),
    )
        .prop_map(|(environment, position, message, honest)| {
            let update = RulesetUpdate {
                environment: environment.to_owned(),
                position,
                message: Some(message),
                resume_token: Bytes::from_static(b"token"),
                ..RulesetUpdate::default()
            };
            (update, honest)
        })
}

/// Gives a message the hashes of what it would lead to, as an honest sender
/// would that has sent `staged` before it.
fn sign(update: &mut RulesetUpdate, held: Option<&RulesetState>, staged: &[RulesetUpdate]) {
    let Some(position) = update.position else {
        return;
    };
    let mut state = match (&update.message, held) {
        (Some(Message::Snapshot(_)), _) | (_, None) => {
            RulesetState::new(&update.environment, position, [])
        }
        (_, Some(held)) => held.at(position),
    };
    let (mut upserted, mut removed) = (Vec::new(), Vec::new());
    for part in staged.iter().chain([&*update]) {
        match &part.message {
            Some(Message::Snapshot(snapshot)) => upserted.extend(snapshot.items.clone()),
            Some(Message::Delta(delta)) => {
                upserted.extend(delta.upserted.clone());
                removed.extend(delta.removed.clone());
            }
            _ => {}
        }
    }
    let upserted = upserted.into_iter().map(Arc::new).collect();
    state = state.apply(position, upserted, &removed);
    update.state_hash = Bytes::copy_from_slice(&state.state_hash());
    update.access_hash = Bytes::copy_from_slice(&state.access_hash());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_receiver_never_goes_back_and_holds_only_what_was_verified(
        updates in proptest::collection::vec(any_update(), 1..30),
        with_access_keys in any::<bool>(),
    ) {
        let mut receiver = Receiver::new(None, with_access_keys);
        let mut staged: Vec<RulesetUpdate> = Vec::new();
        for (mut update, honest) in updates {
            let before = receiver.state().cloned();
            if honest {
                sign(&mut update, before.as_ref(), &staged);
            }
            let outcome = receiver.receive(update.clone());
            let after = receiver.state().cloned();
            if let (Some(before), Some(after)) = (&before, &after) {
                prop_assert!(after.position() >= before.position());
                prop_assert_eq!(after.environment(), before.environment());
            }
            match outcome {
                Ok(Received::Swapped { state, .. } | Received::Bookmark { state, .. }) => {
                    staged.clear();
                    prop_assert!(honest);
                    prop_assert_eq!(Some(state.position()), update.position);
                    prop_assert_eq!(&*update.state_hash, &state.state_hash());
                    prop_assert_eq!(state.state_hash(), after.unwrap().state_hash());
                    let items = state.items().map(|item| Arc::new(Item::clone(item)));
                    let anew = RulesetState::new(state.environment(), state.position(), items);
                    prop_assert_eq!(anew.state_hash(), state.state_hash());
                    prop_assert_eq!(anew.access_hash(), state.access_hash());
                }
                Ok(Received::Nothing) => {
                    let is_part = !matches!(update.message, Some(Message::Bookmark(_)));
                    staged.extend(is_part.then_some(update));
                    prop_assert_eq!(after.map(|it| it.state_hash()), before.map(|it| it.state_hash()));
                }
                Ok(Received::Goodbye(_)) => {}
                Err(_) => {
                    staged.clear();
                    prop_assert_eq!(after.map(|it| it.state_hash()), before.map(|it| it.state_hash()));
                }
            }
        }
    }
}
