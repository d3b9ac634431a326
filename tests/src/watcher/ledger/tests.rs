//! The checker is checked: each rule, broken on purpose, must be noticed.

use burgee_proto::sync::v1::{Goodbye, ItemKey};

use super::*;

const ENVIRONMENT: &str = "3f2b8c1e-0000-4000-8000-000000000001";

const fn at(revision: u64) -> Position {
    Position { epoch: 7, revision }
}

fn item(key: &str, revision: u64) -> Item {
    Item {
        kind: ItemKind::Flag.into(),
        key: key.to_owned(),
        revision,
        level: 1,
        body: Bytes::from_static(b"body"),
    }
}

fn update(message: Message, position: Position, items: &[Item]) -> RulesetUpdate {
    RulesetUpdate {
        environment: ENVIRONMENT.to_owned(),
        position: Some(position),
        message: Some(message),
        resume_token: Bytes::from_static(b"token"),
        state_hash: Ledger::hashes(ENVIRONMENT, position, items).0,
        access_hash: Bytes::new(),
    }
}

fn snapshot(position: Position, items: &[Item]) -> RulesetUpdate {
    let message = Message::Snapshot(Snapshot {
        items: items.to_vec(),
        last_chunk: true,
    });
    update(message, position, items)
}

fn delta(from: Position, position: Position, upserted: Vec<Item>, items: &[Item]) -> RulesetUpdate {
    let message = Message::Delta(Delta {
        from: Some(from),
        upserted,
        ..Delta::default()
    });
    update(message, position, items)
}

/// Holds `a` at revision 5.
fn held() -> Ledger {
    let mut ledger = Ledger::default();
    ledger.begin_stream();
    ledger.receive(snapshot(at(5), &[item("a", 3)]));
    ledger.assert_sound();
    ledger
}

#[test]
fn an_honest_stream_is_sound() {
    let mut ledger = held();
    let both = [item("a", 3), item("b", 6)];
    ledger.receive(delta(at(5), at(6), vec![item("b", 6)], &both));
    ledger.receive(update(Message::Bookmark(Bookmark::default()), at(7), &both));
    let gone = Message::Delta(Delta {
        from: Some(at(7)),
        removed: vec![ItemKey {
            kind: ItemKind::Flag.into(),
            key: "a".to_owned(),
        }],
        ..Delta::default()
    });
    ledger.receive(update(gone, at(9), &both[1..]));
    let goodbye = RulesetUpdate {
        environment: ENVIRONMENT.to_owned(),
        position: Some(at(9)),
        message: Some(Message::Goodbye(Goodbye::default())),
        ..RulesetUpdate::default()
    };
    assert!(ledger.receive(goodbye).is_some());
    ledger.assert_sound();
    assert_eq!(ledger.position, at(9));
    assert_eq!(ledger.positions(), [at(5), at(6), at(7), at(9)]);
}

#[test]
fn every_broken_rule_is_noticed() {
    let a = [item("a", 3)];
    let both = [item("a", 3), item("b", 6)];
    let with_b = || vec![item("b", 6)];
    let mut other = snapshot(at(6), &a);
    other.environment = "3f2b8c1e-0000-4000-8000-000000000002".to_owned();
    let mut unfit = delta(at(5), at(6), with_b(), &both);
    unfit.state_hash = Bytes::from_static(&[0; 16]);
    let bookmark = |behind, position| {
        let message = Message::Bookmark(Bookmark {
            behind,
            ..Bookmark::default()
        });
        update(message, position, &a)
    };
    let bare = |update: RulesetUpdate| RulesetUpdate {
        resume_token: Bytes::new(),
        state_hash: Bytes::new(),
        ..update
    };
    let cases = [
        ("a lower snapshot", snapshot(at(4), &a)),
        ("another environment", other),
        (
            "a delta from elsewhere",
            delta(at(4), at(6), with_b(), &both),
        ),
        (
            "a delta that goes nowhere",
            delta(at(5), at(5), with_b(), &both),
        ),
        ("an empty delta", delta(at(5), at(6), Vec::new(), &a)),
        ("a state hash that does not fit", unfit),
        (
            "an item that this delta does not span",
            delta(at(5), at(6), vec![item("b", 5)], &both),
        ),
        (
            "an item above the snapshot's position",
            snapshot(at(5), &both),
        ),
        ("a lower bookmark", bookmark(false, at(4))),
        ("behind, but ahead", bare(bookmark(true, at(6)))),
        (
            "a token or hash on an incomplete message",
            bookmark(true, at(4)),
        ),
        ("no resume token", bare(bookmark(false, at(5)))),
    ];
    for (broken, update) in cases {
        let mut ledger = held();
        ledger.receive(update);
        let noticed = ledger.violations.iter().any(|it| it.starts_with(broken));
        assert!(noticed, "{broken}: {:?}", ledger.violations);
    }
}

#[test]
fn what_was_staged_is_gone_with_its_stream() {
    let mut ledger = held();
    let mut chunk = snapshot(at(6), &[item("lost", 6)]);
    if let Some(Message::Snapshot(snapshot)) = &mut chunk.message {
        snapshot.last_chunk = false;
    }
    chunk.resume_token = Bytes::new();
    chunk.state_hash = Bytes::new();
    ledger.receive(chunk);
    ledger.begin_stream();
    ledger.receive(snapshot(at(6), &[item("b", 6)]));
    ledger.assert_sound();
    assert_eq!(ledger.items.len(), 1);
}
