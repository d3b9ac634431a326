//! Writes conformance cases over random rulesets, with what this evaluator
//! makes of them: every other language must reproduce them exactly.
//! `cargo run -p burgee-evaluator --example corpus -- [SEED] > FILE`
//!
//! The same seed writes the same bytes.

#[allow(dead_code, reason = "only reading ProtoJSON is shared")]
#[path = "../conformance/runner.rs"]
mod runner;

mod random;
mod rulesets;

use std::error::Error;
use std::process::ExitCode;

use burgee_evaluator::{Context, Evaluated, Ruleset};
use burgee_proto::types::v1::{self as types, ErrorCode, EvaluationContext, ValueType};
use prost_reflect::DescriptorPool;
use prost_types::Value;
use prost_types::value::Kind;
use random::Random;
use serde_json::{Map, Value as Json, json};

const RULESETS: usize = 300;
const CASES_EACH: usize = 40;
const TYPES: &[&str] = &["BOOLEAN", "STRING", "NUMBER", "INTEGER", "JSON"];
const SEED: u64 = 1;

fn main() -> ExitCode {
    let seed = std::env::args()
        .nth(1)
        .map_or(Ok(SEED), |seed| seed.parse());
    let Ok(seed) = seed else {
        eprintln!("usage: corpus [SEED] > FILE");
        return ExitCode::FAILURE;
    };
    match corpus(seed) {
        Ok(corpus) => {
            print!("{corpus}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// One suite a line.
fn corpus(seed: u64) -> Result<String, Box<dyn Error>> {
    let pool = DescriptorPool::decode(burgee_proto::FILE_DESCRIPTOR_SET)?;
    let mut random = Random::new(seed);
    let suites = (0..RULESETS).map(|number| Ok(suite(&pool, &mut random, number)?.to_string()));
    let suites = suites.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    Ok(format!("[\n{}\n]\n", suites.join(",\n")))
}

fn suite(
    pool: &DescriptorPool,
    random: &mut Random,
    number: usize,
) -> Result<Json, Box<dyn Error>> {
    let ruleset = rulesets::ruleset(random);
    let message: types::Ruleset = runner::parse(pool, "Ruleset", &ruleset)?;
    let compiled = Ruleset::from_message(&message);
    let cases = (0..CASES_EACH).map(|case| {
        let flag = rulesets::flag_key(random);
        let context = rulesets::context(random);
        let wanted = random.percent(20).then(|| random.pick(TYPES));
        let message: EvaluationContext = runner::parse(pool, "EvaluationContext", &context)?;
        let value_type =
            wanted.and_then(|it| ValueType::from_str_name(&format!("VALUE_TYPE_{it}")));
        let evaluated = match Context::new(&message) {
            Ok(context) => compiled.evaluate(flag, &context, value_type.unwrap_or_default()),
            Err(_) => Evaluated::error(flag, ErrorCode::InvalidContext),
        };
        let mut line = json!({"name": case.to_string(), "flag": flag, "context": context});
        if let (Some(wanted), Some(line)) = (wanted, line.as_object_mut()) {
            line.insert("type".into(), wanted.into());
        }
        if let Some(line) = line.as_object_mut() {
            line.insert("expect".into(), expected(&evaluated));
        }
        Ok(line)
    });
    let cases = cases.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    Ok(json!({"description": format!("generated {number}"), "ruleset": ruleset, "cases": cases}))
}

fn expected(evaluated: &Evaluated<'_>) -> Json {
    let mut expected = Map::new();
    let mut insert = |name: &str, value: Json| expected.insert(name.to_owned(), value);
    if let Some(value) = evaluated.value {
        insert("value", to_json(value));
    }
    if let Some(variant) = evaluated.variant {
        insert("variant", variant.into());
    }
    let reason = evaluated.reason.as_str_name();
    insert("reason", reason.trim_start_matches("REASON_").into());
    if let Some(rule_id) = evaluated.rule_id {
        insert("ruleId", rule_id.into());
    }
    if evaluated.error_code != ErrorCode::Unspecified {
        let code = evaluated.error_code.as_str_name();
        insert("errorCode", code.trim_start_matches("ERROR_CODE_").into());
    }
    expected.into()
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
