//! JSON as the corpus writes it: the same bytes in every release of every crate.

use std::fmt::Write;

use serde_json::{Map, Number, Value as Json};

/// Integral numbers below it are written without a point.
const INTEGERS_END: f64 = 9_007_199_254_740_992.0;

/// A message without the fields that have their default, which ProtoJSON leaves
/// out. Only the outermost ones: a Value has no default.
pub(crate) fn message(fields: Json) -> Json {
    let is_default = |value: &Json| match value {
        Json::Null => true,
        Json::Bool(value) => !value,
        Json::Number(value) => value.as_i64() == Some(0),
        Json::String(text) => text.is_empty(),
        Json::Array(values) => values.is_empty(),
        Json::Object(_) => false,
    };
    match fields {
        Json::Object(fields) => {
            let fields = fields.into_iter().filter(|(_, value)| !is_default(value));
            fields.collect::<Map<_, _>>().into()
        }
        other => other,
    }
}

/// The fields in the order of their names, whatever order the map keeps.
pub(crate) fn sorted(fields: &Map<String, Json>) -> Vec<(&String, &Json)> {
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort_by_key(|(name, _)| *name);
    fields
}

/// Appends a value, without blanks and with sorted keys.
pub(crate) fn write(value: &Json, text: &mut String) {
    match value {
        Json::Null => text.push_str("null"),
        Json::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Json::Number(number) => write_number(number, text),
        Json::String(value) => write_text(value, text),
        Json::Array(values) => write_all('[', values, ']', text, write),
        Json::Object(fields) => {
            let fields = sorted(fields);
            write_all('{', &fields, '}', text, |(key, value), text| {
                write_text(key, text);
                text.push(':');
                write(value, text);
            });
        }
    }
}

fn write_all<T>(
    start: char,
    of: &[T],
    end: char,
    text: &mut String,
    write_one: impl Fn(&T, &mut String),
) {
    text.push(start);
    for (place, one) in of.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        write_one(one, text);
    }
    text.push(end);
}

fn write_number(number: &Number, text: &mut String) {
    let written = match number.as_f64() {
        // −0 has a point: many a reader takes an integer −0 for 0.
        Some(value) if number.is_f64() && (value != 0.0 || value.is_sign_positive()) => {
            if value.fract() == 0.0 && value.abs() < INTEGERS_END {
                write!(text, "{value:.0}")
            } else {
                write!(text, "{value:?}")
            }
        }
        Some(_) if number.is_f64() => write!(text, "-0.0"),
        _ => write!(text, "{number}"),
    };
    debug_assert!(written.is_ok(), "text takes everything");
}

fn write_text(value: &str, text: &mut String) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            control if control.is_control() => {
                let written = write!(text, "\\u{:04x}", u32::from(control));
                debug_assert!(written.is_ok(), "text takes everything");
            }
            other => text.push(other),
        }
    }
    text.push('"');
}
