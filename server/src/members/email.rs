//! E-mail addresses, by which people sign in.

use crate::error::Error;

/// The longest e-mail address, in bytes (RFC 5321, 4.5.3.1.3, without the brackets).
const EMAIL_MAX: usize = 254;

/// An e-mail address as it is kept: in lower case. Whether it reaches anybody only a message
/// could tell, so no more is asked than that it has the form.
///
/// # Errors
/// [`Error::Invalid`] naming `field`.
pub fn parse(field: &str, given: &str) -> Result<String, Error> {
    let given = given.trim();
    let two = given.rsplit_once('@');
    let complete = two.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    let plain = !given.contains(|it: char| it.is_whitespace() || it.is_control());
    if complete && plain && given.len() <= EMAIL_MAX {
        return Ok(given.to_lowercase());
    }
    Err(Error::invalid(field, "give an e-mail address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_in_lower_case() {
        assert_eq!(
            parse("email", " Ada@Example.COM ").unwrap(),
            "ada@example.com"
        );
    }

    #[test]
    fn what_has_not_the_form_is_refused() {
        let long = format!("{}@example.com", "a".repeat(EMAIL_MAX));
        for given in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "a da@b",
            "a\u{7}@b",
            &long,
        ] {
            assert!(parse("email", given).is_err(), "{given}");
        }
    }
}
