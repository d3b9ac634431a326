//! Runs conformance cases through this evaluator:
//! `cargo run -p burgee-evaluator --example conformance -- tests/conformance`
//!
//! Prints the first ten differences in full, and closes with
//! `N cases, M differences`. Exit code 1 if there is one, or a file cannot be
//! read.

mod runner;

use std::path::Path;
use std::process::ExitCode;

/// Differences that are printed.
const PRINTED_MAX: usize = 10;

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("usage: conformance FOLDER");
        return ExitCode::FAILURE;
    };
    match runner::run(Path::new(&folder)) {
        Ok(report) => {
            for difference in report.differences.iter().take(PRINTED_MAX) {
                println!("{difference}\n");
            }
            let differences = report.differences.len();
            println!("{} cases, {differences} differences", report.cases);
            ExitCode::from(u8::from(differences > 0))
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
