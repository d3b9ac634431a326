//! The context of an evaluation, flattened and within its limits.

use std::collections::BTreeMap;

use burgee_proto::types::v1::EvaluationContext;
use prost_types::Value;
use prost_types::value::Kind;
use sha2::{Digest as _, Sha256};

use crate::attribute::{Attribute, Name, Scalar, hash_of_name, update_with_text};
use crate::hash::{HASH_BYTES, first_bytes};

/// Names after flattening.
pub const NAMES_MAX: usize = 256;
/// Bytes of a name.
pub const NAME_BYTES_MAX: usize = 1024;
/// Bytes of a string, in lists too.
pub const STRING_BYTES_MAX: usize = 8192;
/// Elements of a list.
pub const LIST_ELEMENTS_MAX: usize = 1000;
/// Bytes of the targeting key.
pub const TARGETING_KEY_BYTES_MAX: usize = 1024;
/// Bytes of all names and strings together, the targeting key not counted.
pub const TOTAL_BYTES_MAX: usize = 65_536;
/// Keys that a path into nested objects may have.
pub const PATH_KEYS_MAX: usize = 8;

/// For whom or what flags are evaluated: attributes by their dotted names.
/// Make one for each context, and evaluate many flags with it.
#[derive(Clone, Debug, Default)]
pub struct Context {
    targeting_key: Option<Attribute>,
    attributes: Attributes,
}

/// Which limit a context exceeds. Its evaluation is ERROR, INVALID_CONTEXT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidContext {
    /// [`TARGETING_KEY_BYTES_MAX`].
    #[error("the targeting key is longer than {TARGETING_KEY_BYTES_MAX} bytes")]
    TargetingKeyTooLong,
    /// [`NAMES_MAX`].
    #[error("there are more than {NAMES_MAX} attributes")]
    TooManyNames,
    /// [`NAME_BYTES_MAX`].
    #[error("the name of an attribute is longer than {NAME_BYTES_MAX} bytes")]
    NameTooLong,
    /// [`STRING_BYTES_MAX`].
    #[error("a string is longer than {STRING_BYTES_MAX} bytes")]
    StringTooLong,
    /// [`LIST_ELEMENTS_MAX`].
    #[error("a list has more than {LIST_ELEMENTS_MAX} elements")]
    ListTooLong,
    /// [`TOTAL_BYTES_MAX`].
    #[error("names and strings together are longer than {TOTAL_BYTES_MAX} bytes")]
    TooLarge,
    /// [`PATH_KEYS_MAX`].
    #[error("objects are nested deeper than {PATH_KEYS_MAX} keys")]
    TooDeep,
}

impl Context {
    /// Flattens a context and checks its limits.
    ///
    /// # Errors
    ///
    /// The limit that the context exceeds.
    pub fn new(message: &EvaluationContext) -> Result<Self, InvalidContext> {
        let key = message.targeting_key.as_str();
        if key.len() > TARGETING_KEY_BYTES_MAX {
            return Err(InvalidContext::TargetingKeyTooLong);
        }
        let mut flattening = Flattening::default();
        if let Some(attributes) = &message.attributes {
            flattening.add_fields(&attributes.fields, 1)?;
        }
        Ok(Self {
            targeting_key: (!key.is_empty()).then(|| Attribute::One(Scalar::text(key))),
            attributes: flattening.attributes,
        })
    }

    /// What tells this context from every other one, so that it can be
    /// recognised without being kept: the same for contexts that flatten to
    /// the same attributes, however they were nested and ordered.
    pub fn fingerprint(&self) -> [u8; HASH_BYTES] {
        let mut hash = Sha256::new();
        let targeting_key = self.targeting_key.iter().map(|key| ("", key));
        let mut attributes: Vec<_> = self.attributes.named.iter().collect();
        attributes.sort_unstable_by_key(|(name, _)| name);
        let attributes = attributes.into_iter().map(|(name, value)| (&**name, value));
        hash.update([u8::from(self.targeting_key.is_some())]);
        for (name, value) in targeting_key.chain(attributes) {
            update_with_text(&mut hash, name);
            value.update(&mut hash);
        }
        first_bytes(hash)
    }

    /// What a name reads: absent, or a value.
    #[inline]
    pub(crate) fn get(&self, name: &Name) -> Option<&Attribute> {
        match name {
            Name::TargetingKey => self.targeting_key.as_ref(),
            Name::TargetingKeyOr(name) => {
                let key = self.targeting_key.as_ref();
                key.or_else(|| self.attributes.get(name.hash(), name.text()))
            }
            Name::Attribute(name) => self.attributes.get(name.hash(), name.text()),
        }
    }
}

/// Some attributes by name. Comparing a few hashes that lie side by side takes less
/// than hashing a name, and [`NAMES_MAX`] bounds what it takes with many.
#[derive(Clone, Debug, Default)]
struct Attributes {
    hashes: Vec<u32>,
    named: Vec<(Box<str>, Attribute)>,
}

impl Attributes {
    fn get(&self, hash: u32, name: &str) -> Option<&Attribute> {
        let mut attributes = self.hashes.iter().zip(&self.named);
        let found = attributes.find(|(known, (text, _))| **known == hash && **text == *name);
        found.map(|(_, (_, attribute))| attribute)
    }

    fn push(&mut self, hash: u32, name: &str, attribute: Attribute) {
        self.hashes.push(hash);
        self.named.push((name.into(), attribute));
    }
}

#[derive(Default)]
struct Flattening {
    attributes: Attributes,
    /// The name so far, and a dot where it goes on.
    path: String,
    total_bytes: usize,
}

impl Flattening {
    /// Adds the fields of an object whose keys are the `depth`th of their path.
    /// Recursion ends at [`PATH_KEYS_MAX`].
    fn add_fields(
        &mut self,
        fields: &BTreeMap<String, Value>,
        depth: usize,
    ) -> Result<(), InvalidContext> {
        if depth > PATH_KEYS_MAX && !fields.is_empty() {
            return Err(InvalidContext::TooDeep);
        }
        let mut fields: Vec<_> = fields.iter().collect();
        // The first path to give a name wins, and a key that is written with
        // dots is longer than the nested ones that spell the same name.
        fields.sort_by_key(|(key, _)| std::cmp::Reverse(key.len()));
        for (key, value) in fields {
            let length = self.path.len();
            self.path.push_str(key);
            match &value.kind {
                Some(Kind::StructValue(nested)) => {
                    self.path.push('.');
                    self.add_fields(&nested.fields, depth + 1)?;
                }
                Some(Kind::ListValue(list)) => self.add_list(&list.values)?,
                _ => {
                    if let Some(scalar) = Scalar::from_message(value) {
                        self.add(|| Ok(Attribute::One(scalar)))?;
                    }
                }
            }
            self.path.truncate(length);
        }
        Ok(())
    }

    fn add_list(&mut self, values: &[Value]) -> Result<(), InvalidContext> {
        let kept = || values.iter().filter_map(Scalar::from_message);
        self.add(|| {
            if kept().take(LIST_ELEMENTS_MAX + 1).count() > LIST_ELEMENTS_MAX {
                return Err(InvalidContext::ListTooLong);
            }
            Ok(Attribute::List(kept().collect()))
        })
    }

    /// Gives the name of the path a value, unless it has one.
    fn add(
        &mut self,
        value: impl FnOnce() -> Result<Attribute, InvalidContext>,
    ) -> Result<(), InvalidContext> {
        let hash = hash_of_name(&self.path);
        if self.attributes.get(hash, &self.path).is_some() {
            return Ok(());
        }
        let value = value()?;
        if self.attributes.named.len() == NAMES_MAX {
            return Err(InvalidContext::TooManyNames);
        }
        if self.path.len() > NAME_BYTES_MAX {
            return Err(InvalidContext::NameTooLong);
        }
        self.total_bytes += self.path.len();
        for text in value.elements().iter().filter_map(Scalar::as_text) {
            if text.len() > STRING_BYTES_MAX {
                return Err(InvalidContext::StringTooLong);
            }
            self.total_bytes += text.len();
        }
        if self.total_bytes > TOTAL_BYTES_MAX {
            return Err(InvalidContext::TooLarge);
        }
        self.attributes.push(hash, &self.path, value);
        Ok(())
    }
}

#[cfg(test)]
#[path = "context_tests.rs"]
mod tests;
