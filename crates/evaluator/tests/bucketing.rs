//! Buckets are spread evenly, and two salts know nothing of each other.
//!
//! The keys are fixed, so these tests either always pass or always fail. Each
//! compares counts with what chance would give by Pearson's chi-square, and
//! holds below what chance alone exceeds once in ten thousand times.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests may stop at the first surprise"
)]

#[path = "support/builders.rs"]
mod builders;

use std::collections::BTreeMap;

use burgee_evaluator::Ruleset;
use burgee_evaluator::bucket::{BUCKETS, bucket};
use burgee_proto::types::v1::{
    Condition, Flag, Hash, MutualExclusion, Reason, Rule, Serve, Slot, Split, SplitPart, Traffic,
    Variant, condition, serve,
};
use prost_types::value::Kind as ValueKind;

use builders::{evaluate, flag};

/// Every scheme, and the steps that it knows.
const HASHES: [(Hash, u32); 4] = [
    (Hash::Burgee, BUCKETS),
    (Hash::Unleash, 100),
    (Hash::UnleashVariant, 1000),
    (Hash::Launchdarkly, BUCKETS),
];
const SALTS: [&str; 3] = ["checkout", "8c1e3f2b", "gruppe-é"];
const KEYS: u32 = 40_000;

/// Keys of the kinds that people have: counted, mail addresses, UUIDs.
fn keys() -> impl Iterator<Item = String> {
    (0..KEYS).map(|number| match number % 3 {
        0 => format!("user-{number}"),
        1 => format!("{number}@example.com"),
        _ => format!("3f2b8c1e-0000-4000-8000-{number:012x}"),
    })
}

/// How far counts are from what was expected.
fn chi_square(counts: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(counts.len(), expected.len());
    let pairs = counts.iter().zip(expected);
    pairs
        .map(|(count, expected)| (count - expected).powi(2) / expected)
        .sum()
}

/// What chi-square exceeds by chance once in ten thousand times (Wilson and
/// Hilferty, 1931).
fn critical(degrees_of_freedom: usize) -> f64 {
    /// The quantile of the normal distribution.
    const QUANTILE: f64 = 3.719;
    let degrees = degrees_of_freedom as f64;
    let spread = 2.0 / (9.0 * degrees);
    degrees * (1.0 - spread + QUANTILE * spread.sqrt()).powi(3)
}

/// Asserts that counts have some shares of their sum.
fn assert_shares(counts: &[f64], shares: &[f64], about: &str) {
    let total: f64 = counts.iter().sum();
    let expected: Vec<_> = shares.iter().map(|share| share * total).collect();
    let distance = chi_square(counts, &expected);
    let limit = critical(counts.len() - 1);
    assert!(distance < limit, "{about}: {distance} {limit} {counts:?}");
}

/// How far a table is from one whose rows and columns are independent, and what
/// that may be.
fn dependence(table: &[Vec<f64>]) -> (f64, f64) {
    let columns = table[0].len();
    let row_sums: Vec<f64> = table.iter().map(|row| row.iter().sum()).collect();
    let column_sum = |column: usize| table.iter().map(|row| row[column]).sum();
    let column_sums: Vec<f64> = (0..columns).map(column_sum).collect();
    let total: f64 = row_sums.iter().sum();
    let expected = row_sums
        .iter()
        .flat_map(|row| column_sums.iter().map(move |column| row * column / total));
    let expected: Vec<f64> = expected.collect();
    let distance = chi_square(&table.concat(), &expected);
    (distance, critical((table.len() - 1) * (columns - 1)))
}

#[test]
fn chi_square_exceeds_its_limit_where_shares_are_others() {
    // The quantiles themselves are 21.11, 39.13, 137.07 and 160.06.
    for (degrees, low, high) in [
        (3, 21.1, 22.0),
        (12, 39.1, 39.6),
        (81, 137.0, 137.3),
        (99, 160.0, 160.3),
    ] {
        assert!((low..high).contains(&critical(degrees)));
    }
    let counts = [20_600.0, 19_400.0];
    assert!(chi_square(&counts, &[20_000.0, 20_000.0]) > critical(1));
}

#[test]
fn every_scheme_spreads_keys_evenly() {
    const BINS: u32 = 100;
    for (hash, steps) in HASHES {
        for salt in SALTS {
            let mut counts = [0.0; BINS as usize];
            for key in keys() {
                let bucket = bucket(hash, salt, &key);
                assert!(bucket < BUCKETS);
                assert_eq!(bucket % (BUCKETS / steps), 0);
                counts[(bucket / (BUCKETS / BINS)) as usize] += 1.0;
            }
            let even = [1.0 / f64::from(BINS); BINS as usize];
            assert_shares(&counts, &even, &format!("{hash:?} {salt}"));
        }
    }
}

#[test]
fn splits_have_the_shares_of_their_weights() {
    for weights in [
        vec![50_000, 50_000],
        vec![1_000, 99_000],
        vec![33_000, 33_000, 34_000],
        vec![10_000, 0, 20_000, 70_000],
    ] {
        let shares: Vec<_> = weights
            .iter()
            .map(|it| f64::from(*it) / 100_000.0)
            .collect();
        for (hash, _) in HASHES {
            let flag = Flag {
                fallthrough: Some(split("checkout", hash, &weights)),
                ..flag_of(weights.len())
            };
            let ruleset = ruleset(flag);
            let mut counts = vec![0.0; weights.len()];
            for key in keys() {
                counts[variant(&ruleset, &key).unwrap()] += 1.0;
            }
            let empty = shares.iter().position(|share| *share == 0.0);
            if let Some(empty) = empty {
                assert_eq!(counts.remove(empty), 0.0);
            }
            let shares: Vec<_> = shares.iter().copied().filter(|it| *it > 0.0).collect();
            assert_shares(&counts, &shares, &format!("{hash:?} {weights:?}"));
        }
    }
}

#[test]
fn buckets_of_two_salts_are_independent() {
    const BINS: usize = 10;
    let table = |hash, one: &str, other: &str| {
        let bin = |salt, key: &str| bucket(hash, salt, key) as usize * BINS / BUCKETS as usize;
        let mut table = vec![vec![0.0; BINS]; BINS];
        for key in keys() {
            table[bin(one, &key)][bin(other, &key)] += 1.0;
        }
        table
    };
    for (hash, _) in HASHES {
        for (one, other) in [("checkout", "checkout.gate"), ("a", "b"), ("a", "aa")] {
            let (distance, limit) = dependence(&table(hash, one, other));
            assert!(
                distance < limit,
                "{hash:?} {one} {other}: {distance} {limit}"
            );
        }
        let (distance, limit) = dependence(&table(hash, "a", "a"));
        assert!(distance > limit, "one salt twice is as dependent as can be");
    }
}

#[test]
fn groups_gates_and_splits_are_independent() {
    // Five flags, each with the same split and gate, share a group evenly; the
    // gate of each lets half of its share through.
    const FLAGS: i32 = 5;
    let slice = 100_000 / FLAGS;
    let rulesets: Vec<_> = (0..FLAGS)
        .map(|place| {
            ruleset(Flag {
                mutual_exclusion: Some(MutualExclusion {
                    salt: "group".into(),
                    bucket_by: Vec::new(),
                    slots: vec![Slot {
                        start: place * slice,
                        end: (place + 1) * slice,
                    }],
                }),
                rules: vec![gated("checkout.gate", 50_000, split_evenly("checkout"))],
                fallthrough: Some(split_evenly("checkout")),
                ..flag_of(2)
            })
        })
        .collect();
    // By place in the group; by gate and variant.
    let mut table = vec![vec![0.0; 4]; rulesets.len()];
    for key in keys() {
        let mut admitted = 0;
        for (place, ruleset) in rulesets.iter().enumerate() {
            let evaluated = evaluate(ruleset, "f", &key);
            if evaluated.reason == Reason::MutuallyExcluded {
                continue;
            }
            admitted += 1;
            let gate = usize::from(evaluated.rule_id.is_some());
            table[place][2 * gate + variant(ruleset, &key).unwrap()] += 1.0;
        }
        assert_eq!(admitted, 1, "{key}");
    }
    let (distance, limit) = dependence(&table);
    assert!(distance < limit, "{distance} {limit} {table:?}");
    for row in &table {
        // A test of 50 % in a group, behind a gate, is one of 50 %.
        assert_shares(row, &[0.25; 4], "gate and split within a group");
        let (distance, limit) = dependence(&[row[..2].to_vec(), row[2..].to_vec()]);
        assert!(distance < limit, "{distance} {limit} {row:?}");
    }
}

#[test]
fn a_group_with_the_salt_of_a_split_would_not_do() {
    let ruleset = ruleset(Flag {
        mutual_exclusion: Some(MutualExclusion {
            salt: "checkout".into(),
            bucket_by: Vec::new(),
            slots: vec![Slot {
                start: 0,
                end: 50_000,
            }],
        }),
        fallthrough: Some(split_evenly("checkout")),
        ..flag_of(2)
    });
    let mut variants = BTreeMap::new();
    for key in keys() {
        let evaluated = evaluate(&ruleset, "f", &key);
        if evaluated.reason != Reason::MutuallyExcluded {
            *variants.entry(variant(&ruleset, &key)).or_insert(0) += 1;
        }
    }
    assert_eq!(variants.into_keys().collect::<Vec<_>>(), [Some(0)]);
}

/// A flag with variants 0, 1, and so on.
fn flag_of(variants: usize) -> Flag {
    let variant = |index: usize| Variant {
        key: index.to_string(),
        value: Some(ValueKind::BoolValue(index == 0).into()),
        ..Variant::default()
    };
    Flag {
        variants: (0..variants).map(variant).collect(),
        off_variant: String::new(),
        ..flag("f")
    }
}

fn split(salt: &str, hash: Hash, weights: &[i32]) -> Serve {
    let part = |(index, weight): (usize, &i32)| SplitPart {
        variant: index.to_string(),
        weight: *weight,
    };
    Serve {
        kind: Some(serve::Kind::Split(Split {
            salt: salt.into(),
            bucket_by: Vec::new(),
            hash: hash as i32,
            parts: weights.iter().enumerate().map(part).collect(),
        })),
    }
}

fn split_evenly(salt: &str) -> Serve {
    split(salt, Hash::Burgee, &[50_000, 50_000])
}

/// A rule for everybody whom its gate lets through.
fn gated(salt: &str, weight: i32, serve: Serve) -> Rule {
    Rule {
        id: "gated".into(),
        condition: Some(Condition {
            kind: Some(condition::Kind::All(Default::default())),
        }),
        traffic: Some(Traffic {
            salt: salt.into(),
            bucket_by: Vec::new(),
            hash: Hash::Burgee as i32,
            weight,
        }),
        serve: Some(serve),
    }
}

fn ruleset(flag: Flag) -> Ruleset {
    Ruleset::from_message(&burgee_proto::types::v1::Ruleset {
        flags: vec![flag],
        segments: Vec::new(),
    })
}

fn variant(ruleset: &Ruleset, key: &str) -> Option<usize> {
    evaluate(ruleset, "f", key).variant?.parse().ok()
}
