//! A code that somebody gives.

use secrecy::SecretString;

use super::{recovery, totp};
use crate::error::Error;

/// A code that somebody gives, in one of two forms.
#[derive(Debug, Clone)]
pub enum Code {
    /// What an app shows: six digits.
    App(SecretString),
    /// A recovery code, as it is hashed.
    Recovery(SecretString),
}

impl Code {
    /// A code that must be given. Spaces, dashes and case say nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what no code looks like.
    pub fn parse(field: &str, text: &str) -> Result<Self, Error> {
        let said = |character: &char| !matches!(character, ' ' | '-');
        let text: String = text
            .chars()
            .filter(said)
            .take(recovery::DIGITS + 1)
            .collect();
        let text = text.to_ascii_lowercase();
        if text.len() == totp::DIGITS && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self::App(text.into()));
        }
        if text.len() == recovery::DIGITS && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(Self::Recovery(text.into()));
        }
        let description = "the six digits that the app shows, or a recovery code";
        Err(Error::invalid(field, description))
    }

    /// A code that may be given. None: it was not.
    ///
    /// # Errors
    /// As [`Code::parse`].
    pub fn given(field: &str, text: &str) -> Result<Option<Self>, Error> {
        (!text.is_empty())
            .then(|| Self::parse(field, text))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn codes_are_told_apart_by_their_form() {
        let app = Code::parse("code", " 123 456").unwrap();
        assert!(matches!(&app, Code::App(digits) if digits.expose_secret() == "123456"));
        assert!(!format!("{app:?}").contains("123456"));
        let shown = "ABCDE-fghij-klm23-4567a";
        let recovery = Code::parse("code", shown).unwrap();
        assert!(
            matches!(&recovery, Code::Recovery(code) if code.expose_secret() == "abcdefghijklm234567a")
        );
        assert!(Code::given("code", "").unwrap().is_none());
        for text in [
            "",
            "12345",
            "1234567",
            "12345a",
            "१२३४५६",
            &"a".repeat(21),
            &" ".repeat(99),
        ] {
            Code::parse("code", text).map(drop).unwrap_err();
        }
    }
}
