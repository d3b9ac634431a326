//! Random parts of rulesets, as ProtoJSON.

use burgee_evaluator::bucket::bucket;
use burgee_proto::types::v1::Hash;
use serde_json::{Value as Json, json};

use crate::json::message;
use crate::pools::{OPERATORS, TEXTS};
use crate::random::Random;
use crate::values;

/// Variants that every flag has.
pub(crate) const VARIANTS: &[&str] = &["a", "b", "c"];
/// Segments that conditions name. A ruleset may lack some.
pub(crate) const SEGMENTS: &[&str] = &["s", "t", "é"];
/// Names that clauses, targets, segments and buckets read. Contexts have them
/// written with dots and nested.
pub(crate) const ATTRIBUTES: &[&str] = &["x", "y", "user.plan", "targetingKey", "é", ""];
/// Those that may be hashed: an empty name is not understood there.
const BUCKET_BY: &[&str] = &["x", "y", "user.plan", "targetingKey", "é"];
const SALTS: &[&str] = &[
    "salt",
    "s",
    "",
    "日本",
    "checkout",
    "gr1",
    "a:b",
    "flag.salt",
    "61",
    "😀",
];
const HASHES: &[&str] = &[
    "",
    "HASH_BURGEE",
    "HASH_UNLEASH",
    "HASH_UNLEASH_VARIANT",
    "HASH_LAUNCHDARKLY",
];
/// Keys in whose buckets, or just behind, weights end now and then.
pub(crate) const EDGE_KEYS: &[&str] = &["alice", "bob", "user-1"];
/// Buckets, and the sum of weights.
const BUCKETS: usize = 100_000;

/// A flag that is on, with variants of a random type, and nothing to serve.
pub(crate) fn flag(random: &mut Random, key: &str) -> Json {
    let (flag_type, values) = match random.below(4) {
        0 => ("BOOLEAN", [json!(true), json!(false), json!(true)]),
        1 => ("STRING", [json!("x"), json!(""), json!("日本")]),
        2 => {
            let mut number = || values::number(random);
            ("NUMBER", [number(), number(), number()])
        }
        _ => ("JSON", [json!({"a": [1, null]}), json!(null), json!(-0.0)]),
    };
    let variants = VARIANTS.iter().zip(values);
    let variants: Vec<_> = variants
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect();
    json!({
        "key": key,
        "type": format!("FLAG_TYPE_{flag_type}"),
        "variants": variants,
        "enabled": true,
    })
}

pub(crate) fn variant(random: &mut Random) -> Json {
    random.pick(VARIANTS).into()
}

/// Sets a field of a message, or of a rule or flag.
pub(crate) fn set(object: &mut Json, name: &str, value: Json) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.into(), value);
    }
}

pub(crate) fn target(random: &mut Random) -> Json {
    let attribute = if random.percent(50) {
        ""
    } else {
        random.pick(ATTRIBUTES)
    };
    let keys = random.some(0, 3, |random| random.pick(TEXTS));
    message(json!({"variant": variant(random), "attribute": attribute, "keys": keys}))
}

pub(crate) fn rule(random: &mut Random, id: usize, condition: Json) -> Json {
    let gate = random.percent(25).then(|| traffic(random));
    message(json!({
        "id": format!("r{id}"),
        "condition": condition,
        "traffic": gate,
        "serve": serve(random, 45),
    }))
}

/// A variant, or so many times in a hundred a split.
pub(crate) fn serve(random: &mut Random, splits: usize) -> Json {
    if random.percent(splits) {
        json!({"split": split(random)})
    } else {
        json!({"variant": variant(random)})
    }
}

pub(crate) fn split(random: &mut Random) -> Json {
    let (mut split, edge) = bucketing(random);
    let mut left = BUCKETS;
    let mut weights = random.some(0, 2, |random| {
        let weight = match random.below(8) {
            0 => 0,
            1 => left.min(1),
            2 => left / 2,
            3..6 => edge.min(left),
            _ => random.below(left + 1),
        };
        left -= weight;
        weight
    });
    weights.push(left);
    let parts: Vec<_> = weights
        .into_iter()
        .map(|weight| message(json!({"variant": variant(random), "weight": weight})))
        .collect();
    set(&mut split, "parts", parts.into());
    split
}

pub(crate) fn traffic(random: &mut Random) -> Json {
    let (mut traffic, edge) = bucketing(random);
    let weight = match random.below(8) {
        0 => 0,
        1 => BUCKETS,
        2..5 => edge,
        _ => random.below(BUCKETS + 1),
    };
    if weight > 0 {
        set(&mut traffic, "weight", weight.into());
    }
    traffic
}

/// Whom a split or a gate hashes, and how; and where a weight may end.
fn bucketing(random: &mut Random) -> (Json, usize) {
    let (salt, hash) = (random.pick(SALTS), random.pick(HASHES));
    let bucketing = message(json!({
        "salt": salt,
        "hash": hash,
        "bucketBy": bucket_by(random),
    }));
    (bucketing, edge(random, hash, salt))
}

/// The bucket of one of a few keys, or the next.
fn edge(random: &mut Random, hash: &str, salt: &str) -> usize {
    let hash = Hash::from_str_name(hash).unwrap_or_default();
    let bucket = bucket(hash, salt, random.pick(EDGE_KEYS));
    usize::try_from(bucket).unwrap_or_default() + random.below(2)
}

fn bucket_by(random: &mut Random) -> Vec<&'static str> {
    if random.percent(60) {
        return Vec::new();
    }
    random.some(1, 3, |random| random.pick(BUCKET_BY))
}

pub(crate) fn mutual_exclusion(random: &mut Random) -> Json {
    let salt = random.pick(SALTS);
    let slots = random.some(0, 3, |random| {
        let start = match random.below(3) {
            0 => edge(random, "", salt),
            _ => random.below(BUCKETS + 1),
        };
        let edge = edge(random, "", salt);
        let end = match random.below(4) {
            0 => random.below(BUCKETS + 1),
            1 | 2 if edge > start => edge,
            _ => start + BUCKETS / 2,
        };
        message(json!({"start": start, "end": end.min(BUCKETS)}))
    });
    message(json!({
        "salt": salt,
        "bucketBy": bucket_by(random),
        "slots": slots,
    }))
}

/// Some of those who are included may be excluded.
pub(crate) fn segment(random: &mut Random, key: &str) -> Json {
    let keys = |random: &mut Random| random.some(0, 4, |random| random.pick(TEXTS));
    let attribute = if random.percent(60) {
        ""
    } else {
        random.pick(ATTRIBUTES)
    };
    let has_condition = random.percent(50);
    let included = keys(random);
    let mut excluded = if random.percent(50) {
        keys(random)
    } else {
        Vec::new()
    };
    excluded.extend(included.iter().filter(|_| random.percent(15)));
    message(json!({
        "key": key,
        "attribute": attribute,
        "included": included,
        "excluded": excluded,
        "condition": has_condition.then(|| condition(random, 2, false)),
    }))
}

/// A tree of at most so many levels.
pub(crate) fn condition(random: &mut Random, depth: usize, with_segments: bool) -> Json {
    let list = |random: &mut Random| {
        let conditions = random.some(0, 3, |random| condition(random, depth - 1, with_segments));
        message(json!({"conditions": conditions}))
    };
    match random.below(if depth > 1 { 12 } else { 6 }) {
        5 if with_segments => {
            let keys = random.some(1, 2, |random| random.pick(SEGMENTS));
            json!({"segment": {"keys": keys}})
        }
        0..6 => {
            let operator = random.pick(OPERATORS);
            json!({"clause": clause(random, operator)})
        }
        6 | 7 => json!({"all": list(random)}),
        8 | 9 => json!({"any": list(random)}),
        _ => json!({"not": {"condition": condition(random, depth - 1, with_segments)}}),
    }
}

/// A chain of so many levels, and a clause.
pub(crate) fn deep_condition(random: &mut Random, depth: usize) -> Json {
    let mut deep = json!({"clause": clause(random, "EQUALS")});
    for _ in 1..depth {
        deep = match random.below(3) {
            0 => json!({"not": {"condition": deep}}),
            1 => json!({"all": {"conditions": [deep, {"all": {}}]}}),
            _ => json!({"any": {"conditions": [{"any": {}}, deep]}}),
        };
    }
    deep
}

pub(crate) fn clause(random: &mut Random, operator: &str) -> Json {
    let values = match operator {
        "EXISTS" if random.percent(80) => Vec::new(),
        _ if random.percent(60) => vec![values::wanted(random, operator)],
        _ => random.some(1, 3, |random| values::wanted(random, operator)),
    };
    message(json!({
        "attribute": random.pick(ATTRIBUTES),
        "operator": format!("OPERATOR_{operator}"),
        "values": values,
        "ignoreCase": random.percent(25),
    }))
}
