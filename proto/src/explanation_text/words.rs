//! The words that lines are made of.

use std::fmt::{self, Display, Formatter, Write as _};

use prost_types::Value;
use prost_types::value::Kind;

use crate::types::v1::{BucketExplanation, Hash, Reason};

/// How many wanted values, or elements of a list, are written out.
const VALUES_MAX: usize = 8;
/// How many characters of a text are.
const CHARACTERS_MAX: usize = 64;
/// How the targeting key is called where an attribute is named.
const TARGETING_KEY: &str = "targetingKey";

/// The reason, and the rule that served, if a rule did.
pub(super) struct Decided<'a>(pub(super) Reason, pub(super) &'a str);

impl Display for Decided<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(bare(self.0.as_str_name(), "REASON_"))?;
        match self.1 {
            "" => Ok(()),
            rule => write!(formatter, " by rule {}", Name(rule)),
        }
    }
}

/// How a bucket came about, or why there is none.
pub(super) struct Bucket<'a>(pub(super) &'a BucketExplanation);

impl Display for Bucket<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let told = self.0;
        let (Some(bucket), Some(key)) = (told.bucket, &told.key) else {
            let names = told.bucket_by.iter().map(|name| Name(name).to_string());
            let names = match told.bucket_by.as_slice() {
                [] => TARGETING_KEY.to_owned(),
                _ => listed(names, " and "),
            };
            return write!(formatter, "no bucket, for want of {names}");
        };
        let (salt, key) = (Text(&told.salt), Text(key));
        write!(formatter, "bucket {bucket} (salt {salt}, key {key}")?;
        match told.hash() {
            Hash::Unspecified | Hash::Burgee => {}
            hash => write!(formatter, ", {}", bare(hash.as_str_name(), "HASH_"))?,
        }
        formatter.write_char(')')
    }
}

/// A name or sentence, without what could end a line or reach a terminal.
pub(super) struct Name<'a>(pub(super) &'a str);

impl Display for Name<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                _ if character.is_control() => write!(formatter, "{}", character.escape_default())?,
                _ => formatter.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// A text in quotes, cut if it is long.
pub(super) struct Text<'a>(pub(super) &'a str);

impl Display for Text<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(CHARACTERS_MAX) {
            Some((end, _)) => write!(formatter, "{:?}…", self.0.get(..end).unwrap_or_default()),
            None => write!(formatter, "{:?}", self.0),
        }
    }
}

/// A value, nearly as JSON has it.
pub(super) struct Json<'a>(pub(super) &'a Value);

impl Display for Json<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            None | Some(Kind::NullValue(_)) => formatter.write_str("null"),
            Some(Kind::BoolValue(value)) => write!(formatter, "{value}"),
            // In digits up to 2^53, with an exponent beyond.
            Some(Kind::NumberValue(number)) if number.abs() < 9_007_199_254_740_992.0 => {
                write!(formatter, "{number}")
            }
            Some(Kind::NumberValue(number)) => write!(formatter, "{number:e}"),
            Some(Kind::StringValue(text)) => write!(formatter, "{}", Text(text)),
            Some(Kind::ListValue(list)) => {
                let elements = list.values.iter().map(|value| Json(value).to_string());
                write!(formatter, "[{}]", listed(elements, ", "))
            }
            Some(Kind::StructValue(object)) => {
                let fields = object.fields.iter();
                let fields = fields.map(|(key, value)| format!("{}: {}", Text(key), Json(value)));
                write!(formatter, "{{{}}}", listed(fields, ", "))
            }
        }
    }
}

pub(super) fn listed(all: impl ExactSizeIterator<Item = String>, separator: &str) -> String {
    let more = all.len().saturating_sub(VALUES_MAX);
    let mut shown: Vec<String> = all.take(VALUES_MAX).collect();
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    shown.join(separator)
}

pub(super) fn attribute(name: &str) -> Name<'_> {
    Name(if name.is_empty() { TARGETING_KEY } else { name })
}

pub(super) fn or_none(variant: &str) -> Name<'_> {
    Name(if variant.is_empty() {
        "no variant"
    } else {
        variant
    })
}

pub(super) fn mark(holds: bool) -> &'static str {
    if holds { "✓" } else { "✗" }
}

pub(super) fn bare<'a>(name: &'a str, prefix: &str) -> &'a str {
    name.strip_prefix(prefix).unwrap_or(name)
}
