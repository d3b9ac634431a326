//! Canary secrets: each known to whom it was given, and to be found nowhere else, in whatever
//! form.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What is shorter is found by chance.
const LENGTH_MIN: usize = 12;

/// Secrets, and what they are.
#[derive(Default)]
pub struct Canaries {
    secrets: Vec<(String, Vec<u8>)>,
}

impl Canaries {
    /// One more; gives it back.
    pub fn add(&mut self, what: &str, secret: impl Into<String>) -> String {
        let secret = secret.into();
        self.add_bytes(what, secret.as_bytes());
        secret
    }

    /// One more, that is no text.
    ///
    /// # Panics
    ///
    /// When it is too short to be told from chance.
    pub fn add_bytes(&mut self, what: &str, secret: &[u8]) {
        assert!(secret.len() >= LENGTH_MIN, "{what} is too short");
        self.secrets.push((what.to_owned(), secret.to_vec()));
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.secrets.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// Those that are in an output, each with its form.
    #[must_use]
    pub fn found_in(&self, output: &[u8]) -> BTreeSet<String> {
        let (mut names, mut patterns) = (Vec::new(), Vec::new());
        for (what, secret) in &self.secrets {
            for (form, pattern) in forms(secret) {
                names.push(format!("{what}, {form}"));
                patterns.push(pattern);
            }
        }
        let mut search = AhoCorasick::builder();
        let search = search
            .ascii_case_insensitive(true)
            .build(&patterns)
            .unwrap();
        let found = search.find_overlapping_iter(output);
        found
            .map(|it| names[it.pattern().as_usize()].clone())
            .collect()
    }
}

/// What a secret looks like in an output.
fn forms(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut hexadecimal = String::new();
    let mut numbers = Vec::new();
    for byte in secret {
        write!(hexadecimal, "{byte:02x}").unwrap();
        numbers.push(byte.to_string());
    }
    let mut forms = vec![
        ("as it is", secret.to_vec()),
        ("in hexadecimal", hexadecimal.into_bytes()),
        ("as a list of bytes", numbers.join(", ").into_bytes()),
        ("as a list of bytes", numbers.join(",").into_bytes()),
    ];
    // In base64 a text looks otherwise by where it begins within three bytes.
    for before in 0..3 {
        let shifted = [vec![0; before].as_slice(), secret].concat();
        let (begin, end) = ((before * 8).div_ceil(6), shifted.len() * 8 / 6);
        for encoded in [
            STANDARD_NO_PAD.encode(&shifted),
            URL_SAFE_NO_PAD.encode(&shifted),
        ] {
            forms.push(("in base64", encoded.as_bytes()[begin..end].to_vec()));
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn a_secret_is_found_in_every_form_and_nothing_else_is() {
        const SECRET: &str = "burgee?canary>secret";
        let mut canaries = Canaries::default();
        canaries.add("a password", SECRET);
        let bytes = SECRET.as_bytes();
        let upper: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        for leak in [
            format!("the password was {SECRET}."),
            format!("\\x00{upper}00"),
            format!("{bytes:?}"),
            serde_json::to_string(bytes).unwrap(),
            STANDARD.encode(format!("{SECRET}xyz")),
            STANDARD.encode(format!("x{SECRET}yz")),
            URL_SAFE_NO_PAD.encode(format!("xy{SECRET}z")),
        ] {
            let found = canaries.found_in(leak.as_bytes());
            assert_eq!(found.len(), 1, "{leak}: {found:?}");
        }
        let near = format!("{} {upper}", &SECRET[1..]).replace("62", "63");
        assert!(canaries.found_in(near.as_bytes()).is_empty());
    }
}
