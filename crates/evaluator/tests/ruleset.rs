//! Compiling a ruleset from items, as a whole and change by change.

#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

#[path = "support/builders.rs"]
mod builders;

use std::collections::BTreeMap;
use std::sync::Arc;

use burgee_evaluator::bucket::segment_part;
use burgee_evaluator::{Item, LEVEL, Ruleset};
use burgee_proto::sync::v1::{ItemKey, ItemKind};
use burgee_proto::types::v1::condition::Kind;
use burgee_proto::types::v1::{
    Condition, ErrorCode, Flag, NotOf, Position, Reason, Segment, SegmentPart,
};
use prost_types::value::Kind as ValueKind;

use builders::{asks, bytes_item, evaluate, flag, in_segment, item, needs, state};

#[test]
fn an_item_that_is_not_understood_breaks_what_depends_on_it_and_nothing_else() {
    let above = Arc::new(Item {
        level: LEVEL + 1,
        ..Item::clone(&item(ItemKind::Flag, "above", &flag("above")))
    });
    let segment_above = Arc::new(Item {
        level: LEVEL + 1,
        ..Item::clone(&item(
            ItemKind::Segment,
            "s",
            &Segment {
                key: "s".into(),
                ..Segment::default()
            },
        ))
    });
    let ruleset = Ruleset::compile(&state([
        above,
        bytes_item(ItemKind::Flag, "garbage", vec![0xff; 9]),
        item(ItemKind::Flag, "renamed", &flag("other")),
        item(
            ItemKind::Flag,
            "dependant",
            &needs("dependant", &["good", "garbage"]),
        ),
        item(
            ItemKind::Flag,
            "its-dependant",
            &needs("its-dependant", &["dependant"]),
        ),
        segment_above,
        item(
            ItemKind::Flag,
            "segmented",
            &asks("segmented", in_segment("s")),
        ),
        item(ItemKind::Flag, "good", &flag("good")),
    ]));
    for key in [
        "above",
        "garbage",
        "renamed",
        "dependant",
        "its-dependant",
        "segmented",
    ] {
        assert_eq!(
            evaluate(&ruleset, key, "x").error_code,
            ErrorCode::ParseError,
            "{key}"
        );
        assert!(ruleset.problem(key).is_some(), "{key}");
    }
    assert_eq!(evaluate(&ruleset, "good", "x").reason, Reason::Static);
    assert_eq!(ruleset.problem("good"), None);
    assert_eq!(
        evaluate(&ruleset, "gone", "x").error_code,
        ErrorCode::FlagNotFound
    );
    assert_eq!(ruleset.problem("gone"), None);
    assert_eq!(ruleset.flag_keys().len(), 7);
}

#[test]
fn visibility_is_what_the_flag_says_if_it_can_be_read() {
    let visible = Flag {
        client_visible: true,
        ..flag("visible")
    };
    let ruleset = Ruleset::compile(&state([
        item(ItemKind::Flag, "visible", &visible),
        item(ItemKind::Flag, "hidden", &flag("hidden")),
        bytes_item(ItemKind::Flag, "garbage", vec![0xff]),
    ]));
    assert_eq!(ruleset.is_client_visible("visible"), Some(true));
    assert_eq!(ruleset.is_client_visible("hidden"), Some(false));
    assert_eq!(ruleset.is_client_visible("garbage"), Some(false));
    assert_eq!(ruleset.is_client_visible("gone"), None);
}

/// A segment `s` with these keys in parts, and a flag `f` that asks for it.
fn in_parts(included: &[&str], excluded: &[&str]) -> Vec<Arc<Item>> {
    let mut parts: BTreeMap<u8, SegmentPart> = BTreeMap::new();
    for key in included {
        let part = parts.entry(segment_part(key)).or_default();
        part.included.push((*key).to_owned());
    }
    for key in excluded {
        let part = parts.entry(segment_part(key)).or_default();
        part.excluded.push((*key).to_owned());
    }
    let segment = Segment {
        key: "s".into(),
        included: vec!["own".into()],
        ..Segment::default()
    };
    let mut items = vec![
        item(ItemKind::Flag, "f", &asks("f", in_segment("s"))),
        item(ItemKind::Segment, "s", &segment),
    ];
    let part = |(index, part)| item(ItemKind::SegmentPart, &format!("s/{index:02x}"), &part);
    items.extend(parts.into_iter().map(part));
    items
}

#[test]
fn the_parts_of_a_segment_are_joined_with_its_own_lists() {
    let ruleset = Ruleset::compile(&state(in_parts(&["alice", "bob", "eve"], &["eve", "own2"])));
    for (key, reason) in [
        ("alice", Reason::Rule),
        ("bob", Reason::Rule),
        ("own", Reason::Rule),
        ("eve", Reason::Default),
        ("carol", Reason::Default),
    ] {
        assert_eq!(evaluate(&ruleset, "f", key).reason, reason, "{key}");
    }
}

#[test]
fn a_part_counts_whatever_it_is_named() {
    let misplaced = SegmentPart {
        included: (0..50).map(|key| format!("user-{key}")).collect(),
        excluded: vec!["user-7".into()],
    };
    for name in ["s/00", "s/zz", "s/0"] {
        let mut items = in_parts(&[], &[]);
        items.push(item(ItemKind::SegmentPart, name, &misplaced));
        let ruleset = Ruleset::compile(&state(items));
        assert_eq!(
            evaluate(&ruleset, "f", "user-3").reason,
            Reason::Rule,
            "{name}"
        );
        assert_eq!(
            evaluate(&ruleset, "f", "user-7").reason,
            Reason::Default,
            "{name}"
        );
    }
}

#[test]
fn a_part_that_is_not_understood_breaks_its_segment() {
    let mut items = in_parts(&["alice"], &[]);
    items.push(bytes_item(ItemKind::SegmentPart, "s/ff", vec![0xff]));
    let broken = Ruleset::compile(&state(items.clone()));
    assert_eq!(
        evaluate(&broken, "f", "alice").error_code,
        ErrorCode::ParseError
    );

    items.pop();
    let healed = broken.recompile(&state(items));
    assert_eq!(evaluate(&healed, "f", "alice").reason, Reason::Rule);
}

#[test]
fn long_chains_and_cycles_of_prerequisites_do_not_overflow_the_stack() {
    const LENGTH: usize = 5_000;
    let name = |index: usize| format!("{index:06}");
    let mut flags: Vec<_> = (0..LENGTH)
        .map(|index| needs(&name(index), &[&name(index + 1)]))
        .collect();
    flags.push(flag(&name(LENGTH)));
    let items = |flags: &[Flag]| {
        let items = flags.iter().map(|it| item(ItemKind::Flag, &it.key, it));
        state(items.collect::<Vec<_>>())
    };
    let chain = Ruleset::compile(&items(&flags));
    assert_eq!(evaluate(&chain, &name(0), "x").reason, Reason::Default);

    flags[LENGTH] = needs(&name(LENGTH), &[&name(LENGTH / 2)]);
    let cycle = chain.recompile(&items(&flags));
    assert_eq!(
        evaluate(&cycle, &name(0), "x").error_code,
        ErrorCode::ParseError
    );

    flags[LENGTH] = Flag {
        enabled: false,
        ..flag(&name(LENGTH))
    };
    let failing = cycle.recompile(&items(&flags));
    assert_eq!(
        evaluate(&failing, &name(0), "x").reason,
        Reason::PrerequisiteFailed
    );
}

#[test]
fn conditions_that_are_nested_too_deeply_are_not_understood() {
    let leaf = Condition {
        kind: Some(Kind::All(Default::default())),
    };
    let nest = |depth: usize| {
        (1..depth).fold(leaf.clone(), |inner, _| {
            let condition = Some(Box::new(inner));
            Condition {
                kind: Some(Kind::Not(Box::new(NotOf { condition }))),
            }
        })
    };
    let message = |depth| burgee_proto::types::v1::Ruleset {
        flags: vec![asks("f", nest(depth))],
        segments: Vec::new(),
    };
    let fits = Ruleset::from_message(&message(99));
    assert_eq!(evaluate(&fits, "f", "x").reason, Reason::Rule);
    let deep = Ruleset::from_message(&message(1000));
    assert_eq!(evaluate(&deep, "f", "x").error_code, ErrorCode::ParseError);
}

#[test]
fn a_change_touches_only_what_depends_on_it() {
    let before = state([
        item(ItemKind::Flag, "base", &flag("base")),
        item(ItemKind::Flag, "child", &needs("child", &["base"])),
        item(
            ItemKind::Flag,
            "grandchild",
            &needs("grandchild", &["child"]),
        ),
        item(
            ItemKind::Flag,
            "segmented",
            &asks("segmented", in_segment("s")),
        ),
        item(ItemKind::Flag, "waiting", &needs("waiting", &["new"])),
        item(ItemKind::Flag, "other", &flag("other")),
    ]);
    let compiled = Ruleset::compile(&before);
    let position = Position {
        epoch: 1,
        revision: 2,
    };
    let differing = |upserted: Vec<Arc<Item>>, removed: &[ItemKey]| {
        let after = compiled.recompile(&before.apply(position, upserted, removed));
        let keys = after.changed_since(&compiled);
        // What is gone in one direction is new in the other.
        assert_eq!(compiled.changed_since(&after), keys);
        keys.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let off = Flag {
        enabled: false,
        ..flag("base")
    };
    let changed = item(ItemKind::Flag, "base", &off);
    assert_eq!(
        differing(vec![changed], &[]),
        ["base", "child", "grandchild"]
    );
    let same = item(ItemKind::Flag, "base", &flag("base"));
    assert!(differing(vec![same], &[]).is_empty());
    let gone = ItemKey {
        kind: ItemKind::Flag as i32,
        key: "child".into(),
    };
    assert_eq!(differing(vec![], &[gone]), ["child", "grandchild"]);
    let new = item(ItemKind::Flag, "new", &flag("new"));
    assert_eq!(differing(vec![new], &[]), ["new", "waiting"]);
    let segment = Segment {
        key: "s".into(),
        ..Segment::default()
    };
    let segment = item(ItemKind::Segment, "s", &segment);
    assert_eq!(differing(vec![segment], &[]), ["segmented"]);
}

#[test]
fn a_part_of_a_segment_touches_who_asks_for_the_segment_and_their_dependants() {
    let part = |included: &[&str]| {
        let part = SegmentPart {
            included: included.iter().map(ToString::to_string).collect(),
            excluded: Vec::new(),
        };
        item(ItemKind::SegmentPart, "long/00", &part)
    };
    let segment = |key: &str| Segment {
        key: key.to_owned(),
        ..Segment::default()
    };
    let before = state([
        item(ItemKind::Segment, "long", &segment("long")),
        item(ItemKind::Segment, "short", &segment("short")),
        part(&["alice"]),
        item(ItemKind::Flag, "asks", &asks("asks", in_segment("long"))),
        item(ItemKind::Flag, "child", &needs("child", &["asks"])),
        item(ItemKind::Flag, "other", &asks("other", in_segment("short"))),
    ]);
    let compiled = Ruleset::compile(&before);
    let position = Position {
        epoch: 1,
        revision: 2,
    };
    let after = before.apply(position, vec![part(&["alice", "bob"])], &[]);
    let changed = compiled.recompile(&after).changed_since(&compiled);
    assert_eq!(
        changed.iter().map(|key| &**key).collect::<Vec<_>>(),
        ["asks", "child"]
    );
    // A new revision of everything, without other content, is no change.
    let again = before.apply(position, before.items().cloned().collect(), &[]);
    assert!(
        compiled
            .recompile(&again)
            .changed_since(&compiled)
            .is_empty()
    );
    // Compiled independently: nothing is known to be the same.
    assert_eq!(Ruleset::compile(&before).changed_since(&compiled).len(), 3);
}

#[test]
fn metadata_must_be_json_too() {
    for kind in [None, Some(ValueKind::NumberValue(f64::NAN))] {
        let inner = prost_types::Struct {
            fields: [("ratio".to_owned(), prost_types::Value { kind })].into(),
        };
        let metadata = prost_types::Struct {
            fields: [("team".to_owned(), ValueKind::StructValue(inner).into())].into(),
        };
        let flag = Flag {
            metadata: Some(metadata),
            ..flag("f")
        };
        let ruleset = Ruleset::compile(&state([item(ItemKind::Flag, "f", &flag)]));
        let problem = ruleset.problem("f").unwrap();
        assert!(problem.starts_with("metadata.team"), "{problem}");
    }
}
