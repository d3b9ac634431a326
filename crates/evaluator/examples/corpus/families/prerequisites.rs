//! Chains, diamonds and nets of prerequisites; now and then a cycle.

use serde_json::{Value as Json, json};

use super::{Asked, keys};
use crate::json::message;
use crate::pieces::{self, set};
use crate::random::Random;

const FLAGS: usize = 8;

pub(crate) fn prerequisites(random: &mut Random, number: usize) -> Asked {
    let keys = keys(FLAGS);
    let wants: Vec<Vec<usize>> = (0..FLAGS)
        .map(|flag| match number % 3 {
            // A chain.
            0 => (0..flag).rev().take(1).collect(),
            // Two of one, and one of both, and again.
            1 => match flag % 3 {
                0 => (0..flag).rev().take(2).collect(),
                step => flag.checked_sub(step).into_iter().collect(),
            },
            _ => random.some(0, 2.min(flag), |random| random.below(flag)),
        })
        .collect();
    let mut flags = Vec::new();
    for (key, wants) in keys.iter().zip(wants) {
        let wants: Vec<_> = wants.into_iter().map(|it| want(random, it)).collect();
        flags.push(flag(random, key, wants));
    }
    if number % 7 == 6 {
        // Whoever reaches these two is not understood.
        for (flag, of) in [(1, 2), (2, 1)] {
            if let Some(flag) = flags.get_mut(flag) {
                set(flag, "prerequisites", json!([want(random, of)]));
            }
        }
    }
    if number % 5 == 4 {
        flags.remove(0);
    }
    Asked::evenly(random, json!({"flags": flags}), &keys, 32)
}

/// Mostly of all variants but one, so that long chains pass now and then.
fn want(random: &mut Random, flag: usize) -> Json {
    let mut variants = vec!["a", "b", "c"];
    if random.percent(60) {
        variants.remove(random.below(3));
    }
    if random.percent(10) {
        variants = random.some(0, 1, |random| random.pick(&["a", "none", ""]));
    }
    message(json!({"flagKey": format!("f{flag}"), "variants": variants}))
}

fn flag(random: &mut Random, key: &str, wants: Vec<Json>) -> Json {
    let mut flag = pieces::flag(random, key);
    set(&mut flag, "enabled", random.percent(93).into());
    set(&mut flag, "prerequisites", wants.into());
    if random.percent(85) {
        set(&mut flag, "offVariant", pieces::variant(random));
    }
    if random.percent(25) {
        let condition = pieces::condition(random, 1, false);
        set(
            &mut flag,
            "rules",
            json!([pieces::rule(random, 0, condition)]),
        );
    }
    let serve = pieces::serve(random, 80);
    set(&mut flag, "fallthrough", serve);
    message(flag)
}
