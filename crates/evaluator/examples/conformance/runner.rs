//! Reads conformance cases, evaluates them, and compares.

#![allow(clippy::disallowed_methods, reason = "the cases are files")]

#[path = "explained.rs"]
mod explained;

use std::error::Error;
use std::fs;
use std::path::Path;

use burgee_evaluator::{Context, Evaluated, Ruleset};
use burgee_proto::types::v1::{self as types, ErrorCode, EvaluationContext, Position, ValueType};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use serde::Deserialize;
use serde_json::Value as Json;

/// What a run found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// How many cases were tried.
    pub(crate) cases: usize,
    /// Each case whose result is not the expected one, in full.
    pub(crate) differences: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum File {
    One(Suite),
    Many(Vec<Suite>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Suite {
    description: String,
    ruleset: Json,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    flag: String,
    #[serde(default)]
    context: Option<Json>,
    #[serde(default, rename = "type")]
    wanted: Option<String>,
    expect: Expected,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Expected {
    /// Absent is not null.
    #[serde(default, deserialize_with = "present")]
    value: Option<Json>,
    variant: Option<String>,
    reason: String,
    rule_id: Option<String>,
    error_code: Option<String>,
}

fn present<'de, D: serde::Deserializer<'de>>(field: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(field).map(Some)
}

/// Runs every `*.json` of a folder.
///
/// # Errors
///
/// A file that cannot be read or does not have the form of the design.
pub(crate) fn run(folder: &Path) -> Result<Report, Box<dyn Error>> {
    let pool = DescriptorPool::decode(burgee_proto::FILE_DESCRIPTOR_SET)?;
    let mut files: Vec<_> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|file| file.extension().is_some_and(|it| it == "json"));
    files.sort();
    let mut report = Report::default();
    for file in files {
        run_file(&pool, &file, &mut report)
            .map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(report)
}

fn run_file(pool: &DescriptorPool, file: &Path, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let suites = match serde_json::from_slice(&fs::read(file)?)? {
        File::One(suite) => vec![suite],
        File::Many(suites) => suites,
    };
    for suite in suites {
        let message: types::Ruleset = parse(pool, "Ruleset", &suite.ruleset)
            .map_err(|error| format!("{}: {error}", suite.description))?;
        let ruleset = Ruleset::from_message(&message);
        for case in &suite.cases {
            report.cases += 1;
            if let Some(difference) = run_case(pool, &ruleset, case)? {
                let place = format!("{}: {}: {}", file.display(), suite.description, case.name);
                report.differences.push(format!("{place}\n{difference}"));
            }
        }
    }
    Ok(())
}

fn run_case(
    pool: &DescriptorPool,
    ruleset: &Ruleset,
    case: &Case,
) -> Result<Option<String>, Box<dyn Error>> {
    let message: EvaluationContext = match &case.context {
        Some(context) => parse(pool, "EvaluationContext", context)
            .map_err(|error| format!("{}: {error}", case.name))?,
        None => EvaluationContext::default(),
    };
    let wanted = match &case.wanted {
        None => ValueType::Unspecified,
        Some(name) => ValueType::from_str_name(&format!("VALUE_TYPE_{name}"))
            .ok_or_else(|| format!("{}: no type {name}", case.name))?,
    };
    let context = Context::new(&message);
    let evaluated = match &context {
        Ok(context) => ruleset.evaluate(&case.flag, context, wanted),
        Err(_) => Evaluated::error(&case.flag, ErrorCode::InvalidContext),
    };
    if let Ok(context) = &context {
        let position = Position::default();
        let explanation = ruleset.explain(&case.flag, context, wanted, position);
        let doubt = explained::doubt(&explanation, &evaluated.to_message(position));
        if let Some(doubt) = doubt {
            return Ok(Some(format!("  evaluated as {evaluated:?}\n  {doubt}")));
        }
    }
    if is_expected(&evaluated, &case.expect) {
        return Ok(None);
    }
    let problem = ruleset.problem(&case.flag).unwrap_or("none");
    let context = case.context.as_ref().map(Json::to_string);
    Ok(Some(format!(
        "  flag     {}\n  context  {}\n  expected {:?}\n  actual   {evaluated:?}\n  problem  {problem}",
        case.flag,
        context.unwrap_or_default(),
        case.expect,
    )))
}

fn is_expected(actual: &Evaluated<'_>, expected: &Expected) -> bool {
    let reason = actual.reason.as_str_name().strip_prefix("REASON_");
    let error_code = match actual.error_code {
        ErrorCode::Unspecified => None,
        code => code.as_str_name().strip_prefix("ERROR_CODE_"),
    };
    let same_value = match (actual.value, &expected.value) {
        (Some(actual), Some(expected)) => is_same(actual, &to_value(expected)),
        (None, None) => true,
        _ => false,
    };
    same_value
        && actual.variant == expected.variant.as_deref()
        && reason == Some(expected.reason.as_str())
        && actual.rule_id == expected.rule_id.as_deref()
        && error_code == expected.error_code.as_deref()
}

pub(crate) fn parse<M: Message + Default>(
    pool: &DescriptorPool,
    name: &str,
    json: &Json,
) -> Result<M, Box<dyn Error>> {
    let descriptor = pool
        .get_message_by_name(&format!("burgee.types.v1.{name}"))
        .ok_or("the contract has no such message")?;
    let message = DynamicMessage::deserialize(descriptor, json)?;
    Ok(M::decode(message.encode_to_vec().as_slice())?)
}

fn to_value(json: &Json) -> Value {
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(value) => Kind::BoolValue(*value),
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Kind::StringValue(text.clone()),
        Json::Array(values) => Kind::ListValue(ListValue {
            values: values.iter().map(to_value).collect(),
        }),
        Json::Object(fields) => Kind::StructValue(Struct {
            fields: fields
                .iter()
                .map(|(key, value)| (key.clone(), to_value(value)))
                .collect(),
        }),
    };
    Value { kind: Some(kind) }
}

/// Equal, −0 told from 0.
fn is_same(one: &Value, other: &Value) -> bool {
    match (&one.kind, &other.kind) {
        (Some(Kind::NumberValue(one)), Some(Kind::NumberValue(other))) => {
            one.to_bits() == other.to_bits()
        }
        (Some(Kind::ListValue(one)), Some(Kind::ListValue(other))) => {
            let pairs = one.values.iter().zip(&other.values);
            one.values.len() == other.values.len() && pairs.into_iter().all(|(a, b)| is_same(a, b))
        }
        (Some(Kind::StructValue(one)), Some(Kind::StructValue(other))) => {
            let mut pairs = one.fields.iter().zip(&other.fields);
            one.fields.len() == other.fields.len()
                && pairs.all(|((key, a), (other_key, b))| key == other_key && is_same(a, b))
        }
        (one, other) => one == other,
    }
}
