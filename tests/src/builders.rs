//! Flags, rules and segments in few words: what a test does not say has the
//! API's defaults.

use burgee_proto::admin::v1::{Flag, FlagConfig, FlagRule, Segment, SegmentConfig};
use burgee_proto::types::v1::{
    Clause, Condition, EvaluationContext, FlagType, Operator, Prerequisite, Rule, SegmentMatch,
    Serve, Split, SplitPart, Target, Variant, condition, serve,
};
use prost_types::value::Kind;
use prost_types::{Struct, Value};

/// All of a split's weights together.
pub const WHOLE: i32 = 100_000;

/// A BOOLEAN flag: variants `on` and `off` of the server's making.
#[must_use]
pub fn boolean_flag(key: &str) -> Flag {
    Flag {
        key: key.to_owned(),
        r#type: FlagType::Boolean.into(),
        ..Flag::default()
    }
}

/// A STRING flag whose variants are named as their values.
#[must_use]
pub fn string_flag(key: &str, variants: &[&str]) -> Flag {
    Flag {
        key: key.to_owned(),
        r#type: FlagType::String.into(),
        variants: variants
            .iter()
            .map(|&name| variant(name, text(name)))
            .collect(),
        ..Flag::default()
    }
}

/// A variant.
#[must_use]
pub fn variant(key: &str, value: Value) -> Variant {
    Variant {
        key: key.to_owned(),
        value: Some(value),
        ..Variant::default()
    }
}

/// Text as a value.
#[must_use]
pub fn text(value: &str) -> Value {
    Value {
        kind: Some(Kind::StringValue(value.to_owned())),
    }
}

/// A boolean as a value.
#[must_use]
pub fn boolean(value: bool) -> Value {
    Value {
        kind: Some(Kind::BoolValue(value)),
    }
}

/// A number as a value.
#[must_use]
pub fn number(value: f64) -> Value {
    Value {
        kind: Some(Kind::NumberValue(value)),
    }
}

/// Serves one variant.
#[must_use]
pub fn serve(variant: &str) -> Serve {
    Serve {
        kind: Some(serve::Kind::Variant(variant.to_owned())),
    }
}

/// Serves several variants by weight, in 1/1000 %.
#[must_use]
pub fn split(parts: &[(&str, i32)]) -> Serve {
    Serve {
        kind: Some(serve::Kind::Split(Split {
            parts: split_parts(parts),
            ..Split::default()
        })),
    }
}

/// The parts of a split.
#[must_use]
pub fn split_parts(parts: &[(&str, i32)]) -> Vec<SplitPart> {
    let part = |&(variant, weight): &(&str, i32)| SplitPart {
        variant: variant.to_owned(),
        weight,
    };
    parts.iter().map(part).collect()
}

/// True where `attribute` equals one of `values`.
#[must_use]
pub fn equals(attribute: &str, values: &[&str]) -> Condition {
    clause(
        attribute,
        Operator::Equals,
        values.iter().map(|&value| text(value)).collect(),
    )
}

/// A test of one attribute.
#[must_use]
pub fn clause(attribute: &str, operator: Operator, values: Vec<Value>) -> Condition {
    Condition {
        kind: Some(condition::Kind::Clause(Clause {
            attribute: attribute.to_owned(),
            operator: operator.into(),
            values,
            ignore_case: false,
        })),
    }
}

/// True for members of a segment.
#[must_use]
pub fn in_segment(key: &str) -> Condition {
    Condition {
        kind: Some(condition::Kind::Segment(SegmentMatch {
            keys: vec![key.to_owned()],
        })),
    }
}

/// A rule: whoever `condition` holds for is served `serve`.
#[must_use]
pub fn rule(id: &str, condition: Condition, serve: Serve) -> FlagRule {
    FlagRule {
        rule: Some(Rule {
            id: id.to_owned(),
            condition: Some(condition),
            traffic: None,
            serve: Some(serve),
        }),
        ..FlagRule::default()
    }
}

/// Individual targeting by targeting key.
#[must_use]
pub fn target(variant: &str, keys: &[&str]) -> Target {
    Target {
        variant: variant.to_owned(),
        attribute: String::new(),
        keys: keys.iter().map(|&key| key.to_owned()).collect(),
    }
}

/// Wants `flag` to have one of `variants`.
#[must_use]
pub fn prerequisite(flag: &str, variants: &[&str]) -> Prerequisite {
    Prerequisite {
        flag_key: flag.to_owned(),
        variants: variants.iter().map(|&name| name.to_owned()).collect(),
    }
}

/// A configuration with `rules` alone: for an update that names no mask.
#[must_use]
pub fn rules(rules: Vec<FlagRule>) -> FlagConfig {
    FlagConfig {
        rules,
        ..FlagConfig::default()
    }
}

/// A configuration with `prerequisites` alone: for an update that names no mask.
#[must_use]
pub fn prerequisites(prerequisites: Vec<Prerequisite>) -> FlagConfig {
    FlagConfig {
        prerequisites,
        ..FlagConfig::default()
    }
}

/// A configuration with a fallthrough alone: for an update that names no mask.
#[must_use]
pub fn fallthrough(serve: Serve) -> FlagConfig {
    FlagConfig {
        fallthrough: Some(serve),
        ..FlagConfig::default()
    }
}

/// A segment's definition.
#[must_use]
pub fn segment(key: &str) -> Segment {
    Segment {
        key: key.to_owned(),
        ..Segment::default()
    }
}

/// A segment's content: `included` alone.
#[must_use]
pub fn included(keys: &[&str]) -> SegmentConfig {
    SegmentConfig {
        included: keys.iter().map(|&key| key.to_owned()).collect(),
        ..SegmentConfig::default()
    }
}

/// A context with a targeting key and text attributes.
#[must_use]
pub fn context(targeting_key: &str, attributes: &[(&str, &str)]) -> EvaluationContext {
    let fields = attributes
        .iter()
        .map(|&(name, value)| (name.to_owned(), text(value)))
        .collect();
    EvaluationContext {
        targeting_key: targeting_key.to_owned(),
        attributes: Some(Struct { fields }),
    }
}
