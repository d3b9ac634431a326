//! The form of conformance cases: files, suites, cases, and what is expected.

use std::error::Error;

use burgee_evaluator::Evaluated;
use burgee_proto::types::v1::ErrorCode;
use prost_types::Value;
use prost_types::value::Kind;
use regex::{Captures, Regex};
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value as Json};

/// A ruleset, and what it must answer. Further fields, such as a comment, are
/// let pass, here and in a case: they promise nothing about an evaluator.
#[derive(Deserialize)]
pub(crate) struct Suite {
    /// What it is about.
    #[serde(default)]
    pub(crate) description: String,
    /// ProtoJSON of a `Ruleset`.
    pub(crate) ruleset: Json,
    /// What is asked of it.
    pub(crate) cases: Vec<Case>,
}

/// One question.
#[derive(Deserialize)]
pub(crate) struct Case {
    /// What it shows.
    #[serde(default)]
    pub(crate) name: String,
    /// The key of the flag.
    pub(crate) flag: String,
    /// ProtoJSON of an `EvaluationContext`.
    #[serde(default)]
    pub(crate) context: Option<Json>,
    /// The wanted type, without its prefix.
    #[serde(default, rename = "type")]
    pub(crate) wanted: Option<String>,
    /// The answer.
    pub(crate) expect: Outcome,
}

/// What an evaluation gives. A field that is not known is refused: an
/// expectation that nobody looks at would always be met.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Outcome {
    /// Absent is not null.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    value: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<String>,
}

fn present<'de, D: serde::Deserializer<'de>>(field: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(field).map(Some)
}

impl Outcome {
    /// What this evaluator answered.
    pub(crate) fn of(evaluated: &Evaluated<'_>) -> Self {
        let error_code = match evaluated.error_code {
            ErrorCode::Unspecified => None,
            code => Some(without(code.as_str_name(), "ERROR_CODE_")),
        };
        Self {
            value: evaluated.value.map(to_json),
            variant: evaluated.variant.map(str::to_owned),
            reason: without(evaluated.reason.as_str_name(), "REASON_"),
            rule_id: evaluated.rule_id.map(str::to_owned),
            error_code,
        }
    }

    /// Whether both are the same, −0 told from 0.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let same_value = match (&self.value, &other.value) {
            (Some(one), Some(other)) => is_same(one, other),
            (None, None) => true,
            _ => false,
        };
        same_value
            && self.variant == other.variant
            && self.reason == other.reason
            && self.rule_id == other.rule_id
            && self.error_code == other.error_code
    }

    /// As it is written in a case.
    pub(crate) fn to_json(&self) -> Result<Json, serde_json::Error> {
        serde_json::to_value(self)
    }
}

/// Escapes of JSON: two halves of a surrogate pair, half of one, any other.
const ESCAPES: &str = r"(?i)\\(?:ud[89ab]..\\ud[c-f]..|(?<lone>ud[89a-f]..)|.)";

/// The suites of a file: one, or a list of them. Half a surrogate pair, which JSON
/// can write and no text of this language can hold, is U+FFFD.
pub(crate) fn suites(file: &str) -> Result<Vec<Suite>, Box<dyn Error>> {
    let file = Regex::new(ESCAPES)?.replace_all(file, |escape: &Captures<'_>| {
        let is_lone = escape.name("lone").is_some();
        if is_lone { r"\ufffd" } else { &escape[0] }.to_owned()
    });
    match serde_json::from_str(&file)? {
        list @ Json::Array(_) => Ok(serde_json::from_value(list)?),
        suite => Ok(vec![serde_json::from_value(suite)?]),
    }
}

fn without(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_owned()
}

fn to_json(value: &Value) -> Json {
    match &value.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(value)) => (*value).into(),
        Some(Kind::NumberValue(value)) => (*value).into(),
        Some(Kind::StringValue(text)) => text.as_str().into(),
        Some(Kind::ListValue(list)) => list.values.iter().map(to_json).collect(),
        Some(Kind::StructValue(object)) => {
            let fields = object.fields.iter();
            fields
                .map(|(key, value)| (key.clone(), to_json(value)))
                .collect()
        }
    }
}

/// Numbers are doubles, however they are written.
fn is_same(one: &Json, other: &Json) -> bool {
    let bits = |number: &Number| number.as_f64().map(f64::to_bits);
    match (one, other) {
        (Json::Number(one), Json::Number(other)) => bits(one) == bits(other),
        (Json::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| is_same(a, b))
        }
        (Json::Object(one), Json::Object(other)) => {
            let is_there = |(key, value)| other.get(key).is_some_and(|found| is_same(value, found));
            one.len() == other.len() && one.iter().all(is_there)
        }
        (one, other) => one == other,
    }
}
