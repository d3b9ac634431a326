//! Runs conformance cases through this evaluator:
//! `cargo run -p burgee-evaluator --example conformance -- tests/conformance`
//!
//! Prints the first ten differences in full, and closes with
//! `N cases, M differences`. Exit code 1 if there is one, if a file cannot be
//! read, or if there is no case.

mod contract;
mod explained;
mod runner;
mod suite;

use std::path::Path;
use std::process::ExitCode;

/// Differences, and files that cannot be read, that are printed.
const PRINTED_MAX: usize = 10;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("usage: conformance FOLDER");
        return ExitCode::FAILURE;
    };
    let folder = Path::new(&folder);
    let report = match runner::run(folder) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    for difference in report.differences.iter().take(PRINTED_MAX) {
        println!("{difference}\n");
    }
    for line in report.unreadable.iter().take(PRINTED_MAX) {
        eprintln!("{line}");
    }
    if report.unreadable.len() > PRINTED_MAX {
        eprintln!("{} files cannot be read", report.unreadable.len());
    }
    if report.cases == 0 && report.unreadable.is_empty() {
        eprintln!("{}: there is no case in it", folder.display());
    }
    let differences = report.differences.len();
    println!("{} cases, {differences} differences", report.cases);
    let is_good = report.cases > 0 && differences == 0 && report.unreadable.is_empty();
    ExitCode::from(u8::from(!is_good))
}
