//! What holds for every ruleset.

#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

#[path = "support/builders.rs"]
mod builders;

use std::sync::Arc;

use burgee_evaluator::bucket::segment_part;
use burgee_evaluator::{Context, Item, Ruleset};
use burgee_proto::sync::v1::{ItemKey, ItemKind};
use burgee_proto::types::v1::condition::Kind;
use burgee_proto::types::v1::{
    Clause, Condition, ErrorCode, EvaluationContext, Flag, Operator, Position, Segment,
    SegmentPart, Serve, Split, SplitPart, ValueType, Variant, serve,
};
use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;
use prost_types::value::Kind as ValueKind;

use builders::{asks, bytes_item, evaluate, flag, in_segment, item, needs, state};

/// Flags and segments that refer to each other, sometimes wrongly.
fn any_item() -> impl Strategy<Value = Arc<Item>> {
    let key = || proptest::sample::select(vec!["a", "b", "c", "d", "e"]);
    let prerequisites = proptest::collection::vec(key(), 0..3);
    let flags = (key(), prerequisites, key(), any::<bool>()).prop_map(
        |(key, prerequisites, segment, enabled)| {
            let condition = in_segment(segment);
            let flag = Flag {
                enabled,
                prerequisites: needs(key, &prerequisites).prerequisites,
                ..asks(key, condition)
            };
            item(ItemKind::Flag, key, &flag)
        },
    );
    let segments = (key(), key(), any::<bool>()).prop_map(|(key, included, broken)| {
        let segment = Segment {
            key: key.to_owned(),
            included: vec![included.to_owned()],
            condition: broken.then(Condition::default),
            ..Segment::default()
        };
        item(ItemKind::Segment, key, &segment)
    });
    let parts = (key(), key(), any::<bool>()).prop_map(|(key, included, placed)| {
        let part = SegmentPart {
            included: vec![included.to_owned()],
            excluded: Vec::new(),
        };
        let index = if placed { segment_part(included) } else { 0 };
        item(ItemKind::SegmentPart, &format!("{key}/{index:02x}"), &part)
    });
    let garbage = (key(), 1..4_i32).prop_map(|(key, kind)| {
        Arc::new(Item {
            kind,
            key: key.to_owned(),
            body: Bytes::from_static(b"\xff"),
            ..Item::default()
        })
    });
    prop_oneof![6 => flags, 3 => segments, 3 => parts, 1 => garbage]
}

fn everything(ruleset: &Ruleset) -> Vec<String> {
    let keys = ["a", "b", "c", "d", "e", "f"];
    let pairs = keys
        .iter()
        .flat_map(|key| keys.iter().map(move |who| (key, who)));
    pairs
        .map(|(key, who)| {
            let problem = ruleset.problem(key);
            format!("{problem:?} {:?}", evaluate(ruleset, key, who))
        })
        .collect()
}

proptest! {
    #[test]
    fn recompiling_change_by_change_equals_compiling_at_once(
        changes in proptest::collection::vec(
            (proptest::collection::vec(any_item(), 0..4), proptest::collection::vec(any_item(), 0..2)),
            1..12,
        ),
    ) {
        let mut held = state([]);
        let mut ruleset = Ruleset::compile(&held);
        for (revision, (upserted, removed)) in changes.into_iter().enumerate() {
            let position = Position { epoch: 1, revision: revision as u64 + 2 };
            let removed: Vec<_> = removed
                .iter()
                .map(|item| ItemKey { kind: item.kind, key: item.key.clone() })
                .collect();
            held = held.apply(position, upserted, &removed);
            let next = ruleset.recompile(&held);
            let whole = Ruleset::compile(&held);
            prop_assert_eq!(everything(&next), everything(&whole));
            let changed = next.changed_since(&ruleset);
            prop_assert!(changed.is_sorted());
            for key in ["a", "b", "c", "d", "e"] {
                if !changed.contains(&Arc::from(key)) {
                    for who in ["a", "b", "c", "d", "e", "f"] {
                        prop_assert_eq!(evaluate(&next, key, who), evaluate(&ruleset, key, who));
                    }
                }
            }
            ruleset = next;
        }
    }

    #[test]
    fn compiling_and_evaluating_arbitrary_bytes_does_not_panic(
        body in proptest::collection::vec(any::<u8>(), 0..64),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut flipped = asks("f", in_segment("s")).encode_to_vec();
        let at = at.index(flipped.len());
        flipped[at] = byte;
        for body in [body, flipped] {
            let ruleset = Ruleset::compile(&state([
                bytes_item(ItemKind::Flag, "f", body.clone()),
                bytes_item(ItemKind::Segment, "s", body.clone()),
                bytes_item(ItemKind::SegmentPart, "s/00", body),
            ]));
            let evaluated = evaluate(&ruleset, "f", "x");
            prop_assert_eq!(evaluated.error_code == ErrorCode::ParseError, ruleset.problem("f").is_some());
        }
    }

    #[test]
    fn compiling_and_evaluating_arbitrary_messages_does_not_panic(
        kind in -1..6_i32,
        operator in -1..20_i32,
        hash in -1..6_i32,
        weights in proptest::collection::vec(any::<i32>(), 0..4),
        values in proptest::collection::vec(any_value(), 0..4),
        variant in "[a-c]?",
        attribute in any::<String>(),
    ) {
        let clause = Clause { attribute: attribute.clone(), operator, values: values.clone(), ignore_case: hash > 2 };
        let parts = weights.iter().map(|weight| SplitPart { variant: variant.clone(), weight: *weight });
        let split = Split { salt: attribute.clone(), bucket_by: vec![variant.clone()], hash, parts: parts.collect() };
        let mut flag = asks("f", Condition { kind: Some(Kind::Clause(clause)) });
        flag.r#type = kind;
        flag.fallthrough = Some(Serve { kind: Some(serve::Kind::Split(split)) });
        flag.variants.extend(values.iter().map(|value| Variant {
            key: variant.clone(),
            value: Some(value.clone()),
            ..Variant::default()
        }));
        let ruleset = Ruleset::compile(&state([item(ItemKind::Flag, "f", &flag)]));
        let attributes = values.iter().map(|value| (attribute.clone(), value.clone())).collect();
        let message = EvaluationContext {
            targeting_key: variant,
            attributes: Some(prost_types::Struct { fields: attributes }),
        };
        if let Ok(context) = Context::new(&message) {
            let once = ruleset.evaluate("f", &context, ValueType::Integer);
            let again = Ruleset::compile(&state([item(ItemKind::Flag, "f", &flag)]));
            prop_assert_eq!(once, again.evaluate("f", &context, ValueType::Integer));
        }
        prop_assert_eq!(
            burgee_evaluator::check_flag(&flag).is_err(),
            ruleset.problem("f").is_some()
        );
    }

    #[test]
    fn raising_the_first_weight_only_ever_adds(
        salt in any::<String>(),
        key in "[a-z0-9]{1,8}",
        hash in 1..5_i32,
        weights in (0..=100_000_i32, 0..=100_000_i32),
    ) {
        let (lower, higher) = (weights.0.min(weights.1), weights.0.max(weights.1));
        let variant = |weight: i32| {
            let part = |variant: &str, weight| SplitPart { variant: variant.into(), weight };
            let parts = vec![part("on", weight), part("off", 100_000 - weight)];
            let split = Split { salt: salt.clone(), bucket_by: Vec::new(), hash, parts };
            let flag = Flag {
                fallthrough: Some(Serve { kind: Some(serve::Kind::Split(split)) }),
                ..flag("f")
            };
            let ruleset = Ruleset::compile(&state([item(ItemKind::Flag, "f", &flag)]));
            evaluate(&ruleset, "f", &key).variant == Some("on")
        };
        prop_assert!(!variant(lower) || variant(higher));
        prop_assert!(variant(100_000));
        prop_assert!(!variant(0));
    }
}

fn any_value() -> impl Strategy<Value = prost_types::Value> {
    let leaf = prop_oneof![
        Just(None),
        Just(Some(ValueKind::NullValue(0))),
        any::<bool>().prop_map(|value| Some(ValueKind::BoolValue(value))),
        any::<f64>().prop_map(|value| Some(ValueKind::NumberValue(value))),
        any::<String>().prop_map(|value| Some(ValueKind::StringValue(value))),
        "[0-9./:TZv-]{0,12}".prop_map(|value| Some(ValueKind::StringValue(value))),
    ];
    let leaf = leaf.prop_map(|kind| prost_types::Value { kind });
    leaf.prop_recursive(3, 16, 4, |inner| {
        proptest::collection::vec(inner, 0..4)
            .prop_map(|values| ValueKind::ListValue(prost_types::ListValue { values }).into())
    })
}

#[test]
fn operators_are_numbered_without_a_hole() {
    // The property above tries -1 to 19: one below, one above what is known.
    assert!(Operator::try_from(18).is_ok());
    assert!(Operator::try_from(19).is_err());
}
