//! The credential that an SDK or a relay shows to a hop.

use std::fmt;
use std::sync::Arc;

use tonic::metadata::{Ascii, MetadataValue};

/// How much of a key a log may show: its kind, such as `burgee_srv_`.
const KIND_LENGTH: usize = 11;

/// An SDK or relay key. Its `Debug` form shows the kind alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Arc<str>);

/// A text that cannot be a key: empty, or with characters that no header takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key is empty or holds characters that a key cannot have")]
pub struct InvalidKey;

impl Key {
    /// Takes a key, without the white space around it that files tend to have.
    ///
    /// # Errors
    /// [`InvalidKey`] if nothing is left, or if it holds anything but visible
    /// ASCII. Whether the key opens anything is for the server to say.
    pub fn new(text: &str) -> Result<Self, InvalidKey> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidKey);
        }
        Ok(Self(text.into()))
    }

    /// The secret itself.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The value of the header `authorization`, marked so that no layer logs or
    /// indexes it.
    pub(crate) fn authorization(&self) -> Result<MetadataValue<Ascii>, InvalidKey> {
        let mut value = MetadataValue::try_from(format!("Bearer {}", self.0))
            .map_err(|_not_ascii| InvalidKey)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A key of another form shows nothing: its beginning may be the secret.
        let kind = self.0.get(..KIND_LENGTH).filter(|kind| {
            kind.starts_with("burgee_") && kind.ends_with('_') && self.0.len() > 2 * KIND_LENGTH
        });
        write!(formatter, "{}…", kind.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_kind_and_nothing_of_the_secret() {
        let key = Key::new("burgee_srv_0123456789abcdefghijklmnopqrstuvwxyz\n").unwrap();
        assert_eq!(format!("{key:?}"), "burgee_srv_…");
        assert_eq!(
            format!("{:?}", Key::new("hunter2-hunter2-hunter2").unwrap()),
            "…"
        );
        assert_eq!(format!("{:?}", Key::new("burgee_a_").unwrap()), "…");
    }

    #[test]
    fn a_key_that_no_header_takes_is_refused() {
        for text in ["", " \n", "burgee_srv_a b", "burgee_srv_é", "a\r\nb"] {
            assert_eq!(Key::new(text), Err(InvalidKey), "{text:?}");
        }
    }

    #[test]
    fn the_header_is_sensitive() {
        let value = Key::new("burgee_srv_x").unwrap().authorization().unwrap();
        assert!(value.is_sensitive());
        assert_eq!(value.to_str().unwrap(), "Bearer burgee_srv_x");
    }
}
