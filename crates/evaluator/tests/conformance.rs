//! This evaluator against the cases that every language must reproduce.

#[path = "../examples/conformance/runner.rs"]
mod runner;

use std::path::Path;

#[test]
fn every_case_gives_what_is_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance");
    let report = runner::run(&folder).unwrap();
    assert!(report.cases > 0, "no cases in {}", folder.display());
    assert!(
        report.differences.is_empty(),
        "{} of {} cases differ:\n{}",
        report.differences.len(),
        report.cases,
        report.differences.join("\n\n")
    );
}
