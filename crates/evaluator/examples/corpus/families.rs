//! The kinds of suites that the corpus has. Each makes random rulesets that are
//! about one thing, and asks them with contexts made for it.

mod broken;
mod names;
mod prerequisites;

use serde_json::{Value as Json, json};

use crate::contexts::Questions;
use crate::json::message;
use crate::pieces::{self, SEGMENTS, set};
use crate::pools::OPERATORS;
use crate::random::Random;

pub(crate) use broken::{WAYS_COUNT as BROKEN_SUITES, broken};
pub(crate) use names::{limits, names};
pub(crate) use prerequisites::prerequisites;

/// Those of whose values there is more to tell: they have more suites.
const RICH_OPERATORS: &[&str] = &[
    "EQUALS",
    "SEMVER_EQUAL",
    "SEMVER_LESS",
    "BEFORE",
    "AFTER",
    "IN_CIDR",
    "IN_CIDR",
    "IN_CIDR",
];
const OPERATOR_CASES: usize = 36;

/// A ruleset, and what it is asked.
pub(crate) struct Asked {
    pub(crate) ruleset: Json,
    pub(crate) cases: Vec<Question>,
}

/// A flag, for a context.
pub(crate) struct Question {
    pub(crate) flag: String,
    pub(crate) context: Json,
}

impl Asked {
    /// So many questions about flags of these keys, in turn.
    fn evenly(random: &mut Random, ruleset: Json, keys: &[String], count: usize) -> Self {
        let questions = Questions::of(&ruleset);
        let flags = keys.iter().cycle().take(count);
        let cases = flags.map(|flag| Question {
            flag: flag.clone(),
            context: questions.context(random),
        });
        let cases = cases.collect();
        Self { ruleset, cases }
    }
}

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("f{number}")).collect()
}

/// One operator: each flag is one clause of it, so that the clause decides.
pub(crate) fn operators(random: &mut Random, number: usize) -> Asked {
    let all = || OPERATORS.iter().chain(RICH_OPERATORS);
    let operator = all().cycle().nth(number).copied().unwrap_or_default();
    let keys = keys(6);
    let flags: Vec<_> = keys
        .iter()
        .map(|key| clause_flag(random, key, operator))
        .collect();
    let cases = (0..OPERATOR_CASES / keys.len()).flat_map(|_| keys.iter().zip(&flags));
    let cases = cases.map(|(key, flag)| Question {
        flag: key.clone(),
        context: Questions::of(flag).short_context(random),
    });
    let cases = cases.collect();
    let ruleset = json!({"flags": flags});
    Asked { ruleset, cases }
}

fn clause_flag(random: &mut Random, key: &str, operator: &str) -> Json {
    let mut clause = pieces::clause(random, operator);
    if random.percent(30) {
        set(&mut clause, "ignoreCase", true.into());
    }
    let mut condition = json!({"clause": clause});
    if random.percent(20) {
        condition = json!({"not": {"condition": condition}});
    }
    json!({
        "key": key,
        "type": "FLAG_TYPE_BOOLEAN",
        "variants": [{"key": "a", "value": true}, {"key": "b", "value": false}],
        "enabled": true,
        "rules": [{"id": "r", "condition": condition, "serve": {"variant": "a"}}],
        "fallthrough": {"variant": "b"},
    })
}

/// Splits, gates and mutual exclusion, of every hash.
pub(crate) fn buckets(random: &mut Random, _: usize) -> Asked {
    let keys = keys(5);
    let flags = keys.iter().map(|key| {
        let mut flag = pieces::flag(random, key);
        if random.percent(80) {
            set(&mut flag, "offVariant", pieces::variant(random));
        }
        if random.percent(25) {
            let exclusion = pieces::mutual_exclusion(random);
            set(&mut flag, "mutualExclusion", exclusion);
        }
        if random.percent(50) {
            let everybody = json!({"all": {}});
            let mut rule = pieces::rule(random, 0, everybody);
            set(&mut rule, "traffic", pieces::traffic(random));
            set(&mut flag, "rules", json!([rule]));
        }
        let serve = pieces::serve(random, 80);
        set(&mut flag, "fallthrough", serve);
        flag
    });
    let flags: Vec<_> = flags.collect();
    let mut asked = Asked::evenly(random, json!({"flags": flags}), &keys, 50);
    for case in &mut asked.cases {
        if random.percent(8) {
            let key = long_key(random, &asked.ruleset, &case.flag);
            set(&mut case.context, "targetingKey", key.into());
        }
    }
    asked
}

/// A key with which the text that is hashed is as long as a head of one length
/// allows, or a byte longer.
fn long_key(random: &mut Random, ruleset: &Json, flag: &str) -> String {
    let flags = ruleset.get("flags").and_then(Json::as_array);
    let flag = flags.into_iter().flatten().find(|it| it["key"] == flag);
    let salt = flag.and_then(|flag| flag.pointer("/fallthrough/split/salt"));
    let salt = salt.and_then(Json::as_str).unwrap_or_default();
    let count = random.pick(&[23, 24, 255, 256]) - salt.len() - 1;
    let wide = random.pick(&["x", "é", "日", "😀"]);
    "y".repeat(count % wide.len()) + &wide.repeat(count / wide.len())
}

/// Everything at once.
pub(crate) fn everything(random: &mut Random, _: usize) -> Asked {
    let keys = keys(4);
    let mut flags: Vec<_> = (0..keys.len())
        .map(|number| whole_flag(random, &keys, number))
        .collect();
    if random.percent(5) {
        flags.pop();
    }
    let segments = SEGMENTS.iter().filter_map(|key| {
        let is_there = random.percent(75);
        is_there.then(|| pieces::segment(random, key))
    });
    let segments: Vec<_> = segments.collect();
    let ruleset = message(json!({"flags": flags, "segments": segments}));
    Asked::evenly(random, ruleset, &keys, 60)
}

fn whole_flag(random: &mut Random, keys: &[String], number: usize) -> Json {
    let key = keys.get(number).cloned().unwrap_or_default();
    let mut flag = pieces::flag(random, &key);
    if random.percent(5) {
        set(&mut flag, "enabled", false.into());
    }
    if random.percent(85) {
        set(&mut flag, "offVariant", pieces::variant(random));
    }
    if random.percent(25) {
        // One of those before it, so that there is no cycle, or none.
        let before = keys.get(..number).unwrap_or_default();
        let wanted = random.some(0, 2, |random| {
            let is_there = !before.is_empty() && random.percent(90);
            json!({
                "flagKey": if is_there { random.pick(before) } else { "none".to_owned() },
                "variants": random.some(1, 3, pieces::variant),
            })
        });
        set(&mut flag, "prerequisites", wanted.into());
    }
    if random.percent(8) {
        let exclusion = pieces::mutual_exclusion(random);
        set(&mut flag, "mutualExclusion", exclusion);
    }
    set(
        &mut flag,
        "targets",
        random.some(0, 2, pieces::target).into(),
    );
    let rules = random.below(4);
    let rules: Vec<_> = (0..rules)
        .map(|id| {
            let condition = match random.below(8) {
                0 => pieces::deep_condition(random, 8),
                _ => pieces::condition(random, 3, true),
            };
            pieces::rule(random, id, condition)
        })
        .collect();
    set(&mut flag, "rules", rules.into());
    if random.percent(92) {
        let serve = pieces::serve(random, 50);
        set(&mut flag, "fallthrough", serve);
    }
    message(flag)
}
