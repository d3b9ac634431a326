//! Builds items, flags and contexts in a line each.

#![allow(dead_code, reason = "each test file uses some")]

use std::sync::Arc;

use burgee_evaluator::{Context, Evaluated, Item, LEVEL, Ruleset, RulesetState};
use burgee_proto::sync::v1::ItemKind;
use burgee_proto::types::v1::condition::Kind;
use burgee_proto::types::v1::{
    Condition, EvaluationContext, Flag, FlagType, Position, Prerequisite, Rule, SegmentMatch,
    Serve, ValueType, Variant, serve,
};
use bytes::Bytes;
use prost::Message;
use prost_types::value::Kind as ValueKind;

pub(crate) fn item(kind: ItemKind, key: &str, message: &impl Message) -> Arc<Item> {
    bytes_item(kind, key, message.encode_to_vec())
}

pub(crate) fn bytes_item(kind: ItemKind, key: &str, body: Vec<u8>) -> Arc<Item> {
    Arc::new(Item {
        kind: kind as i32,
        key: key.to_owned(),
        revision: 1,
        level: LEVEL,
        body: Bytes::from(body),
    })
}

pub(crate) fn state(items: impl IntoIterator<Item = Arc<Item>>) -> RulesetState {
    let position = Position {
        epoch: 1,
        revision: 1,
    };
    RulesetState::new("environment", position, items)
}

/// Enabled, `on` for whom nothing else is said.
pub(crate) fn flag(key: &str) -> Flag {
    let variant = |key: &str, value| Variant {
        key: key.to_owned(),
        value: Some(ValueKind::BoolValue(value).into()),
        ..Variant::default()
    };
    Flag {
        key: key.to_owned(),
        r#type: FlagType::Boolean as i32,
        variants: vec![variant("on", true), variant("off", false)],
        enabled: true,
        off_variant: "off".into(),
        fallthrough: Some(serves("on")),
        ..Flag::default()
    }
}

pub(crate) fn serves(variant: &str) -> Serve {
    Serve {
        kind: Some(serve::Kind::Variant(variant.to_owned())),
    }
}

pub(crate) fn needs(key: &str, prerequisites: &[&str]) -> Flag {
    let prerequisite = |key: &&str| Prerequisite {
        flag_key: (*key).to_owned(),
        variants: vec!["on".into()],
    };
    Flag {
        prerequisites: prerequisites.iter().map(prerequisite).collect(),
        ..flag(key)
    }
}

pub(crate) fn asks(key: &str, condition: Condition) -> Flag {
    Flag {
        rules: vec![Rule {
            id: "rule".into(),
            condition: Some(condition),
            serve: Some(serves("off")),
            ..Rule::default()
        }],
        ..flag(key)
    }
}

pub(crate) fn in_segment(key: &str) -> Condition {
    let keys = vec![key.to_owned()];
    Condition {
        kind: Some(Kind::Segment(SegmentMatch { keys })),
    }
}

pub(crate) fn somebody(targeting_key: &str) -> Context {
    Context::new(&EvaluationContext {
        targeting_key: targeting_key.to_owned(),
        attributes: None,
    })
    .unwrap()
}

pub(crate) fn evaluate<'a>(
    ruleset: &'a Ruleset,
    key: &'a str,
    targeting_key: &str,
) -> Evaluated<'a> {
    ruleset.evaluate(key, &somebody(targeting_key), ValueType::Unspecified)
}
