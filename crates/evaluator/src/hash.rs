//! The state hash: how two hops find out that they hold the same ruleset.
//!
//! Each item has a digest; the digests of all items are combined with XOR, so
//! that a change costs two digests and not the whole ruleset; and the
//! combination is hashed once more with environment and position.

use std::fmt;

use burgee_proto::sync::v1::Item;
use burgee_proto::types::v1::Position;
use sha2::{Digest as _, Sha256};

/// Bytes of an item digest, of the combination, and of a state hash.
pub const HASH_BYTES: usize = 16;

/// The XOR over the digests of a set of things, items above all. Starts as
/// zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Digest([u8; HASH_BYTES]);

impl Digest {
    /// The digest of no item: zeros.
    pub const fn new() -> Self {
        Self([0; HASH_BYTES])
    }

    /// The digest of one item: the first 16 bytes of
    /// SHA-256(kind byte ‖ key ‖ 0x00 ‖ level byte ‖ body).
    pub fn of(item: &Item) -> Self {
        let mut hash = Sha256::new();
        hash.update([low_byte(item.kind.to_be_bytes())]);
        hash.update(item.key.as_bytes());
        hash.update([0, low_byte(item.level.to_be_bytes())]);
        hash.update(&item.body);
        Self(first_bytes(hash))
    }

    /// The digest of one encoded evaluation, or of anything else that is
    /// compared as bytes: their SHA-256's first 16 bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(first_bytes(Sha256::new_with_prefix(bytes)))
    }

    /// The bytes that are compared.
    pub const fn to_bytes(self) -> [u8; HASH_BYTES] {
        self.0
    }

    /// Adds an item, or takes it away again: XOR is its own inverse.
    pub fn toggle(&mut self, item: &Item) {
        self.combine(&Self::of(item));
    }

    /// Adds (or takes away) everything that another digest covers.
    pub fn combine(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine ^= theirs;
        }
    }
}

/// As hexadecimal digits.
impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// What sender and receiver compare: the first 16 bytes of
/// SHA-256(environment uid ‖ epoch ‖ revision ‖ X), integers as 8 bytes
/// big-endian, X the combined digest of the items.
pub fn state_hash(environment: &str, position: Position, items: &Digest) -> [u8; HASH_BYTES] {
    let mut hash = Sha256::new();
    hash.update(environment.as_bytes());
    hash.update(position.epoch.to_be_bytes());
    hash.update(position.revision.to_be_bytes());
    hash.update(items.0);
    first_bytes(hash)
}

/// Kinds and levels are one byte in the hash; the receiver refuses others.
fn low_byte([.., low]: [u8; 4]) -> u8 {
    low
}

pub(crate) fn first_bytes(hash: Sha256) -> [u8; HASH_BYTES] {
    let whole: [u8; 32] = hash.finalize().into();
    let mut first = [0; HASH_BYTES];
    for (to, from) in first.iter_mut().zip(whole) {
        *to = from;
    }
    first
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const ENVIRONMENT: &str = "3f2b8c1e-0000-4000-8000-000000000001";

    fn item(kind: i32, key: &str, body: &'static [u8]) -> Item {
        Item {
            kind,
            key: key.to_owned(),
            revision: 7,
            level: 1,
            body: Bytes::from_static(body),
        }
    }

    fn hex(bytes: [u8; HASH_BYTES]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_hash_of_an_empty_ruleset_is_the_one_that_the_formula_gives() {
        // printf '%s' <uid> | cat - <(16 bytes: 1, 2) <(16 zeros) | sha256sum
        let position = Position {
            epoch: 1,
            revision: 2,
        };
        let hash = state_hash(ENVIRONMENT, position, &Digest::new());
        assert_eq!(hex(hash), "c50da6329773d9af9418fb6ef1e0aba0");
    }

    #[test]
    fn the_digest_of_an_item_is_the_one_that_the_formula_gives() {
        // printf '\x01checkout\x00\x01body' | sha256sum
        assert_eq!(
            hex(Digest::of(&item(1, "checkout", b"body")).0),
            "34ea8ef2e7fa1c89f795449a68da47d6"
        );
    }

    #[test]
    fn the_order_of_items_means_nothing_and_a_second_toggle_undoes() {
        let (one, two) = (item(1, "a", b"x"), item(2, "a", b"x"));
        let mut forth = Digest::new();
        forth.toggle(&one);
        forth.toggle(&two);
        let mut back = Digest::new();
        back.toggle(&two);
        back.toggle(&one);
        assert_eq!(forth, back);
        back.toggle(&one);
        back.toggle(&two);
        assert_eq!(back, Digest::new());
    }

    #[test]
    fn the_revision_of_an_item_is_not_hashed() {
        let one = item(1, "a", b"x");
        let later = Item {
            revision: 8,
            ..one.clone()
        };
        assert_eq!(Digest::of(&one), Digest::of(&later));
    }
}
