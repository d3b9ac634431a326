//! The files of the corpus, and what is in them.

use std::error::Error;

use burgee_evaluator::Ruleset;
use burgee_proto::types::v1::{self as types, EvaluationContext, ValueType};
use serde_json::{Value as Json, json};

use crate::contract::Contract;
use crate::families::{self, Asked, Question};
use crate::json as text;
use crate::random::Random;
use crate::runner::answer;
use crate::suite::Outcome;

/// A file: its name, how many suites it has, and how the next one is made.
type File = (&'static str, usize, fn(&mut Random, usize) -> Asked);

/// Each has choices of its own, so that a change to one leaves the others.
const FILES: &[File] = &[
    ("broken", families::BROKEN_SUITES, families::broken),
    ("buckets", 36, families::buckets),
    ("everything-1", 26, families::everything),
    ("everything-2", 26, families::everything),
    ("limits", 7, families::limits),
    ("names", 42, families::names),
    ("operators-1", 64, families::operators),
    ("operators-2", 64, families::operators),
    ("prerequisites", 35, families::prerequisites),
];
const TYPES: &[&str] = &["BOOLEAN", "STRING", "NUMBER", "INTEGER", "JSON"];

/// Every file's name and content, in order.
pub(crate) fn files() -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let contract = Contract::new()?;
    let files = FILES.iter().zip(1..).map(|((name, count, make), seed)| {
        let mut random = Random::new(seed);
        let mut content = String::from("[");
        for number in 0..*count {
            let separator = if number == 0 { "\n" } else { ",\n" };
            content.push_str(separator);
            let asked = make(&mut random, number);
            write_suite(&contract, &mut random, &asked, number, &mut content)?;
        }
        content.push_str("\n]\n");
        Ok((format!("{name}.json"), content))
    });
    files.collect()
}

/// The suite in a line, and each case in one.
fn write_suite(
    contract: &Contract,
    random: &mut Random,
    asked: &Asked,
    number: usize,
    content: &mut String,
) -> Result<(), Box<dyn Error>> {
    let message: types::Ruleset = contract.read("Ruleset", &asked.ruleset)?;
    let ruleset = Ruleset::from_message(&message);
    content.push_str(&format!(
        "{{\"description\":\"generated {number}\",\"ruleset\":"
    ));
    text::write(&asked.ruleset, content);
    content.push_str(",\"cases\":[");
    for (number, question) in asked.cases.iter().enumerate() {
        content.push_str(if number == 0 { "\n" } else { ",\n" });
        let case = case(contract, random, &ruleset, question, number)?;
        text::write(&case, content);
    }
    content.push_str("]}");
    Ok(())
}

fn case(
    contract: &Contract,
    random: &mut Random,
    ruleset: &Ruleset,
    question: &Question,
    number: usize,
) -> Result<Json, Box<dyn Error>> {
    let Question { flag, context } = question;
    let message = contract.read_context(context)?;
    let type_name = wanted_type(random, ruleset, flag, &message);
    let wanted = ValueType::from_str_name(&format!("VALUE_TYPE_{type_name}"));
    let answer = answer(ruleset, flag, &message, wanted.unwrap_or_default());
    let mut case = json!({
        "name": number.to_string(),
        "flag": flag,
        "expect": Outcome::of(&answer).to_json()?,
    });
    if let Some(case) = case.as_object_mut() {
        if !type_name.is_empty() {
            case.insert("type".into(), type_name.into());
        }
        if context.as_object().is_some_and(|it| !it.is_empty()) {
            case.insert("context".into(), context.clone());
        }
    }
    Ok(case)
}

/// Mostly none, then mostly one that the flag's value has.
fn wanted_type(
    random: &mut Random,
    ruleset: &Ruleset,
    flag: &str,
    context: &EvaluationContext,
) -> &'static str {
    if random.percent(70) {
        return "";
    }
    let first = random.below(TYPES.len());
    let types = TYPES.iter().cycle().skip(first).take(TYPES.len());
    let is_error = |name: &str| {
        let wanted = ValueType::from_str_name(&format!("VALUE_TYPE_{name}"));
        let answer = answer(ruleset, flag, context, wanted.unwrap_or_default());
        answer.error_code != types::ErrorCode::Unspecified
    };
    let fitting = types.copied().find(|name| !is_error(name));
    if random.percent(75) {
        fitting.unwrap_or_default()
    } else {
        random.pick(TYPES)
    }
}
