use burgee_proto::types::v1::condition::Kind;
use burgee_proto::types::v1::{Clause, Condition, FlagType, Operator, Position, SegmentMatch};
use bytes::Bytes;
use prost::Message;

use super::*;
use crate::{Context, LEVEL};

const FLAGS: usize = 5000;

fn item(kind: ItemKind, key: &str, message: &impl Message) -> Arc<Item> {
    Arc::new(Item {
        kind: kind as i32,
        key: key.to_owned(),
        revision: 1,
        level: LEVEL,
        body: Bytes::from(message.encode_to_vec()),
    })
}

/// Every other flag asks for a segment, and every third needs the fourth one.
fn flag(index: usize, enabled: bool) -> Arc<Item> {
    let asks = Condition {
        kind: Some(Kind::Segment(SegmentMatch {
            keys: vec![format!("segment-{}", index % 4)],
        })),
    };
    let rule = message::Rule {
        id: "rule".into(),
        condition: Some(asks),
        serve: Some(serves()),
        ..message::Rule::default()
    };
    let needs = message::Prerequisite {
        flag_key: "flag-0003".into(),
        variants: vec!["on".into()],
    };
    let key = format!("flag-{index:04}");
    let flag = message::Flag {
        key: key.clone(),
        r#type: FlagType::Boolean as i32,
        variants: vec![message::Variant {
            key: "on".into(),
            value: Some(prost_types::Value::from(true)),
            ..message::Variant::default()
        }],
        enabled,
        rules: index
            .is_multiple_of(2)
            .then_some(rule)
            .into_iter()
            .collect(),
        prerequisites: (index % 3 == 1).then_some(needs).into_iter().collect(),
        fallthrough: Some(serves()),
        ..message::Flag::default()
    };
    item(ItemKind::Flag, &key, &flag)
}

fn serves() -> message::Serve {
    message::Serve {
        kind: Some(message::serve::Kind::Variant("on".into())),
    }
}

fn segment(index: usize, plan: &str) -> Arc<Item> {
    let clause = Clause {
        attribute: "plan".into(),
        operator: Operator::Equals as i32,
        values: vec![plan.into()],
        ignore_case: false,
    };
    let segment = message::Segment {
        key: format!("segment-{index}"),
        condition: Some(Condition {
            kind: Some(Kind::Clause(clause)),
        }),
        ..message::Segment::default()
    };
    item(ItemKind::Segment, &segment.key, &segment)
}

fn position(revision: u64) -> Position {
    Position { epoch: 1, revision }
}

/// The keys of the flags that were compiled for the newer ruleset.
fn compiled_anew<'a>(newer: &'a Ruleset, older: &Ruleset) -> Vec<&'a str> {
    let is_new = |key: &&str| match (newer.definition(key), older.definition(key)) {
        (Some(new), Some(old)) => !Arc::ptr_eq(new, old),
        _ => true,
    };
    newer.flag_keys().filter(is_new).collect()
}

#[test]
fn a_change_compiles_what_it_touches_and_nothing_else() {
    let flags = (0..FLAGS).map(|index| flag(index, true));
    let segments = (0..4).map(|index| segment(index, "pro"));
    let state = RulesetState::new("environment", position(1), flags.chain(segments));
    let ruleset = Ruleset::compile(&state);
    assert_eq!(compiled_anew(&ruleset, &Ruleset::default()).len(), FLAGS);

    // One other, one more, one less: those after them have moved.
    let added = flag(FLAGS, true);
    let changed = vec![flag(2, false), added.clone()];
    let gone = [burgee_proto::sync::v1::ItemKey {
        kind: ItemKind::Flag as i32,
        key: "flag-0001".into(),
    }];
    let next_state = state.apply(position(2), changed, &gone);
    let next = ruleset.recompile(&next_state);
    assert_eq!(compiled_anew(&next, &ruleset), ["flag-0002", "flag-5000"]);
    for (key, segment) in next.segments.iter() {
        assert!(Arc::ptr_eq(segment, &ruleset.segments[key]), "{key}");
    }

    assert!(is_as_compiled_at_once(&next, &next_state));

    // A segment is compiled, and the flags that ask for it are linked to it.
    let other_state = next_state.apply(position(3), vec![segment(0, "free")], &[]);
    let other = next.recompile(&other_state);
    assert_eq!(compiled_anew(&other, &next), [""; 0]);
    let slots = other.slots().iter().zip(next.slots());
    let linked_anew = slots.filter(|(new, old)| {
        let mut pairs = new
            .segments
            .iter()
            .flatten()
            .zip(old.segments.iter().flatten());
        pairs.any(|(new, old)| !Arc::ptr_eq(new, old))
    });
    assert_eq!(linked_anew.count(), FLAGS / 4 + 1);
    assert!(is_as_compiled_at_once(&other, &other_state));
}

fn is_as_compiled_at_once(ruleset: &Ruleset, state: &RulesetState) -> bool {
    let message = message::EvaluationContext {
        targeting_key: String::new(),
        attributes: Some(prost_types::Struct {
            fields: [("plan".to_owned(), "pro".into())].into(),
        }),
    };
    let context = Context::new(&message).unwrap();
    let at_once = Ruleset::compile(state);
    ruleset
        .evaluate_all(&context)
        .eq(at_once.evaluate_all(&context))
}
