//! The fuzz targets without a fuzzer: for their seeds, which hold everything that
//! was ever found, and for inputs made at random.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "seeds are files, and tests may stop at the first surprise"
)]

#[allow(
    unreachable_pub,
    reason = "the targets are public where they are a crate"
)]
#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use burgee_evaluator::pattern::{PATTERN_BYTES_MAX, normalise};
use proptest::collection::vec;
use proptest::prelude::*;

use targets::generate::Generator;

type Target = fn(&[u8]);

/// Every target, as `fuzz/Cargo.toml` names it.
const TARGETS: [(&str, Target); 7] = [
    ("addresses", targets::addresses),
    ("contexts", targets::contexts),
    ("items", targets::items),
    ("patterns", targets::patterns),
    ("times", targets::times),
    ("updates", targets::updates),
    ("versions", targets::versions),
];

/// Addresses and blocks, and what is almost one; so below.
const ADDRESS: &str = concat!(
    "([0-9]{1,3}[.]){3}[0-9]{1,3}(/[0-9]{1,2})?",
    "|[0-9a-f:]{0,12}(:10[.]1[.]2[.]3)?(/[0-9]{1,3})?",
);
const TIME: &str = concat!(
    "(2000-02-2[89]|2000-03-01|[0-9]{4}-[01][0-9]-[0-3][0-9])",
    "[Tt][0-2][0-9]:[0-6][0-9]:[0-6][0-9]([.][0-9]{0,5})?",
    "([zZ]|[+-][0-2][0-9]:[0-6][0-9])",
    "|-?95[0-9]{1,8}([.][0-9]{1,4})?",
);
const VERSION: &str = concat!(
    "[vV]?[0-9]{1,2}([.][0-9]{1,2}){0,3}",
    "(-[0-9a-c.-]{0,5})?([+][0-9a-c.-]{0,3})?",
);

#[test]
fn each_target_holds_for_its_seeds() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let mut folders = Vec::new();
    for folder in fs::read_dir(fuzz.join("seeds")).unwrap() {
        folders.push(folder.unwrap().file_name().into_string().unwrap());
    }
    folders.sort();
    assert_eq!(folders, TARGETS.map(|(name, _)| name));
    for (name, target) in TARGETS {
        let mut seeds = 0;
        for seed in fs::read_dir(fuzz.join("seeds").join(name)).unwrap() {
            let path = seed.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            let held = catch_unwind(|| target(&bytes));
            assert!(held.is_ok(), "{}", path.display());
            seeds += 1;
        }
        assert!(seeds > 0, "{name} has no seeds");
    }
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..2000)
}

/// A line, and up to four others.
fn lines(line: &'static str) -> impl Strategy<Value = String> {
    vec(line, 1..6).prop_map(|lines| lines.join("\n"))
}

proptest! {
    // Each is quick, and meets few of all the things that can meet.
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn items_are_evaluated_as_the_model_does(how in 3..8_u8, bytes in any_bytes()) {
        targets::items(&[vec![how], bytes].concat());
    }

    #[test]
    fn a_receiver_does_what_its_model_does(bytes in any_bytes()) {
        targets::updates(&bytes);
    }

    #[test]
    fn contexts_are_flattened_as_the_model_does(bytes in any_bytes()) {
        targets::contexts(&bytes);
    }

    #[test]
    fn addresses_are_those_of_ipnet(lines in lines(ADDRESS)) {
        targets::addresses(lines.as_bytes());
    }

    #[test]
    fn patterns_of_the_grammar_find_what_they_find_in_regex(bytes in any_bytes()) {
        let mut generator = Generator::sound(&bytes);
        let (pattern, haystack) = (generator.pattern(), generator.haystack());
        prop_assume!(pattern.len() <= PATTERN_BYTES_MAX);
        prop_assert!(normalise(&pattern).is_ok(), "{} {:?}", pattern, normalise(&pattern));
        targets::patterns(format!("{pattern}\n{haystack}").as_bytes());
    }

    #[test]
    fn times_are_those_of_time(lines in lines(TIME)) {
        targets::times(lines.as_bytes());
    }

    #[test]
    fn versions_are_those_of_semver(lines in lines(VERSION)) {
        targets::versions(lines.as_bytes());
    }
}
