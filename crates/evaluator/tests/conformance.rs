//! This evaluator against the cases that every language must reproduce, and the
//! runner against folders that are not as they should be.

#![allow(clippy::disallowed_methods, reason = "the cases are files")]

#[path = "../examples/conformance/contract.rs"]
mod contract;
#[path = "../examples/conformance/explained.rs"]
mod explained;
#[path = "../examples/conformance/runner.rs"]
mod runner;
#[path = "../examples/conformance/suite.rs"]
mod suite;

use std::error::Error;
use std::path::Path;
use std::{fs, io};

use runner::Report;

#[test]
fn every_case_gives_what_is_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance");
    let report = runner::run(&folder).unwrap();
    assert_eq!(report.unreadable, Vec::<String>::new());
    assert!(report.cases > 0, "no cases in {}", folder.display());
    assert!(
        report.differences.is_empty(),
        "{} of {} cases differ:\n{}",
        report.differences.len(),
        report.cases,
        report.differences.join("\n\n")
    );
}

/// One flag, which is on for everybody.
const RULESET: &str = r#"{"flags": [{"key": "f", "type": "FLAG_TYPE_NUMBER", "enabled": true,
    "variants": [{"key": "on", "value": 0}], "fallthrough": {"variant": "on"}}]}"#;
const EXPECTED: &str = r#"{"value": 0, "variant": "on", "reason": "STATIC"}"#;

/// A suite with one case.
fn suite(ruleset: &str, case: &str, expect: &str) -> String {
    format!(r#"{{"ruleset": {ruleset}, "cases": [{{"flag": "f", {case} "expect": {expect}}}]}}"#)
}

/// Runs a folder of its own that holds these files, by their paths in it.
fn run(name: &str, files: &[(&str, String)]) -> Result<Report, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    write(&folder, files)?;
    runner::run(&folder)
}

fn write(folder: &Path, files: &[(&str, String)]) -> io::Result<()> {
    let _ = fs::remove_dir_all(folder);
    for (path, content) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, content)?;
    }
    Ok(())
}

#[test]
fn folders_in_the_folder_are_run_too() {
    let good = suite(RULESET, "", EXPECTED);
    let files = [
        ("a.json", good.clone()),
        ("b/c.json", format!("[{good}, {good}]")),
        ("README.md", "no case".to_owned()),
    ];
    let report = run("nested", &files).unwrap();
    assert_eq!((report.cases, report.differences.len()), (3, 0));
    assert_eq!(report.unreadable, Vec::<String>::new());
}

#[test]
fn a_difference_is_told_in_full() {
    let context = r#""name": "who", "type": "NUMBER", "context": {"targetingKey": "alice"},"#;
    let other = suite(RULESET, context, r#"{"value": -0.0, "reason": "STATIC"}"#);
    let report = run("difference", &[("a.json", other)]).unwrap();
    assert_eq!(report.cases, 1);
    let difference = report.differences.first().unwrap();
    let parts = [
        "a.json: suite 1: who",
        r#"{"targetingKey":"alice"}"#,
        r#"expected    {"reason":"STATIC","value":-0.0}"#,
        r#"actual      {"reason":"STATIC","value":0.0,"variant":"on"}"#,
        "FLAG_TYPE_NUMBER",
    ];
    for part in parts {
        assert!(difference.contains(part), "{part} is not in {difference}");
    }
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_run() {
    let good = suite(RULESET, "", EXPECTED);
    let unknown = r#"{"flags": [{"key": "f", "colour": "red"}]}"#;
    let cases = [
        ("json.json", "{".to_owned(), "EOF while parsing"),
        ("form.json", "{}".to_owned(), "missing field `ruleset`"),
        ("field.json", suite(unknown, "", EXPECTED), "colour"),
        (
            "type.json",
            suite(RULESET, r#""type": "INT","#, EXPECTED),
            "INT",
        ),
        (
            "context.json",
            suite(RULESET, r#""context": {"key": "a"},"#, EXPECTED),
            "key",
        ),
        (
            "expect.json",
            suite(RULESET, "", r#"{"reason": "STATIC", "rule_id": "r"}"#),
            "rule_id",
        ),
    ];
    let mut files: Vec<_> = cases
        .iter()
        .map(|(name, content, _)| (*name, content.clone()))
        .collect();
    files.push(("good.json", good));
    let report = run("unreadable", &files).unwrap();
    assert_eq!((report.cases, report.differences.len()), (1, 0));
    assert_eq!(report.unreadable.len(), cases.len());
    for (name, _, problem) in cases {
        let line = report.unreadable.iter().find(|line| line.contains(name));
        let line = line.unwrap_or_else(|| panic!("{name} is not told"));
        assert!(line.contains(problem) && !line.contains('\n'), "{line}");
    }
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let report = runner::run(Path::new("no/such/folder")).unwrap();
    assert_eq!(report.cases, 0);
    let line = report.unreadable.first().unwrap();
    assert!(line.starts_with("no/such/folder: "), "{line}");
}

#[test]
fn what_promises_nothing_is_let_pass() {
    let case = r#""comment": "why", "context": null, "type": null,"#;
    let report = run("lenient", &[("a.json", suite(RULESET, case, EXPECTED))]).unwrap();
    assert_eq!((report.cases, report.differences.len()), (1, 0));
    assert_eq!(report.unreadable, Vec::<String>::new());
}

#[test]
fn an_unknown_enum_is_a_number() {
    let ruleset = r#"{"flags": [{"key": "f", "type": 99}]}"#;
    let expected = r#"{"reason": "ERROR", "errorCode": "PARSE_ERROR"}"#;
    let report = run("enum", &[("a.json", suite(ruleset, "", expected))]).unwrap();
    assert_eq!((report.cases, report.differences.len()), (1, 0));
    assert_eq!(report.unreadable, Vec::<String>::new());
}

#[test]
fn whatever_a_context_holds_is_for_the_evaluator_to_judge() {
    let deep = r#"{"a": "#.repeat(60) + "1" + &"}".repeat(60);
    let deep = format!(r#""context": {{"attributes": {deep}}},"#);
    let lists = "[".repeat(60) + &"]".repeat(60);
    let lists = format!(r#""context": {{"attributes": {{"a": {lists}}}}},"#);
    let invalid = r#"{"reason": "ERROR", "errorCode": "INVALID_CONTEXT"}"#;
    let files = [
        ("deep.json", suite(RULESET, &deep, invalid)),
        ("lists.json", suite(RULESET, &lists, EXPECTED)),
    ];
    let report = run("deep", &files).unwrap();
    assert_eq!((report.cases, report.differences.len()), (2, 0));
    assert_eq!(report.unreadable, Vec::<String>::new());
}

#[test]
fn half_a_surrogate_pair_is_a_replacement_character() {
    let cases = [
        (r"\ud800", "\u{fffd}"),
        (r"a\udc00b", "a\u{fffd}b"),
        (r"\uD83D\uDE00", "😀"),
        (r"\ud83dx\ude00", "\u{fffd}x\u{fffd}"),
        (r"\ud83d\ud83d\ude00", "\u{fffd}😀"),
        (r"\\ud800", r"\\ud800"),
        (r"\\\ud800", "\\\\\u{fffd}"),
    ];
    for (written, read) in cases {
        let ruleset = format!(
            r#"{{"flags": [{{"key": "f", "type": "FLAG_TYPE_STRING", "enabled": true,
                "variants": [{{"key": "on", "value": "{written}"}}],
                "fallthrough": {{"variant": "on"}}}}]}}"#
        );
        let expect = format!(r#"{{"value": "{read}", "variant": "on", "reason": "STATIC"}}"#);
        let report = run("surrogates", &[("a.json", suite(&ruleset, "", &expect))]).unwrap();
        assert_eq!(report.unreadable, Vec::<String>::new());
        assert_eq!(report.differences, Vec::<String>::new());
        assert_eq!(report.cases, 1);
    }
}

#[test]
fn proto_json_is_read_in_all_its_spellings() {
    let ruleset = r#"{"flags": [{"key": "f", "type": 3, "enabled": true, "rules": null,
        "off_variant": "on", "variants": [{"key": "on", "value": 0}],
        "fallthrough": {"split": {"parts": [{"variant": "on", "weight": "50000"},
            {"variant": "on", "weight": 5e4}]}}}]}"#;
    let case = r#""context": {"targeting_key": "alice"},"#;
    let expect = r#"{"value": 0.0e1, "variant": "on", "reason": "SPLIT"}"#;
    let report = run("spellings", &[("a.json", suite(ruleset, case, expect))]).unwrap();
    assert_eq!(report.unreadable, Vec::<String>::new());
    assert_eq!(report.differences, Vec::<String>::new());
}
