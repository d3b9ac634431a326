//! What a sealed secret looks like: a version, the id of its key in hexadecimal digits, a
//! random nonce, and what XChaCha20-Poly1305 makes of the secret. Nonces of 192 bits may be
//! drawn at random without ever meeting again.
//!
//! What it is bound to is no part of it: version, key, table, column, row and organization go
//! into the authentication tag.

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use secrecy::SecretSlice;

use super::{Place, Problem};
use crate::keyring::{ID_DIGITS, Key};
use crate::random;

/// The first byte of what this module makes.
const VERSION: u8 = 1;
/// The length of a nonce, in bytes.
const NONCE_BYTES: usize = 24;
/// What is authenticated here is nothing else's.
const DOMAIN: &[u8] = b"burgee sealed secret";
/// Ends each text of what is authenticated. No name of a table or column holds it.
const END: u8 = 0;

/// Where the id of the key begins, in bytes.
pub(super) const KEY_ID_AT: usize = 1;

/// The parts of an envelope.
struct Parts<'a> {
    key_id: &'a str,
    nonce: [u8; NONCE_BYTES],
    ciphertext: &'a [u8],
}

pub(super) fn seal(key: &Key, place: &Place, secret: &[u8]) -> Result<Vec<u8>, Problem> {
    let random = random::bytes().map_err(|_| Problem::Unsealable)?;
    let nonce = *random.first_chunk().ok_or(Problem::Unsealable)?;
    let bound = bound_to(key, place);
    let payload = Payload {
        msg: secret,
        aad: &bound,
    };
    let ciphertext = cipher(key).encrypt(&XNonce::from(nonce), payload);
    let ciphertext = ciphertext.map_err(|_| Problem::Unsealable)?;
    Ok([&[VERSION], key.id().as_bytes(), &nonce, &ciphertext].concat())
}

/// None: it was altered, or belongs elsewhere.
pub(super) fn open(key: &Key, place: &Place, sealed: &[u8]) -> Option<SecretSlice<u8>> {
    let Parts {
        nonce, ciphertext, ..
    } = parts(sealed)?;
    let bound = bound_to(key, place);
    let payload = Payload {
        msg: ciphertext,
        aad: &bound,
    };
    let secret = cipher(key).decrypt(&XNonce::from(nonce), payload).ok()?;
    Some(secret.into())
}

/// The id of the key that it was sealed with. None: it is nothing of this module's.
pub(super) fn key_id(sealed: &[u8]) -> Option<&str> {
    parts(sealed).map(|parts| parts.key_id)
}

fn parts(sealed: &[u8]) -> Option<Parts<'_>> {
    let rest = sealed.strip_prefix(&[VERSION])?;
    let (key_id, rest) = rest.split_at_checked(ID_DIGITS)?;
    let (nonce, ciphertext) = rest.split_first_chunk()?;
    Some(Parts {
        key_id: str::from_utf8(key_id).ok()?,
        nonce: *nonce,
        ciphertext,
    })
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.bytes().into())
}

fn bound_to(key: &Key, place: &Place) -> Vec<u8> {
    let Place {
        column,
        row,
        organization,
    } = place;
    let mut bound = Vec::new();
    for text in [
        DOMAIN,
        &[VERSION],
        key.id().as_bytes(),
        column.table.as_bytes(),
        column.column.as_bytes(),
    ] {
        bound.extend_from_slice(text);
        bound.push(END);
    }
    bound.extend_from_slice(row.as_bytes());
    // Whoever belongs to none is told apart by the length.
    bound.extend(organization.iter().flat_map(|it| *it.as_bytes()));
    bound
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;
    use uuid::Uuid;

    use super::super::Column;
    use super::*;
    use crate::keyring::Purpose;

    /// What was sealed by one version must open with every later one.
    #[test]
    fn the_form_stays() {
        const SEALED: &str = "016263653639636365326364336130343329a93d36bac6420cd000c7ad76ae80258ea5965af42767b46c08f38dc7c613db0016ef38fb12d0ef7ccbe8b64f5411b4";
        let column = Column {
            table: "second_factors",
            column: "seed",
            row: "person_id",
            organization: None,
        };
        let key = Key::new(Purpose::Secrets, [7; 32]);
        let bytes = SEALED.as_bytes().chunks(2);
        let bytes = bytes.map(|it| u8::from_str_radix(str::from_utf8(it).unwrap(), 16).unwrap());
        let sealed: Vec<u8> = bytes.collect();
        assert_eq!(key_id(&sealed), Some(key.id()));
        let opened = open(&key, &column.of(Uuid::from_u128(1)), &sealed).unwrap();
        assert_eq!(opened.expose_secret(), b"a secret");
    }
}
