//! Item bodies: compiled, evaluated and explained, whatever they hold.

use std::sync::Arc;

use burgee_evaluator::{Context, Evaluated, Item, Ruleset, admit_flag, admit_segment};
use burgee_evaluator::{check_flag, check_segment};
use burgee_proto::sync::v1::ItemKind;
use burgee_proto::types::v1::{
    ErrorCode, EvaluationContext, Flag, Position, Reason, Segment, ValueType,
};
use bytes::Bytes;
use prost::Message;
use prost_types::value::Kind;

use super::builders::{asks, in_segment, item, state};
use super::contexts::Flattened;
use super::evaluation_model::Model;
use super::explained::doubt;
use super::generate::Generator;

const POSITION: Position = Position {
    epoch: 1,
    revision: 1,
};

const WANTED: [ValueType; 6] = [
    ValueType::Unspecified,
    ValueType::Boolean,
    ValueType::String,
    ValueType::Number,
    ValueType::Integer,
    ValueType::Json,
];

/// The first byte says whether the others are the body of a flag, of a segment
/// or of a part of one, or what some items are made of.
pub fn items(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    let (items, contexts) = match first % 8 {
        0 => bare(ItemKind::Flag, rest),
        1 => bare(ItemKind::Segment, rest),
        2 => bare(ItemKind::SegmentPart, rest),
        3 | 4 => made(Generator::sound(rest)),
        _ => made(Generator::wild(rest)),
    };
    let state = state(items.iter().cloned());
    let ruleset = Ruleset::compile(&state);
    let again = ruleset.recompile(&state);
    assert_eq!(again.changed_since(&ruleset), []);
    let model = Model::new(&state);
    for context in &contexts {
        check_ruleset(&ruleset, &model, context);
    }
    for item in &items {
        check_admission(item);
    }
}

/// One item whose body is just these bytes, and what makes others read it.
fn bare(kind: ItemKind, body: &[u8]) -> (Vec<Arc<Item>>, Vec<EvaluationContext>) {
    let key = match kind {
        ItemKind::Flag => Flag::decode(body).map(|flag| flag.key).unwrap_or_default(),
        ItemKind::Segment => Segment::decode(body).map(|it| it.key).unwrap_or_default(),
        _ => "s/00".to_owned(),
    };
    let segment = key.strip_suffix("/00").unwrap_or(&key);
    let mut items = vec![
        item(ItemKind::Flag, "asks", &asks("asks", in_segment(segment))),
        Arc::new(Item {
            kind: kind as i32,
            key: key.clone(),
            level: 1,
            body: Bytes::copy_from_slice(body),
            ..Item::default()
        }),
    ];
    if kind == ItemKind::SegmentPart {
        items.push(item(
            ItemKind::Segment,
            segment,
            &Segment {
                key: segment.to_owned(),
                ..Segment::default()
            },
        ));
    }
    // The bytes are also where names and values come from that may meet.
    let mut contexts = vec![EvaluationContext::default()];
    contexts.push(Generator::sound(body).context());
    (items, contexts)
}

fn made(mut generator: Generator<'_>) -> (Vec<Arc<Item>>, Vec<EvaluationContext>) {
    let contexts = vec![generator.context(), generator.context()];
    (generator.items(12), contexts)
}

/// What holds for every flag of a ruleset and every context.
fn check_ruleset(ruleset: &Ruleset, model: &Model, context: &EvaluationContext) {
    let flattened = Flattened::new(context);
    let Ok(context) = &Context::new(context) else {
        return;
    };
    for key in ruleset.flag_keys() {
        for wanted in WANTED {
            let evaluated = ruleset.evaluate(key, context, wanted);
            assert_eq!(evaluated, ruleset.evaluate(key, context, wanted));
            check_evaluated(&evaluated, wanted);
            let is_parse_error = evaluated.error_code == ErrorCode::ParseError;
            assert_eq!(is_parse_error, ruleset.problem(key).is_some());
            let message = evaluated.to_message(POSITION);
            let modelled = model.evaluate(key, &flattened, wanted, POSITION);
            // What Debug prints tells −0 from 0.
            assert_eq!(format!("{message:?}"), format!("{modelled:?}"));
            let explained = ruleset.explain(key, context, wanted, POSITION);
            assert_eq!(explained.evaluation.as_ref(), Some(&message));
            if !explained.truncated {
                assert_eq!(doubt(&explained, &message), None);
            }
        }
    }
    let unknown = ruleset.evaluate("no such flag", context, ValueType::Boolean);
    assert_eq!(unknown.error_code, ErrorCode::FlagNotFound);
}

/// What holds between the fields of a result.
fn check_evaluated(evaluated: &Evaluated<'_>, wanted: ValueType) {
    let is_error = evaluated.reason == Reason::Error;
    assert_ne!(evaluated.reason, Reason::Unspecified);
    assert_eq!(is_error, evaluated.error_code != ErrorCode::Unspecified);
    assert_eq!(evaluated.value.is_some(), evaluated.variant.is_some());
    assert!(!is_error || (evaluated.value.is_none() && evaluated.metadata.is_none()));
    if evaluated.rule_id.is_some() {
        assert!(matches!(evaluated.reason, Reason::Rule | Reason::Split));
    }
    if evaluated.reason == Reason::Rule {
        assert!(evaluated.rule_id.is_some());
    }
    let kind = evaluated.value.and_then(|value| value.kind.as_ref());
    if let Some(kind) = kind {
        let is_wanted = match wanted {
            ValueType::Unspecified | ValueType::Json => true,
            ValueType::Boolean => matches!(kind, Kind::BoolValue(_)),
            ValueType::String => matches!(kind, Kind::StringValue(_)),
            ValueType::Number => matches!(kind, Kind::NumberValue(_)),
            ValueType::Integer => matches!(kind, Kind::NumberValue(it) if it.fract() == 0.0),
        };
        assert!(is_wanted, "{wanted:?} {kind:?}");
    }
}

/// That what a server admits is understood.
fn check_admission(item: &Item) {
    match ItemKind::try_from(item.kind) {
        Ok(ItemKind::Flag) => {
            let Ok(mut flag) = Flag::decode(&*item.body) else {
                return;
            };
            if admit_flag(&mut flag).is_ok() {
                assert_eq!(check_flag(&flag), Ok(()));
            }
        }
        Ok(ItemKind::Segment) => {
            let Ok(mut segment) = Segment::decode(&*item.body) else {
                return;
            };
            if admit_segment(&mut segment).is_ok() {
                assert_eq!(check_segment(&segment), Ok(()));
            }
        }
        _ => {}
    }
}
