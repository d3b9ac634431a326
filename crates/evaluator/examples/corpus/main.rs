//! Writes conformance cases over random rulesets, with what this evaluator
//! makes of them: every other language must reproduce them exactly.
//! `cargo run -p burgee-evaluator --example corpus -- tests/conformance/generated`
//!
//! The same bytes each time.

#![allow(clippy::disallowed_methods, reason = "the cases are files")]

mod contexts;
#[path = "../conformance/contract.rs"]
mod contract;
#[allow(dead_code, reason = "explanations are checked as cases are run")]
#[path = "../conformance/explained.rs"]
mod explained;
mod families;
mod files;
mod json;
mod pieces;
mod pools;
mod random;
#[allow(dead_code, reason = "only answering is shared")]
#[path = "../conformance/runner.rs"]
mod runner;
#[allow(dead_code, reason = "only answers are shared")]
#[path = "../conformance/suite.rs"]
mod suite;
mod values;

#[cfg(test)]
mod coverage;

use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("usage: corpus FOLDER");
        return ExitCode::FAILURE;
    };
    match write(Path::new(&folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes every file, and deletes those that the corpus no longer has.
fn write(folder: &Path) -> Result<(), Box<dyn Error>> {
    let files = files::files()?;
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new("json")) {
            fs::remove_file(path)?;
        }
    }
    for (name, content) in files {
        fs::write(folder.join(name), content)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use coverage::COMMITTED;

    #[test]
    fn regenerating_gives_the_bytes_that_are_checked_in() {
        let files = files::files().unwrap();
        for (name, content) in &files {
            let committed = fs::read_to_string(Path::new(COMMITTED).join(name)).unwrap();
            // Not assert_eq: it would print both.
            assert!(committed == *content, "{name} differs: run make corpus");
        }
        let committed = fs::read_dir(COMMITTED).unwrap().count();
        assert_eq!(committed, files.len(), "run make corpus");
    }
}
