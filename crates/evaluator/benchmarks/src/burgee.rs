//! Burgee: items as the sync protocol ships them, a long segment in parts.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use burgee_evaluator::bucket::segment_part;
use burgee_evaluator::{Context, Evaluated, Item, LEVEL, Ruleset, RulesetState};
use burgee_proto::sync::v1::ItemKind;
use burgee_proto::types::v1::condition::Kind as ConditionKind;
use burgee_proto::types::v1::{
    self as types, AllOf, Clause, Condition, EvaluationContext, FlagType, Operator, Position,
    Prerequisite, Rule, SegmentMatch, SegmentPart, Serve, Split, SplitPart, ValueType, Variant,
    serve,
};
use bytes::Bytes;
use prost::Message;
use prost_types::Struct;
use prost_types::value::Kind;

use crate::case::Case;
use crate::{COUNTRY, Engine, Environment, Flag, MORE_ATTRIBUTES, PLAN, RULES, Shape};

const SEGMENT: &str = "segment";
const ON: &str = "on";
const OFF: &str = "off";

/// The items of an environment, and the ruleset that was made of them.
pub struct Burgee {
    state: RulesetState,
    ruleset: Ruleset,
}

impl Engine for Burgee {
    const NAME: &'static str = "Burgee";
    type Shipped = Vec<Arc<Item>>;
    type Change = Arc<Item>;
    type Context = Context;

    fn has(_: Case) -> bool {
        true
    }

    fn ship(environment: &Environment) -> Self::Shipped {
        let flags = environment.flags.iter().map(Self::ship_change);
        flags.chain(ship_segment(&environment.segment)).collect()
    }

    fn ship_change(flag: &Flag) -> Self::Change {
        item(ItemKind::Flag, &flag.key, &express(flag))
    }

    /// Hashes every item, too, as a receiver does to check them.
    fn compile(shipped: &Self::Shipped) -> Self {
        let state = RulesetState::new("environment", position(1), shipped.iter().cloned());
        let ruleset = Ruleset::compile(&state);
        Self { state, ruleset }
    }

    fn context(user: &str) -> Self::Context {
        let attributes = [("plan", PLAN), ("country", COUNTRY)];
        let attributes = attributes.into_iter().chain(MORE_ATTRIBUTES);
        let attribute = |(name, value): (&str, &str)| {
            let value = Kind::StringValue(value.to_owned());
            (name.to_owned(), value.into())
        };
        let message = EvaluationContext {
            targeting_key: user.to_owned(),
            attributes: Some(Struct {
                fields: attributes.map(attribute).collect(),
            }),
        };
        Context::new(&message).expect("a context within its limits")
    }

    fn is_on(&self, flag: &Flag, context: &Self::Context) -> bool {
        is_on(
            &self
                .ruleset
                .evaluate(&flag.key, context, ValueType::Boolean),
        )
    }

    fn count_on(&self, _: &[Flag], context: &Self::Context) -> usize {
        self.ruleset.evaluate_all(context).filter(is_on).count()
    }

    fn change(&self, change: &Self::Change) {
        let state = self.state.apply(position(2), vec![change.clone()], &[]);
        black_box(self.ruleset.recompile(&state));
    }
}

fn is_on(evaluated: &Evaluated<'_>) -> bool {
    let kind = evaluated.value.and_then(|value| value.kind.as_ref());
    matches!(kind, Some(Kind::BoolValue(true)))
}

fn position(revision: u64) -> Position {
    Position { epoch: 1, revision }
}

fn express(flag: &Flag) -> types::Flag {
    let variant = |key: &str, value| Variant {
        key: key.to_owned(),
        value: Some(Kind::BoolValue(value).into()),
        ..Variant::default()
    };
    let on = types::Flag {
        key: flag.key.clone(),
        r#type: FlagType::Boolean as i32,
        variants: vec![variant(ON, true), variant(OFF, false)],
        enabled: true,
        off_variant: OFF.to_owned(),
        fallthrough: Some(serves(ON)),
        ..types::Flag::default()
    };
    let only_if = |conditions: Vec<Condition>| types::Flag {
        rules: conditions.into_iter().enumerate().map(rule).collect(),
        fallthrough: Some(serves(OFF)),
        ..on.clone()
    };
    match &flag.shape {
        Shape::Boolean => on,
        Shape::FiveRules => only_if((0..RULES).map(asks_country_and_plan).collect()),
        Shape::Split => types::Flag {
            fallthrough: Some(splits(&flag.key)),
            ..on
        },
        Shape::Segment => only_if(vec![condition(ConditionKind::Segment(SegmentMatch {
            keys: vec![SEGMENT.to_owned()],
        }))]),
        Shape::Needs(needed) => types::Flag {
            prerequisites: vec![Prerequisite {
                flag_key: needed.clone(),
                variants: vec![ON.to_owned()],
            }],
            ..on
        },
    }
}

fn rule((index, condition): (usize, Condition)) -> Rule {
    Rule {
        id: format!("rule-{index}"),
        condition: Some(condition),
        serve: Some(serves(ON)),
        ..Rule::default()
    }
}

fn asks_country_and_plan(index: usize) -> Condition {
    let equals = |attribute: &str, value: &str| {
        condition(ConditionKind::Clause(Clause {
            attribute: attribute.to_owned(),
            operator: Operator::Equals as i32,
            values: vec![Kind::StringValue(value.to_owned()).into()],
            ignore_case: false,
        }))
    };
    let conditions = vec![
        equals("country", COUNTRY),
        equals("plan", &format!("plan-{index}")),
    ];
    condition(ConditionKind::All(AllOf { conditions }))
}

fn condition(kind: ConditionKind) -> Condition {
    Condition { kind: Some(kind) }
}

fn serves(variant: &str) -> Serve {
    Serve {
        kind: Some(serve::Kind::Variant(variant.to_owned())),
    }
}

fn splits(salt: &str) -> Serve {
    let half = |variant: &str| SplitPart {
        variant: variant.to_owned(),
        weight: 50_000,
    };
    let split = Split {
        salt: salt.to_owned(),
        parts: vec![half(ON), half(OFF)],
        ..Split::default()
    };
    Serve {
        kind: Some(serve::Kind::Split(split)),
    }
}

/// More than 1,000 keys travel in parts.
fn ship_segment(keys: &[String]) -> Vec<Arc<Item>> {
    let whole = |included| types::Segment {
        key: SEGMENT.to_owned(),
        included,
        ..types::Segment::default()
    };
    if keys.len() <= 1000 {
        return vec![item(ItemKind::Segment, SEGMENT, &whole(keys.to_vec()))];
    }
    let mut parts: BTreeMap<u8, SegmentPart> = BTreeMap::new();
    for key in keys {
        let part = parts.entry(segment_part(key)).or_default();
        part.included.push(key.clone());
    }
    let part = |(index, part): (&u8, &SegmentPart)| {
        item(
            ItemKind::SegmentPart,
            &format!("{SEGMENT}/{index:02x}"),
            part,
        )
    };
    let segment = item(ItemKind::Segment, SEGMENT, &whole(Vec::new()));
    std::iter::once(segment)
        .chain(parts.iter().map(part))
        .collect()
}

fn item(kind: ItemKind, key: &str, message: &impl Message) -> Arc<Item> {
    Arc::new(Item {
        kind: kind as i32,
        key: key.to_owned(),
        revision: 1,
        level: LEVEL,
        body: Bytes::from(message.encode_to_vec()),
    })
}
