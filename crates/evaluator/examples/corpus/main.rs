//! Writes conformance cases over random rulesets, with what this evaluator
//! makes of them: every other language must reproduce them exactly.
//! `cargo run -p burgee-evaluator --example corpus -- [SEED] > FILE`
//!
//! The same seed writes the same bytes.

#[path = "../conformance/contract.rs"]
mod contract;
#[allow(dead_code, reason = "explanations are checked as cases are run")]
#[path = "../conformance/explained.rs"]
mod explained;
#[allow(dead_code, reason = "only answering is shared")]
#[path = "../conformance/runner.rs"]
mod runner;
#[allow(dead_code, reason = "only answers are shared")]
#[path = "../conformance/suite.rs"]
mod suite;

mod random;
mod rulesets;

use std::error::Error;
use std::process::ExitCode;

use burgee_evaluator::Ruleset;
use burgee_proto::types::v1::{self as types, EvaluationContext, ValueType};
use contract::Contract;
use random::Random;
use serde_json::{Value as Json, json};

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
    let contract = Contract::new()?;
    let mut random = Random::new(seed);
    let suites =
        (0..RULESETS).map(|number| Ok(write_suite(&contract, &mut random, number)?.to_string()));
    let suites = suites.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    Ok(format!("[\n{}\n]\n", suites.join(",\n")))
}

fn write_suite(
    contract: &Contract,
    random: &mut Random,
    number: usize,
) -> Result<Json, Box<dyn Error>> {
    let ruleset = rulesets::ruleset(random);
    let message: types::Ruleset = contract.read("Ruleset", &ruleset)?;
    let compiled = Ruleset::from_message(&message);
    let cases = (0..CASES_EACH).map(|case| {
        let flag = rulesets::flag_key(random);
        let context = rulesets::context(random);
        let wanted = random.percent(20).then(|| random.pick(TYPES));
        let message: EvaluationContext = contract.read("EvaluationContext", &context)?;
        let value_type =
            wanted.and_then(|it| ValueType::from_str_name(&format!("VALUE_TYPE_{it}")));
        let answer = runner::answer(&compiled, flag, &message, value_type.unwrap_or_default());
        let mut line = json!({"name": case.to_string(), "flag": flag, "context": context});
        if let (Some(wanted), Some(line)) = (wanted, line.as_object_mut()) {
            line.insert("type".into(), wanted.into());
        }
        if let Some(line) = line.as_object_mut() {
            line.insert("expect".into(), suite::Outcome::of(&answer).to_json()?);
        }
        Ok(line)
    });
    let cases = cases.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    Ok(json!({"description": format!("generated {number}"), "ruleset": ruleset, "cases": cases}))
}
