//! Random rulesets and contexts as ProtoJSON. They draw from small pools, so
//! that attributes, values and keys meet.

use serde_json::{Map, Value as Json, json};

use crate::random::Random;

const FLAGS: &[&str] = &["f0", "f1", "f2", "f3", "f4"];
const SEGMENTS: &[&str] = &["s0", "s1", "s2"];
const VARIANTS: &[&str] = &["on", "off", "third"];
const ATTRIBUTES: &[&str] = &["a", "b", "user.plan", "targetingKey", "é", ""];
const TEXTS: &[&str] = &[
    "",
    "a",
    "A",
    "alice",
    "ALICE",
    "bob",
    "user-1",
    "user-42",
    "pro",
    "Straße",
    "STRASSE",
    "é",
    "e\u{301}",
    "日本",
    "\u{212a}",
    "😀",
    "a\nb",
    "7",
    "-7",
    "0",
    "1.5",
    "true",
    "long long long long",
];
const VERSIONS: &[&str] = &[
    "1",
    "v1.2",
    "1.2.0",
    "1.2.0-rc.1",
    "1.2.0-rc.11",
    "1.2.0-alpha",
    "1.2.0+build",
    "2.0.0--",
    "01.2",
    "1.2.3.4",
    "999999999999999",
    "1000000000000000",
    "latest",
];
const TIMES: &[&str] = &[
    "2026-11-22T12:00:00Z",
    "2026-11-22t12:00:00.0009z",
    "2026-11-22T13:00:00+01:00",
    "1969-12-31T23:59:59.999Z",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "2026-11-22",
    "2026-02-29T00:00:00Z",
    "2026-11-22T24:00:00Z",
];
const ADDRESSES: &[&str] = &[
    "10.0.0.1",
    "10.255.0.1",
    "192.0.2.7",
    "::ffff:10.0.0.1",
    "2001:db8::1",
    "::1",
    "010.0.0.1",
    "fe80::1%eth0",
];
const BLOCKS: &[&str] = &[
    "10.0.0.0/8",
    "10.0.0.1/32",
    "0.0.0.0/0",
    "::/0",
    "2001:db8::/32",
    "192.0.2.0/30",
    "10.0.0.1",
    "10.0.0.0/33",
    "::ffff:10.0.0.0/104",
];
const PATTERNS: &[&str] = &[
    "a",
    "^a",
    "b$",
    "^(?:a|b)+$",
    "^.$",
    "[0-9]+",
    "[^a-z]",
    "^[0-9A-Za-z_\\-]{2,5}$",
    "\\.",
    "é|日",
];
const NUMBERS: &[f64] = &[
    0.0,
    -0.0,
    1.0,
    -7.0,
    0.5,
    7.0,
    42.0,
    1e306,
    -1e-9,
    1_795_348_800.0,
    1_795_348_799.999,
    9_007_199_254_740_991.0,
    9_007_199_254_740_992.0,
    -9_007_199_254_740_993.0,
];
const OPERATORS: &[&str] = &[
    "EXISTS",
    "EQUALS",
    "EQUALS",
    "CONTAINS",
    "STARTS_WITH",
    "ENDS_WITH",
    "MATCHES",
    "LESS_THAN",
    "LESS_OR_EQUAL",
    "GREATER_THAN",
    "GREATER_OR_EQUAL",
    "SEMVER_EQUAL",
    "SEMVER_LESS",
    "SEMVER_LESS_OR_EQUAL",
    "SEMVER_GREATER",
    "SEMVER_GREATER_OR_EQUAL",
    "BEFORE",
    "AFTER",
    "IN_CIDR",
];
const HASHES: &[&str] = &[
    "HASH_UNSPECIFIED",
    "HASH_BURGEE",
    "HASH_UNLEASH",
    "HASH_UNLEASH_VARIANT",
    "HASH_LAUNCHDARKLY",
];
const SALTS: &[&str] = &["salt", "s", "", "日本", "checkout", "gr1", "a:b"];
const BUCKETS: usize = 100_000;
/// One in so many variants, weights, conditions and operators is not understood.
const BROKEN_ONE_IN: usize = 400;

/// A key of a flag that is probably there.
pub(crate) fn flag_key(random: &mut Random) -> &'static str {
    if random.percent(1) {
        "gone"
    } else {
        random.pick(FLAGS)
    }
}

/// Some flags of each type, and some segments.
pub(crate) fn ruleset(random: &mut Random) -> Json {
    let mut flags: Vec<_> = FLAGS.iter().map(|key| flag(random, key)).collect();
    if random.percent(10) {
        flags.remove(random.below(FLAGS.len()));
    }
    let segments = random.some(SEGMENTS.len(), segment);
    json!({"flags": flags, "segments": segments})
}

/// A few attributes; now and then a nested, an empty or a broken one.
pub(crate) fn context(random: &mut Random) -> Json {
    let mut context = Map::new();
    if random.percent(80) {
        context.insert("targetingKey".into(), random.pick(TEXTS).into());
    }
    let mut attributes = Map::new();
    for name in ATTRIBUTES {
        if random.percent(55) {
            attributes.insert((*name).into(), attribute(random));
        }
    }
    if random.percent(40) {
        attributes.insert(
            "user".into(),
            json!({"plan": attribute(random), "x": {"": attribute(random)}}),
        );
    }
    if random.percent(2) {
        attributes.insert("long".into(), "x".repeat(8190 + random.below(5)).into());
    }
    context.insert("attributes".into(), attributes.into());
    context.into()
}

fn attribute(random: &mut Random) -> Json {
    if random.percent(20) {
        random.some(4, scalar).into()
    } else {
        scalar(random)
    }
}

fn scalar(random: &mut Random) -> Json {
    match random.below(10) {
        0 => random.percent(50).into(),
        1 | 2 => random.pick(NUMBERS).into(),
        3 => random.pick(VERSIONS).into(),
        4 => random.pick(TIMES).into(),
        5 => random.pick(ADDRESSES).into(),
        6 => Json::Null,
        _ => random.pick(TEXTS).into(),
    }
}

fn flag(random: &mut Random, key: &str) -> Json {
    let (flag_type, values) = match random.below(4) {
        0 => (
            "FLAG_TYPE_BOOLEAN",
            [json!(true), json!(false), json!(true)],
        ),
        1 => ("FLAG_TYPE_STRING", [json!("x"), json!(""), json!("日本")]),
        2 => {
            let number = |random: &mut Random| json!(random.pick(NUMBERS));
            (
                "FLAG_TYPE_NUMBER",
                [number(random), number(random), number(random)],
            )
        }
        _ => (
            "FLAG_TYPE_JSON",
            [json!({"a": [1, null]}), json!(null), json!(-0.0)],
        ),
    };
    let variants = VARIANTS.iter().zip(values);
    let variants: Vec<_> = variants
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect();
    let mut flag = json!({
        "key": key,
        "type": flag_type,
        "variants": variants,
        "enabled": random.percent(92),
        "prerequisites": prerequisites(random),
        "targets": random.some(2, target),
        "rules": random.some(4, rule),
    });
    if let Some(flag) = flag.as_object_mut() {
        if random.percent(85) {
            flag.insert("offVariant".into(), variant(random));
        }
        if random.percent(90) {
            flag.insert("fallthrough".into(), serve(random));
        }
        if random.percent(10) {
            flag.insert("mutualExclusion".into(), mutual_exclusion(random));
        }
    }
    flag
}

/// Mostly a variant that exists.
fn variant(random: &mut Random) -> Json {
    if random.below(BROKEN_ONE_IN) == 0 {
        return "none".into();
    }
    random.pick(VARIANTS).into()
}

fn prerequisites(random: &mut Random) -> Json {
    if random.percent(75) {
        return json!([]);
    }
    random
        .some(2, |random| {
            let variants = random.some(3, |random| random.pick(VARIANTS));
            json!({"flagKey": flag_key(random), "variants": variants})
        })
        .into()
}

fn target(random: &mut Random) -> Json {
    let attribute = if random.percent(50) {
        ""
    } else {
        random.pick(ATTRIBUTES)
    };
    let keys = random.some(3, |random| random.pick(TEXTS));
    json!({"variant": variant(random), "attribute": attribute, "keys": keys})
}

fn rule(random: &mut Random) -> Json {
    let mut rule = json!({
        "id": format!("r{}", random.below(9)),
        "condition": condition(random, 3, true),
        "serve": serve(random),
    });
    if random.percent(25)
        && let Some(rule) = rule.as_object_mut()
    {
        let weight = random.below(BUCKETS + 1);
        let gate = bucketing(random, json!({"weight": weight}));
        rule.insert("traffic".into(), gate);
    }
    rule
}

fn serve(random: &mut Random) -> Json {
    if random.percent(55) {
        return json!({"variant": variant(random)});
    }
    let mut left = BUCKETS;
    let mut weights = random.some(3, |random| {
        let weight = random.below(left + 1);
        left -= weight;
        weight
    });
    weights.push(if random.below(BROKEN_ONE_IN) == 0 {
        left + 1
    } else {
        left
    });
    let parts: Vec<_> = weights
        .into_iter()
        .map(|weight| json!({"variant": variant(random), "weight": weight}))
        .collect();
    json!({"split": bucketing(random, json!({"parts": parts}))})
}

fn bucketing(random: &mut Random, mut message: Json) -> Json {
    if let Some(message) = message.as_object_mut() {
        message.insert("salt".into(), random.pick(SALTS).into());
        message.insert("hash".into(), random.pick(HASHES).into());
        if random.percent(40) {
            let names = ATTRIBUTES.get(..5).unwrap_or_default();
            let bucket_by = random.some(2, |random| random.pick(names));
            message.insert("bucketBy".into(), bucket_by.into());
        }
    }
    message
}

fn mutual_exclusion(random: &mut Random) -> Json {
    let slots = random.some(
        3,
        |random| json!({"start": random.below(BUCKETS + 1), "end": random.below(BUCKETS + 1)}),
    );
    json!({"salt": random.pick(SALTS), "slots": slots})
}

fn segment(random: &mut Random) -> Json {
    let keys = |random: &mut Random| random.some(5, |random| random.pick(TEXTS));
    let mut segment = json!({
        "key": random.pick(SEGMENTS),
        "attribute": if random.percent(60) { "" } else { random.pick(ATTRIBUTES) },
        "included": keys(random),
        "excluded": keys(random),
    });
    if random.percent(40)
        && let Some(segment) = segment.as_object_mut()
    {
        segment.insert("condition".into(), condition(random, 2, false));
    }
    segment
}

fn condition(random: &mut Random, depth: usize, with_segments: bool) -> Json {
    if random.below(BROKEN_ONE_IN) == 0 {
        return json!({});
    }
    let list = |random: &mut Random| {
        let conditions = random.some(3, |random| condition(random, depth - 1, with_segments));
        json!({"conditions": conditions})
    };
    match random.below(if depth > 1 { 10 } else { 6 }) {
        0..5 => json!({"clause": clause(random)}),
        5 if with_segments => {
            json!({"segment": {"keys": random.some(2, |random| random.pick(SEGMENTS))}})
        }
        5 => json!({"clause": clause(random)}),
        6 => json!({"all": list(random)}),
        7 => json!({"any": list(random)}),
        _ => json!({"not": {"condition": condition(random, depth - 1, with_segments)}}),
    }
}

fn clause(random: &mut Random) -> Json {
    let operator = random.pick(OPERATORS);
    let values = random.some(4, |random| match operator {
        // A value of another type would not hold; a pattern must compile.
        "MATCHES" => random.pick(PATTERNS).into(),
        _ if random.percent(15) => scalar(random),
        "BEFORE" | "AFTER" if random.percent(70) => random.pick(TIMES).into(),
        "IN_CIDR" => random.pick(BLOCKS).into(),
        _ if operator.starts_with("SEMVER") => random.pick(VERSIONS).into(),
        "LESS_THAN" | "LESS_OR_EQUAL" | "GREATER_THAN" | "GREATER_OR_EQUAL" | "BEFORE"
        | "AFTER" => random.pick(NUMBERS).into(),
        _ => scalar(random),
    });
    let operator = if random.below(BROKEN_ONE_IN) == 0 {
        99.into()
    } else {
        Json::from(format!("OPERATOR_{operator}"))
    };
    json!({
        "attribute": random.pick(ATTRIBUTES),
        "operator": operator,
        "values": values,
        "ignoreCase": random.percent(25),
    })
}
