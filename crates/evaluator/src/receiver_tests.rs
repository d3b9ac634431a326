//! The receiver against a small sender that follows the protocol, and against
//! messages that do not.

use burgee_proto::sync::v1::GoodbyeReason;
use proptest::prelude::*;

use super::*;

const ENVIRONMENT: &str = "3f2b8c1e-0000-4000-8000-000000000001";

fn position(revision: u64) -> Position {
    Position { epoch: 5, revision }
}

fn item(kind: ItemKind, key: &str, body: &str) -> Item {
    Item {
        kind: kind as i32,
        key: key.to_owned(),
        revision: 1,
        level: 1,
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

fn flag(key: &str, body: &str) -> Item {
    item(ItemKind::Flag, key, body)
}

fn state(revision: u64, items: &[Item]) -> RulesetState {
    RulesetState::new(
        ENVIRONMENT,
        position(revision),
        items.iter().cloned().map(Arc::new),
    )
}

/// A message that completes something, with the hashes of `after`.
fn completing(after: &RulesetState, message: Message) -> RulesetUpdate {
    RulesetUpdate {
        resume_token: Bytes::from(format!("token {}", after.position().revision)),
        state_hash: Bytes::copy_from_slice(&after.state_hash()),
        access_hash: Bytes::copy_from_slice(&after.access_hash()),
        ..part(after.position(), message)
    }
}

fn part(position: Position, message: Message) -> RulesetUpdate {
    RulesetUpdate {
        environment: ENVIRONMENT.to_owned(),
        position: Some(position),
        message: Some(message),
        ..RulesetUpdate::default()
    }
}

fn chunk(items: &[Item], last_chunk: bool) -> Message {
    Message::Snapshot(Snapshot {
        items: items.to_vec(),
        last_chunk,
    })
}

fn delta(from: u64, upserted: &[Item], removed: &[&str], more: bool) -> Message {
    Message::Delta(Delta {
        from: Some(position(from)),
        upserted: upserted.to_vec(),
        removed: removed
            .iter()
            .map(|key| ItemKey {
                kind: ItemKind::Flag as i32,
                key: (*key).to_owned(),
            })
            .collect(),
        more,
        committed_at: None,
    })
}

fn bookmark(behind: bool) -> Message {
    Message::Bookmark(Bookmark {
        server_time: None,
        behind,
    })
}

/// A receiver that holds flag `a` at revision 3.
fn holding() -> Receiver {
    let mut receiver = Receiver::new(None, false);
    let whole = state(3, &[flag("a", "1")]);
    receiver
        .receive(completing(&whole, chunk(&[flag("a", "1")], true)))
        .unwrap();
    receiver
}

#[test]
fn a_snapshot_is_swapped_in_on_its_last_chunk() {
    let mut receiver = Receiver::new(None, false);
    let whole = state(3, &[flag("a", "1"), flag("b", "2")]);
    let first = receiver.receive(part(position(3), chunk(&[flag("a", "1")], false)));
    assert!(matches!(first, Ok(Received::Nothing)));
    assert!(receiver.state().is_none());
    assert!(receiver.resume_token().is_empty());

    let last = receiver.receive(completing(&whole, chunk(&[flag("b", "2")], true)));
    assert!(matches!(
        last,
        Ok(Received::Swapped {
            change: Applied::Whole,
            ..
        })
    ));
    assert_eq!(receiver.state().unwrap().state_hash(), whole.state_hash());
    assert_eq!(receiver.resume_token(), "token 3");
}

#[test]
fn a_delta_in_parts_is_applied_as_a_whole() {
    let mut receiver = holding();
    let after = state(5, &[flag("b", "2"), flag("c", "3")]);
    let first = part(position(5), delta(3, &[flag("b", "2")], &[], true));
    assert!(matches!(receiver.receive(first), Ok(Received::Nothing)));
    assert_eq!(receiver.state().unwrap().position(), position(3));

    let last = completing(&after, delta(3, &[flag("c", "3")], &["a"], false));
    let Ok(Received::Swapped {
        state,
        change: Applied::Delta {
            upserted, removed, ..
        },
    }) = receiver.receive(last)
    else {
        panic!("the delta was not applied");
    };
    assert_eq!(state.state_hash(), after.state_hash());
    assert_eq!(upserted.len(), 2);
    assert_eq!(removed, [ItemId::new(ItemKind::Flag, "a")]);
}

#[test]
fn a_delta_from_another_position_is_refused_and_the_token_dropped() {
    let mut receiver = holding();
    let after = state(5, &[flag("a", "2")]);
    let refused = receiver.receive(completing(&after, delta(4, &[flag("a", "2")], &[], false)));
    assert_eq!(refused.unwrap_err(), Refusal::FromMismatch);
    assert!(receiver.resume_token().is_empty());
    assert_eq!(receiver.state().unwrap().position(), position(3));
}

#[test]
fn a_wrong_hash_is_refused_and_a_snapshot_at_the_same_position_heals() {
    let mut receiver = holding();
    let lie = state(4, &[flag("a", "other")]);
    let refused = receiver.receive(completing(&lie, delta(3, &[flag("a", "2")], &[], false)));
    assert_eq!(refused.unwrap_err(), Refusal::HashMismatch);
    assert!(receiver.resume_token().is_empty());
    assert_eq!(
        receiver.state().unwrap().state_hash(),
        state(3, &[flag("a", "1")]).state_hash()
    );

    let whole = state(3, &[flag("a", "1 in truth")]);
    let healed = receiver.receive(completing(&whole, chunk(&[flag("a", "1 in truth")], true)));
    assert!(matches!(healed, Ok(Received::Swapped { .. })));
    assert_eq!(receiver.resume_token(), "token 3");
}

#[test]
fn a_lower_position_is_refused_whatever_carries_it() {
    for message in [
        chunk(&[flag("a", "0")], true),
        chunk(&[], false),
        delta(1, &[flag("a", "0")], &[], false),
        bookmark(false),
    ] {
        let mut receiver = holding();
        let older = state(2, &[flag("a", "0")]);
        let refused = receiver.receive(completing(&older, message));
        assert_eq!(refused.unwrap_err(), Refusal::LowerPosition);
        assert_eq!(receiver.resume_token(), "token 3", "the token still fits");
    }
    let mut receiver = holding();
    let mut earlier_epoch = completing(&state(9, &[]), chunk(&[], true));
    earlier_epoch.position = Some(Position {
        epoch: 4,
        revision: 9,
    });
    assert_eq!(
        receiver.receive(earlier_epoch).unwrap_err(),
        Refusal::LowerPosition
    );
}

#[test]
fn a_snapshot_of_a_higher_epoch_is_taken_though_its_revision_is_lower() {
    let mut receiver = holding();
    let anew = RulesetState::new(
        ENVIRONMENT,
        Position {
            epoch: 6,
            revision: 1,
        },
        [],
    );
    let taken = receiver.receive(completing(&anew, chunk(&[], true)));
    assert!(matches!(taken, Ok(Received::Swapped { .. })));
    assert_eq!(receiver.state().unwrap().items().len(), 0);
}

#[test]
fn a_bookmark_may_move_the_position_forward_and_is_verified_there() {
    let mut receiver = holding();
    let same_items = state(3, &[flag("a", "1")]).at(position(8));
    let moved = receiver.receive(completing(&same_items, bookmark(false)));
    assert!(matches!(moved, Ok(Received::Bookmark { moved: true, .. })));
    assert_eq!(receiver.state().unwrap().position(), position(8));
    assert_eq!(receiver.resume_token(), "token 8");

    let stays = receiver.receive(completing(&same_items, bookmark(false)));
    assert!(matches!(stays, Ok(Received::Bookmark { moved: false, .. })));

    let others = state(9, &[flag("b", "1")]);
    let refused = receiver.receive(completing(&others, bookmark(false)));
    assert_eq!(refused.unwrap_err(), Refusal::HashMismatch);
    assert_eq!(receiver.state().unwrap().position(), position(8));
}

#[test]
fn a_bookmark_of_a_sender_that_is_behind_changes_nothing() {
    let mut receiver = holding();
    let behind = part(position(1), bookmark(true));
    assert!(matches!(receiver.receive(behind), Ok(Received::Nothing)));
    assert_eq!(receiver.state().unwrap().position(), position(3));
    assert_eq!(receiver.resume_token(), "token 3");
}

#[test]
fn another_environment_is_refused() {
    let mut receiver = holding();
    let mut update = completing(&state(4, &[]), bookmark(false));
    update.environment = "3f2b8c1e-0000-4000-8000-000000000002".into();
    assert_eq!(
        receiver.receive(update).unwrap_err(),
        Refusal::OtherEnvironment
    );
}

#[test]
fn a_new_stream_drops_what_the_last_one_left_unfinished() {
    let mut receiver = Receiver::new(None, false);
    receiver
        .receive(part(position(3), chunk(&[flag("half", "1")], false)))
        .unwrap();
    receiver.begin_stream();
    let whole = state(4, &[flag("a", "1")]);
    receiver
        .receive(completing(&whole, chunk(&[flag("a", "1")], true)))
        .unwrap();
    assert_eq!(receiver.state().unwrap().items().len(), 1);
}

#[test]
fn series_of_parts_cannot_be_mixed() {
    let mut receiver = holding();
    receiver
        .receive(part(position(4), chunk(&[flag("half", "1")], false)))
        .unwrap();
    let other = completing(
        &state(5, &[flag("a", "2")]),
        delta(3, &[flag("a", "2")], &[], false),
    );
    assert!(matches!(
        receiver.receive(other.clone()),
        Err(Refusal::Malformed(_))
    ));
    assert!(
        matches!(receiver.receive(other), Ok(Received::Swapped { .. })),
        "what was staged is gone after a refusal"
    );
}

#[test]
fn access_keys_have_a_hash_of_their_own() {
    let key = item(ItemKind::AccessKey, "00ff", "secret");
    let whole = state(3, std::slice::from_ref(&key));
    let update = completing(&whole, chunk(std::slice::from_ref(&key), true));

    let mut relay = Receiver::new(Some(ENVIRONMENT.to_owned()), true);
    let mut forged = update.clone();
    forged.access_hash = Bytes::copy_from_slice(&state(3, &[]).access_hash());
    assert_eq!(relay.receive(forged).unwrap_err(), Refusal::HashMismatch);
    assert!(relay.receive(update.clone()).is_ok());

    let mut sdk = Receiver::new(None, false);
    assert!(matches!(sdk.receive(update), Err(Refusal::Malformed(_))));
}

#[test]
fn what_is_too_large_is_refused() {
    let mut receiver = Receiver::new(None, false);
    let huge = flag("a", &"x".repeat(BODY_BYTES_MAX + 1));
    let refused = receiver.receive(part(position(1), chunk(&[huge], false)));
    assert_eq!(refused.unwrap_err(), Refusal::TooLarge);

    let large = flag("a", &"x".repeat(BODY_BYTES_MAX));
    let refused = (0..=STATE_BYTES_MAX / BODY_BYTES_MAX)
        .map(|_| {
            receiver.receive(part(
                position(1),
                chunk(std::slice::from_ref(&large), false),
            ))
        })
        .find_map(Result::err);
    assert_eq!(refused, Some(Refusal::TooLarge));
}

#[test]
fn kinds_and_levels_that_do_not_fit_the_hash_are_refused_and_unknown_ones_kept() {
    for (kind, level) in [(0, 1), (-1, 1), (256, 1), (1, 256)] {
        let odd = Item {
            kind,
            level,
            ..flag("a", "1")
        };
        let refused = Receiver::new(None, false).receive(part(position(1), chunk(&[odd], true)));
        assert!(
            matches!(refused, Err(Refusal::Malformed(_))),
            "{kind} {level}"
        );
    }
    let unknown = Item {
        kind: 99,
        level: 200,
        ..flag("a", "1")
    };
    let whole = state(1, std::slice::from_ref(&unknown));
    let mut receiver = Receiver::new(None, false);
    receiver
        .receive(completing(&whole, chunk(&[unknown], true)))
        .unwrap();
    assert!(receiver.state().unwrap().get(99, "a").is_some());
}

#[test]
fn a_message_without_position_or_content_is_malformed() {
    let mut receiver = holding();
    let mut nowhere = completing(&state(4, &[]), bookmark(false));
    nowhere.position = None;
    assert!(matches!(
        receiver.receive(nowhere),
        Err(Refusal::Malformed(_))
    ));
    let mut nothing = completing(&state(4, &[]), bookmark(false));
    nothing.message = None;
    assert!(matches!(
        receiver.receive(nothing),
        Err(Refusal::Malformed(_))
    ));
    let early = Receiver::new(None, false).receive(completing(&state(4, &[]), bookmark(false)));
    assert!(matches!(early, Err(Refusal::Malformed(_))));
}

#[test]
fn goodbye_is_handed_on() {
    let goodbye = Goodbye {
        reason: GoodbyeReason::Rotate as i32,
        reconnect_after: None,
    };
    let received = holding().receive(part(position(3), Message::Goodbye(goodbye)));
    assert!(matches!(received, Ok(Received::Goodbye(it)) if it == goodbye));
}

/// A change of one flag out of a few: a body, or none for gone.
fn changes() -> impl Strategy<Value = Vec<(u8, Option<u8>)>> {
    proptest::collection::vec((0..6_u8, proptest::option::of(any::<u8>())), 0..40)
}

proptest! {
    #[test]
    fn deltas_in_any_split_give_what_the_snapshot_gives(
        changes in changes(),
        cuts in proptest::collection::vec(1..5_usize, 0..40),
        parts in 1..4_usize,
    ) {
        let mut receiver = Receiver::new(None, false);
        receiver.receive(completing(&state(0, &[]), chunk(&[], true))).unwrap();

        let mut truth = std::collections::BTreeMap::new();
        let mut held = 0;
        let mut cuts = cuts.into_iter();
        let mut rest = changes.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
            rest = later;
            let revision = held + now.len() as u64;
            let mut difference = std::collections::BTreeMap::new();
            for (key, body) in now {
                difference.insert(format!("f{key}"), body.map(|body| format!("{body}")));
            }
            for (key, body) in &difference {
                match body {
                    Some(body) => { truth.insert(key.clone(), flag(key, body)); }
                    None => { truth.remove(key); }
                }
            }
            let items: Vec<_> = truth.values().cloned().collect();
            let after = state(revision, &items);
            let each: Vec<_> = difference.iter().collect();
            let size = each.len().div_ceil(parts);
            let pieces: Vec<_> = each.chunks(size).collect();
            for (index, piece) in pieces.iter().enumerate() {
                let upserted: Vec<_> = piece
                    .iter()
                    .filter_map(|(key, body)| body.as_ref().map(|body| flag(key, body)))
                    .collect();
                let removed: Vec<_> = piece
                    .iter()
                    .filter(|(_, body)| body.is_none())
                    .map(|(key, _)| key.as_str())
                    .collect();
                let more = index + 1 < pieces.len();
                let message = delta(held, &upserted, &removed, more);
                let update = if more {
                    part(position(revision), message)
                } else {
                    completing(&after, message)
                };
                receiver.receive(update).unwrap();
            }
            held = revision;
        }
        let items: Vec<_> = truth.into_values().collect();
        let whole = state(held, &items);
        prop_assert_eq!(receiver.state().unwrap().state_hash(), whole.state_hash());
        prop_assert_eq!(receiver.state().unwrap().items().len(), items.len());
    }
}
