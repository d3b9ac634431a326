//! The table that a run closes with: medians, their ratio to the aim's peer, and
//! allocations.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;

use crate::Engine;
use crate::burgee::Burgee;
use crate::case::Case;
use crate::eppo::Eppo;
use crate::yggdrasil::Yggdrasil;

const ALLOCATIONS_FILE: &str = "allocations.json";
const ENGINES: [&str; 3] = [Burgee::NAME, Yggdrasil::NAME, Eppo::NAME];

/// How often each engine allocates in one call of each case.
#[derive(Debug, Default)]
pub struct Allocations(BTreeMap<String, u64>);

impl Allocations {
    /// Notes one count.
    pub fn insert(&mut self, case: Case, engine: &str, count: u64) {
        self.0.insert(Self::name(case, engine), count);
    }

    /// Keeps the counts in a folder, for [`print`].
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        fs::write(folder.join(ALLOCATIONS_FILE), serde_json::to_vec(&self.0)?)
    }

    fn read(folder: &Path) -> io::Result<Self> {
        let bytes = fs::read(folder.join(ALLOCATIONS_FILE))?;
        Ok(Self(serde_json::from_slice(&bytes)?))
    }

    fn of(&self, case: Case, engine: &str) -> Option<u64> {
        self.0.get(&Self::name(case, engine)).copied()
    }

    fn name(case: Case, engine: &str) -> String {
        format!("{}/{engine}", case.id())
    }
}

/// Prints the table from what criterion and the counter left in a folder.
///
/// # Errors
///
/// There is nothing of theirs in it.
pub fn print(folder: &Path) -> io::Result<()> {
    let allocations = Allocations::read(folder)?;
    println!(
        "\n| one call | Burgee | yggdrasil | eppo_core | Burgee / yggdrasil | aim | allocations |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for case in Case::ALL {
        let times = ENGINES.map(|engine| median(folder, case, engine));
        let counts = ENGINES.map(|engine| allocations.of(case, engine));
        println!("{}", row(case, times, counts));
    }
    Ok(())
}

/// Where an engine has no such notion, the cell is empty.
fn row(case: Case, times: [Option<f64>; 3], counts: [Option<u64>; 3]) -> String {
    let [ours, yggdrasil, eppo] = times;
    let ratio = ours.zip(yggdrasil).map(|(ours, theirs)| ours / theirs);
    let rounded = |ratio: Option<f64>| match ratio {
        None => String::new(),
        Some(ratio) if ratio < 0.01 => format!("{ratio:.4}"),
        Some(ratio) => format!("{ratio:.2}"),
    };
    let counts = counts.map(|count| count.map_or("–".to_owned(), |count| count.to_string()));
    let [ours, yggdrasil, eppo] = [ours, yggdrasil, eppo].map(time);
    let aim = match case.aim() {
        Some(aim) if case.is_without_allocation() => format!("{aim:.2}, none"),
        Some(aim) => format!("{aim:.2}"),
        None => String::new(),
    };
    format!(
        "| {} | {ours} | {yggdrasil} | {eppo} | {} | {aim} | {} |",
        case.title(),
        rounded(ratio),
        counts.join(" / "),
    )
}

fn time(nanoseconds: Option<f64>) -> String {
    match nanoseconds {
        None => String::new(),
        Some(time) if time < 1e3 => format!("{time:.0} ns"),
        Some(time) if time < 1e6 => format!("{:.1} µs", time / 1e3),
        Some(time) => format!("{:.1} ms", time / 1e6),
    }
}

/// Of criterion's samples, in nanoseconds.
fn median(folder: &Path, case: Case, engine: &str) -> Option<f64> {
    let estimates = folder
        .join(case.id())
        .join(engine)
        .join("new/estimates.json");
    let estimates: Value = serde_json::from_slice(&fs::read(estimates).ok()?).ok()?;
    estimates.pointer("/median/point_estimate")?.as_f64()
}
