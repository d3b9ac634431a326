//! What attributes have and clauses compare with.

use serde_json::{Value as Json, json};

use crate::pools::{
    ADDRESSES_4, ADDRESSES_6, BLOCKS, CLOSE, INTEGERS, NUMBERS, PATTERNS, RELEASES, STEPS, TEXTS,
    VERSIONS,
};
use crate::random::Random;

/// What an operator compares.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Any,
    Text,
    Pattern,
    Number,
    Version,
    Time,
    Address,
}

fn kind(operator: &str) -> Kind {
    match operator {
        "CONTAINS" | "STARTS_WITH" | "ENDS_WITH" => Kind::Text,
        "MATCHES" => Kind::Pattern,
        "LESS_THAN" | "LESS_OR_EQUAL" | "GREATER_THAN" | "GREATER_OR_EQUAL" => Kind::Number,
        "BEFORE" | "AFTER" => Kind::Time,
        "IN_CIDR" => Kind::Address,
        _ if operator.starts_with("SEMVER") => Kind::Version,
        _ => Kind::Any,
    }
}

pub(crate) fn text(random: &mut Random) -> Json {
    random.pick(TEXTS).into()
}

pub(crate) fn number(random: &mut Random) -> Json {
    if random.percent(10) {
        random.pick(INTEGERS).into()
    } else {
        random.pick(NUMBERS).into()
    }
}

/// A value that is no object, no list and not null.
pub(crate) fn scalar(random: &mut Random) -> Json {
    match random.below(10) {
        0 => random.percent(50).into(),
        1..4 => number(random),
        4 => version(random),
        5 => time(random),
        6 => random.pick(ADDRESSES_4).into(),
        _ => text(random),
    }
}

/// What a clause compares with: mostly something that the operator takes.
pub(crate) fn wanted(random: &mut Random, operator: &str) -> Json {
    if random.percent(8) && operator != "MATCHES" {
        let odd = [json!(null), json!([1]), json!({"a": 1}), scalar(random)];
        return random.pick(&odd);
    }
    match kind(operator) {
        Kind::Any => scalar(random),
        Kind::Text => text(random),
        // A text that is no pattern would be a fault.
        Kind::Pattern if random.percent(8) => number(random),
        Kind::Pattern => random.pick(PATTERNS).0.into(),
        Kind::Number => number(random),
        Kind::Version => version(random),
        Kind::Time => time(random),
        Kind::Address => random.pick(BLOCKS).into(),
    }
}

/// What an attribute may have that a clause with this value is asked about:
/// something about which the operator may well say yes.
pub(crate) fn near(random: &mut Random, operator: &str, value: &Json) -> Json {
    if kind(operator) == Kind::Time {
        return time_near(random, value);
    }
    let other = |random: &mut Random| match kind(operator) {
        Kind::Any => scalar(random),
        Kind::Text | Kind::Pattern => text(random),
        Kind::Number => number(random),
        Kind::Version => version(random),
        Kind::Time => time(random),
        Kind::Address if random.percent(50) => random.pick(ADDRESSES_4).into(),
        Kind::Address => random.pick(ADDRESSES_6).into(),
    };
    if random.percent(20) {
        return other(random);
    }
    match (kind(operator), value) {
        (Kind::Any, Json::String(text)) => cased(random, text).into(),
        (Kind::Any, Json::Bool(value)) => alike(random, f64::from(u8::from(*value))),
        (Kind::Any, Json::Number(number)) => alike(random, number.as_f64().unwrap_or_default()),
        (Kind::Version, Json::String(_)) if random.percent(40) => value.clone(),
        (Kind::Address, Json::String(block)) => {
            let is_6 = block.contains(':');
            random
                .pick(if is_6 { ADDRESSES_6 } else { ADDRESSES_4 })
                .into()
        }
        (Kind::Text, Json::String(text)) => around(random, text).into(),
        (Kind::Pattern, Json::String(pattern)) => {
            let pair = PATTERNS.iter().find(|(it, _, _)| it == pattern);
            let (_, found, not_found) = pair.copied().unwrap_or_default();
            random.pick(&[found, not_found]).into()
        }
        (Kind::Number, Json::Number(number)) => {
            let number = number.as_f64().unwrap_or_default();
            (number + random.pick(STEPS)).into()
        }
        _ => other(random),
    }
}

/// A value of a type that the operator does not take.
pub(crate) fn strange(random: &mut Random, operator: &str) -> Json {
    let is_number = matches!(kind(operator), Kind::Number);
    match random.below(3) {
        0 => random.percent(50).into(),
        1 if kind(operator) == Kind::Time => json!([]),
        1 if !is_number => number(random),
        _ => text(random),
    }
}

fn version(random: &mut Random) -> Json {
    if random.percent(65) {
        random.pick(RELEASES).into()
    } else {
        random.pick(VERSIONS).into()
    }
}

fn time(random: &mut Random) -> Json {
    let close = random.pick(CLOSE);
    time_of(random, close)
}

fn time_of(random: &mut Random, (texts, numbers): (&[&str], &[f64])) -> Json {
    if random.percent(70) {
        random.pick(texts).into()
    } else {
        random.pick(numbers).into()
    }
}

/// A time that is close to another.
fn time_near(random: &mut Random, value: &Json) -> Json {
    let close = CLOSE.iter().find(|(texts, numbers)| match value {
        Json::String(text) => texts.contains(&text.as_str()),
        Json::Number(number) => number.as_f64().is_some_and(|it| numbers.contains(&it)),
        _ => false,
    });
    match close {
        Some(close) => time_of(random, *close),
        None => time(random),
    }
}

/// The number, its opposite, and what some languages take for it.
fn alike(random: &mut Random, number: f64) -> Json {
    match random.below(6) {
        0 => (-number).into(),
        1 => (number != 0.0).into(),
        2 => number.to_string().into(),
        _ => number.into(),
    }
}

fn cased(random: &mut Random, text: &str) -> String {
    match random.below(8) {
        0 => text.to_ascii_uppercase(),
        1 => text.to_ascii_lowercase(),
        2 => text.to_uppercase(),
        3 => text.to_lowercase(),
        _ => text.to_owned(),
    }
}

fn around(random: &mut Random, text: &str) -> String {
    let text = cased(random, text);
    let other = random.pick(TEXTS);
    match random.below(4) {
        0 => format!("{text}{other}"),
        1 => format!("{other}{text}"),
        2 => format!("{other}{text}{other}"),
        _ => text,
    }
}
