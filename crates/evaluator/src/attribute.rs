//! Attributes of a context: how they are named, and what they hold.

use std::sync::Arc;

use prost_types::value::Kind;

use crate::bucket::murmur3_x86_32;
use prost_types::{ListValue, Value};
use sha2::{Digest as _, Sha256};

/// The largest integer that a double holds without a gap below it: 2^53 − 1.
pub(crate) const INTEGER_MAX: f64 = 9_007_199_254_740_991.0;

/// How a ruleset names an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// The targeting key, never an attribute.
    TargetingKey,
    /// The name `targetingKey`: the targeting key if there is one, else the
    /// attribute of that name.
    TargetingKeyOr(AttributeName),
    /// Any other name.
    Attribute(AttributeName),
}

impl Name {
    /// The name that reads the targeting key.
    pub(crate) const TARGETING_KEY: &str = "targetingKey";
}

/// The name of an attribute, hashed once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AttributeName {
    hash: u32,
    text: Arc<str>,
}

impl AttributeName {
    pub(crate) fn new(text: Arc<str>) -> Self {
        let hash = hash_of_name(&text);
        Self { hash, text }
    }

    pub(crate) fn hash(&self) -> u32 {
        self.hash
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// What names are told apart by before their texts are compared.
pub(crate) fn hash_of_name(name: &str) -> u32 {
    murmur3_x86_32(0, name.as_bytes())
}

/// The value of an attribute. Never null, an object, NaN or infinite.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Attribute {
    /// Anything but a list.
    One(Scalar),
    /// May be empty, and is present all the same.
    List(Box<[Scalar]>),
}

impl Attribute {
    /// Adds to a hash what tells this value from every other one.
    pub(crate) fn update(&self, hash: &mut Sha256) {
        if let Self::List(elements) = self {
            hash.update([b'l']);
            update_with_length(hash, elements.len());
        }
        for scalar in self.elements() {
            match scalar {
                Scalar::Boolean(value) => hash.update([b'b', u8::from(*value)]),
                Scalar::Number { value, .. } => {
                    hash.update([b'n']);
                    hash.update(value.to_be_bytes());
                }
                Scalar::Text(text) => {
                    hash.update([b't']);
                    update_with_text(hash, text);
                }
            }
        }
    }

    /// What a clause is tried on: the elements of a list, or the one value.
    pub(crate) fn elements(&self) -> &[Scalar] {
        match self {
            Self::One(scalar) => std::slice::from_ref(scalar),
            Self::List(elements) => elements,
        }
    }

    /// The value as a message.
    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::One(scalar) => scalar.to_value(),
            Self::List(elements) => {
                let values = elements.iter().map(Scalar::to_value).collect();
                Kind::ListValue(ListValue { values }).into()
            }
        }
    }

    /// The key text for bucketing, which lists do not have.
    pub(crate) fn key_text(&self) -> Option<&str> {
        match self {
            Self::One(scalar) => scalar.key_text(),
            Self::List(_) => None,
        }
    }

    /// The key texts for targets and segments: of a list, that of each element.
    pub(crate) fn key_texts(&self) -> impl Iterator<Item = &str> {
        self.elements().iter().filter_map(Scalar::key_text)
    }
}

/// A string, number or boolean.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar {
    Boolean(bool),
    Number {
        value: f64,
        /// The decimal digits of an integral number within ±(2^53 − 1).
        digits: Option<Box<str>>,
    },
    Text(Box<str>),
}

impl Scalar {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn number(value: f64) -> Self {
        #[allow(clippy::cast_possible_truncation)]
        let digits = is_integer(value).then(|| (value as i64).to_string().into());
        Self::Number { value, digits }
    }

    /// What a message holds; none for null, lists, objects, NaN and infinities.
    pub(crate) fn from_message(value: &Value) -> Option<Self> {
        match value.kind.as_ref()? {
            Kind::BoolValue(value) => Some(Self::Boolean(*value)),
            Kind::NumberValue(value) if value.is_finite() => Some(Self::number(*value)),
            Kind::StringValue(text) => Some(Self::text(text)),
            _ => None,
        }
    }

    fn to_value(&self) -> Value {
        let kind = match self {
            Self::Boolean(value) => Kind::BoolValue(*value),
            Self::Number { value, .. } => Kind::NumberValue(*value),
            Self::Text(text) => Kind::StringValue(text.to_string()),
        };
        kind.into()
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number { value, .. } => Some(*value),
            _ => None,
        }
    }

    /// A non-empty string is itself, an integral number its decimal digits.
    fn key_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(&**text).filter(|text| !text.is_empty()),
            Self::Number { digits, .. } => digits.as_deref(),
            Self::Boolean(_) => None,
        }
    }
}

/// Adds a text to a hash, and where it ends.
pub(crate) fn update_with_text(hash: &mut Sha256, text: &str) {
    update_with_length(hash, text.len());
    hash.update(text);
}

fn update_with_length(hash: &mut Sha256, length: usize) {
    hash.update((length as u64).to_be_bytes());
}

/// Whether a number is integral within ±(2^53 − 1).
#[allow(clippy::float_cmp)]
pub(crate) fn is_integer(value: f64) -> bool {
    value.abs() <= INTEGER_MAX && value.trunc() == value
}
