//! Finds conformance cases, evaluates them, and compares.

#![allow(clippy::disallowed_methods, reason = "the cases are files")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{fs, io};

use burgee_evaluator::{Context, Evaluated, Ruleset};
use burgee_proto::types::v1::{self as types, ErrorCode, EvaluationContext, Position, ValueType};

use crate::contract::Contract;
use crate::explained::doubt;
use crate::suite::{Case, Outcome, Suite, suites};

/// What a run found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// How many cases were tried.
    pub(crate) cases: usize,
    /// Each case whose result is not the expected one, in full.
    pub(crate) differences: Vec<String>,
    /// Each file or folder whose cases could not be tried, and why, in a line.
    pub(crate) unreadable: Vec<String>,
}

/// Runs every `*.json` of a folder and of the folders in it. A file that cannot
/// be read does not keep the others from being tried.
pub(crate) fn run(folder: &Path) -> Result<Report, Box<dyn Error>> {
    let contract = Contract::new()?;
    let mut report = Report::default();
    let mut files = Vec::new();
    if let Err(error) = find(folder, &mut files) {
        let line = format!("{}: {error}", folder.display());
        report.unreadable.push(line);
    }
    files.sort();
    for file in files {
        if let Err(error) = run_file(&contract, &file, &mut report) {
            let line = format!("{}: {error}", file.display());
            report.unreadable.push(line);
        }
    }
    Ok(report)
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|it| it == "json") {
            files.push(path);
        }
    }
    Ok(())
}

fn run_file(contract: &Contract, file: &Path, report: &mut Report) -> Result<(), Box<dyn Error>> {
    for (number, suite) in suites(&fs::read_to_string(file)?)?.iter().enumerate() {
        let about = called(&suite.description, "suite", number);
        let message: types::Ruleset = contract
            .read("Ruleset", &suite.ruleset)
            .map_err(|error| format!("{about}: ruleset: {error}"))?;
        let ruleset = Ruleset::from_message(&message);
        for (number, case) in suite.cases.iter().enumerate() {
            let place = format!("{about}: {}", called(&case.name, "case", number));
            let (context, wanted) =
                read_case(contract, case).map_err(|error| format!("{place}: {error}"))?;
            report.cases += 1;
            if let Some(difference) = compare(suite, case, &ruleset, &context, wanted)? {
                let difference = format!("{}: {place}\n{difference}", file.display());
                report.differences.push(difference);
            }
        }
    }
    Ok(())
}

/// What it is called, or else where it stands, counted from 1.
fn called(name: &str, kind: &str, number: usize) -> String {
    if name.is_empty() {
        format!("{kind} {}", number + 1)
    } else {
        name.to_owned()
    }
}

fn read_case(
    contract: &Contract,
    case: &Case,
) -> Result<(EvaluationContext, ValueType), Box<dyn Error>> {
    let context = match &case.context {
        Some(context) => contract
            .read_context(context)
            .map_err(|error| format!("context: {error}"))?,
        None => EvaluationContext::default(),
    };
    let wanted = match &case.wanted {
        None => ValueType::Unspecified,
        Some(name) => ValueType::from_str_name(&format!("VALUE_TYPE_{name}"))
            .ok_or_else(|| format!("there is no type {name:?}"))?,
    };
    Ok((context, wanted))
}

/// What this evaluator makes of a question.
pub(crate) fn answer<'a>(
    ruleset: &'a Ruleset,
    flag: &'a str,
    context: &EvaluationContext,
    wanted: ValueType,
) -> Evaluated<'a> {
    match Context::new(context) {
        Ok(context) => ruleset.evaluate(flag, &context, wanted),
        Err(_) => Evaluated::error(flag, ErrorCode::InvalidContext),
    }
}

/// How the answer differs from what is expected, or its explanation from it.
fn compare(
    suite: &Suite,
    case: &Case,
    ruleset: &Ruleset,
    context: &EvaluationContext,
    wanted: ValueType,
) -> Result<Option<String>, serde_json::Error> {
    let evaluated = answer(ruleset, &case.flag, context, wanted);
    let actual = Outcome::of(&evaluated);
    if !actual.is_same(&case.expect) {
        return describe(suite, case, &actual, ruleset).map(Some);
    }
    let Ok(context) = Context::new(context) else {
        return Ok(None);
    };
    let position = Position::default();
    let explanation = ruleset.explain(&case.flag, &context, wanted, position);
    let doubt = doubt(&explanation, &evaluated.to_message(position));
    Ok(doubt.map(|doubt| format!("  {doubt}")))
}

fn describe(
    suite: &Suite,
    case: &Case,
    actual: &Outcome,
    ruleset: &Ruleset,
) -> Result<String, serde_json::Error> {
    let flags = suite.ruleset.get("flags").and_then(|it| it.as_array());
    let definition = flags
        .into_iter()
        .flatten()
        .find(|flag| flag.get("key").is_some_and(|key| *key == case.flag));
    let lines = [
        ("flag", Some(case.flag.clone())),
        ("type", case.wanted.clone()),
        ("context", case.context.as_ref().map(ToString::to_string)),
        ("expected", Some(case.expect.to_json()?.to_string())),
        ("actual", Some(actual.to_json()?.to_string())),
        ("problem", ruleset.problem(&case.flag).map(str::to_owned)),
        ("ruleset has", definition.map(ToString::to_string)),
    ];
    let lines = lines
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| format!("  {name:<12}{value}")));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}
