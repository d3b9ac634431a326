//! Recovery codes: for whoever lost the app.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::error::Error;
use crate::random;

/// How many a person has.
const CODES: usize = 10;
/// How long one is, without the dashes: those of [`random::identifier`].
pub(super) const DIGITS: usize = 20;
/// How many stand together between two dashes.
const GROUP: usize = 5;
/// What is hashed here is nothing else's.
const DOMAIN: &[u8] = b"burgee recovery code";

/// New codes, as they are hashed.
pub(super) fn codes() -> Result<Vec<SecretString>, Error> {
    let codes = (0..CODES).map(|_| random::identifier().map(SecretString::from));
    codes.collect()
}

/// A code as people are shown it.
pub(super) fn shown(code: &SecretString) -> SecretString {
    let digits: Vec<char> = code.expose_secret().chars().collect();
    let groups = digits.chunks(GROUP).map(String::from_iter);
    groups.collect::<Vec<_>>().join("-").into()
}

/// What is stored of a code. A fast hash is right: a code is 100 random bits, and who could try
/// 2^100 of them is not held up by a slow one. Passwords are not random.
pub(super) fn hash(person: Uuid, code: &SecretString) -> [u8; 32] {
    let hash = Sha256::new_with_prefix(DOMAIN).chain_update(person.as_bytes());
    hash.chain_update(code.expose_secret()).finalize().into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::Code;
    use super::*;

    #[test]
    fn every_code_is_another_and_is_read_back_as_it_was_shown() {
        let codes = codes().unwrap();
        let texts: HashSet<&str> = codes.iter().map(ExposeSecret::expose_secret).collect();
        assert_eq!(texts.len(), CODES);
        for code in &codes {
            let shown = shown(code);
            let shown = shown.expose_secret();
            assert_eq!(
                (shown.len(), shown.matches('-').count()),
                (23, 3),
                "{shown}"
            );
            let Code::Recovery(read) = Code::parse("code", shown).unwrap() else {
                panic!("{shown} is no recovery code")
            };
            assert_eq!(read.expose_secret(), code.expose_secret());
        }
    }

    #[test]
    fn one_code_has_another_hash_for_another_person() {
        let code = SecretString::from("abcdefghijklmnopqrst");
        let [one, other] = [1, 2].map(|it| hash(Uuid::from_u128(it), &code));
        assert_ne!(one, other);
    }
}
