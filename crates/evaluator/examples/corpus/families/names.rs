//! How contexts are flattened, and how large they may be.

use serde_json::{Map, Value as Json, json};

use super::{Asked, Question, keys};
use crate::json::{message, sorted};
use crate::pieces;
use crate::random::Random;

/// Keys that meet, once they are joined.
const KEYS: &[&str] = &["a", "b", "a.b", "b.a", "", "a.", "é", "a.b.a"];
/// Those that meet most.
const COMMON: &[&str] = &["a", "b", "a.b"];
/// How deep objects may be nested, and one more, now and then.
const DEPTH: usize = 9;
/// What is at the end of a path.
const TEXTS: &[&str] = &["", "1", "é"];
const CONTEXTS: usize = 4;
/// Keys that the contexts of one ruleset have.
const KEYS_EACH: usize = 3;

/// Clashing names: what one context has, all are asked for.
pub(crate) fn names(random: &mut Random, _: usize) -> Asked {
    let known = random.some(KEYS_EACH, KEYS_EACH, |random| random.pick(KEYS));
    let known = if random.percent(25) { &known } else { COMMON };
    let contexts: Vec<_> = (0..CONTEXTS)
        .map(|_| match random.below(12) {
            0 => path(random, known),
            _ => object(random, known, 1),
        })
        .collect();
    let keys = keys(5);
    let flags = keys.iter().map(|key| {
        let context = random.pick(&contexts);
        let name = name(random, &context);
        flag(random, key, &name)
    });
    let ruleset = json!({"flags": flags.collect::<Vec<_>>()});
    let contexts = contexts
        .iter()
        .flat_map(|it| std::iter::repeat_n(it, keys.len()));
    let cases = keys
        .iter()
        .cycle()
        .zip(contexts)
        .map(|(flag, context)| Question {
            flag: flag.clone(),
            context: json!({"attributes": context}),
        });
    let cases = cases.collect();
    Asked { ruleset, cases }
}

/// The name of something in an object.
fn name(random: &mut Random, object: &Json) -> String {
    let fields = object.as_object().map(sorted).unwrap_or_default();
    let fields: Vec<_> = fields.into_iter().map(Some).collect();
    let Some((key, value)) = random.pick(&fields) else {
        return random.pick(KEYS).to_owned();
    };
    match value.as_object() {
        Some(fields) if !fields.is_empty() => format!("{key}.{}", name(random, value)),
        _ => key.clone(),
    }
}

/// On for what a clause says, and else by the key text of the attribute.
fn flag(random: &mut Random, key: &str, name: &str) -> Json {
    let operator = random.pick(&["EXISTS", "EQUALS", "EQUALS", "CONTAINS"]);
    let clause = message(json!({
        "attribute": name,
        "operator": format!("OPERATOR_{operator}"),
        "values": random.some(1, 2, leaf),
    }));
    let mut split = pieces::split(random);
    let bucket_by = if name.is_empty() { "a" } else { name };
    pieces::set(&mut split, "bucketBy", json!([bucket_by]));
    let variants = pieces::VARIANTS.iter();
    let variants: Vec<_> = variants.map(|it| json!({"key": it, "value": it})).collect();
    json!({
        "key": key,
        "type": "FLAG_TYPE_STRING",
        "variants": variants,
        "enabled": true,
        "rules": [{"id": "r", "condition": {"clause": clause}, "serve": {"variant": "a"}}],
        "fallthrough": {"split": split},
    })
}

fn object(random: &mut Random, known: &[&str], depth: usize) -> Json {
    let (most, deeper) = match depth {
        1 => (4, 50),
        2 => (3, 30),
        3 => (2, 20),
        _ => (1, 75),
    };
    let mut fields = Map::new();
    for _ in 0..=random.below(most) {
        let value = if depth < DEPTH && random.percent(deeper) {
            object(random, known, depth + 1)
        } else {
            leaf(random)
        };
        fields.insert(random.pick(known).to_owned(), value);
    }
    fields.into()
}

/// About as deep as may be.
fn path(random: &mut Random, known: &[&str]) -> Json {
    let mut end = leaf(random);
    for _ in 0..DEPTH - random.below(3) {
        end = json!({random.pick(known): end});
    }
    end
}

fn leaf(random: &mut Random) -> Json {
    match random.below(12) {
        0 => Json::Null,
        1 => json!({}),
        2 => random.some(0, 2, |random| random.pick(TEXTS)).into(),
        3 => json!([null, {"a": 1}, [1]]),
        4 => random.percent(50).into(),
        5 | 6 => json!(1),
        _ => random.pick(TEXTS).into(),
    }
}

/// What is counted, and how much of it is allowed, in bytes of UTF-8.
#[derive(Clone, Copy)]
enum Limit {
    Key,
    Name,
    Text,
    Element,
    Elements,
    Names,
    Total,
}

const LIMITS: &[(Limit, usize)] = &[
    (Limit::Key, 1024),
    (Limit::Name, 1024),
    (Limit::Text, 8192),
    (Limit::Element, 8192),
    (Limit::Elements, 1000),
    (Limit::Names, 256),
    (Limit::Total, 65536),
];
/// Bytes of the strings that a total is made of.
const TOTAL_PARTS: usize = 8191;

/// Contexts at their limits, and one beyond.
pub(crate) fn limits(random: &mut Random, number: usize) -> Asked {
    let flag = json!({
        "key": "f",
        "type": "FLAG_TYPE_BOOLEAN",
        "variants": [{"key": "a", "value": true}, {"key": "b", "value": false}],
        "enabled": true,
        "rules": [{
            "id": "r",
            "condition": {"clause": {"attribute": "x", "operator": "OPERATOR_EXISTS"}},
            "serve": {"variant": "a"},
        }],
        "fallthrough": {"variant": "b"},
    });
    let (limit, most) = LIMITS.get(number).copied().unwrap_or((Limit::Key, 1024));
    let contexts = [most, most + 1].map(|count| context(random, limit, count));
    let cases = contexts.map(|context| Question {
        flag: "f".into(),
        context,
    });
    Asked {
        ruleset: json!({"flags": [flag]}),
        cases: cases.into(),
    }
}

fn context(random: &mut Random, limit: Limit, count: usize) -> Json {
    let attributes = match limit {
        Limit::Key => return json!({"targetingKey": bytes(random, count)}),
        Limit::Name => json!({"x": {bytes(random, count - 2): 1}}),
        Limit::Text => json!({"x": bytes(random, count)}),
        Limit::Element => json!({"x": ["", bytes(random, count)]}),
        Limit::Elements => json!({"x": vec![0; count], "y": vec![Json::Null; count]}),
        Limit::Names => {
            let names = (1..count).map(|it| (format!("{it:x}"), json!(0)));
            let mut attributes: Map<_, _> = names.collect();
            attributes.insert("x".into(), json!({"y": {}, "z": 0}));
            attributes.into()
        }
        Limit::Total => {
            let parts = (0..8).map(|it| (it.to_string(), bytes(random, TOTAL_PARTS).into()));
            let mut attributes: Map<_, Json> = parts.collect();
            // Eight names of one byte are counted, and the targeting key is not.
            if count % 2 == 1 {
                attributes.insert("x".into(), json!(0));
            }
            return json!({"targetingKey": "alice", "attributes": attributes});
        }
    };
    json!({"attributes": attributes})
}

/// A text of exactly so many bytes, in characters of one, and of two to four.
fn bytes(random: &mut Random, count: usize) -> String {
    let wide = random.pick(&["é", "日", "😀"]);
    let narrow = count % wide.len();
    format!("{}{}", "x".repeat(narrow), wide.repeat(count / wide.len()))
}
