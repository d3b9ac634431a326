//! From a salt and a key text to a bucket: an integer from 0 to 99999.
//!
//! The hashes are fed piece by piece, so that bucketing allocates nothing.

use burgee_proto::types::v1::Hash;
use sha1::{Digest as _, Sha1};

/// The number of buckets. Weights are parts of it: 1/1000 % each.
pub const BUCKETS: u32 = 100_000;

/// Unleash's variants are hashed apart from its strategies by this seed.
const UNLEASH_VARIANT_SEED: u32 = 86_028_157;

/// LaunchDarkly takes the first 15 hexadecimal digits of a SHA-1: 60 bits.
const LAUNCHDARKLY_MAX: u64 = (1 << 60) - 1;

/// The bucket of a value, 0 to 99999.
///
/// | hash | text | bucket |
/// |---|---|---|
/// | BURGEE, unset | `salt:value` | MurmurHash3_x86_32 of the CBOR text, scaled |
/// | UNLEASH | `salt:value` | MurmurHash3_x86_32 in 100 steps |
/// | UNLEASH_VARIANT | `salt:value` | MurmurHash3_x86_32 with a seed, in 1,000 steps |
/// | LAUNCHDARKLY | `salt.value` | 60 bits of SHA-1, scaled |
pub fn bucket(hash: Hash, salt: &str, value: &str) -> u32 {
    match hash {
        Hash::Unspecified | Hash::Burgee => scale(hash_burgee(salt, value)),
        Hash::Unleash => hash_unleash(0, salt, value) % 100 * 1000,
        Hash::UnleashVariant => hash_unleash(UNLEASH_VARIANT_SEED, salt, value) % 1000 * 100,
        Hash::Launchdarkly => scale_launchdarkly(hash_launchdarkly(salt, value)),
    }
}

/// MurmurHash3_x86_32 (Austin Appleby, public domain).
pub fn murmur3_x86_32(seed: u32, bytes: &[u8]) -> u32 {
    let mut hash = Murmur3::new(seed);
    hash.write(bytes);
    hash.finish()
}

/// Which of the 256 parts of a long segment holds a key: the lowest byte of
/// MurmurHash3_x86_32(seed 0, key).
pub fn segment_part(key: &str) -> u8 {
    let [low, ..] = murmur3_x86_32(0, key.as_bytes()).to_le_bytes();
    low
}

/// (h × 100000) >> 32.
fn scale(hash: u32) -> u32 {
    let scaled = (u64::from(hash) * u64::from(BUCKETS)) >> 32;
    // Below BUCKETS, as hash is below 2^32.
    u32::try_from(scaled).unwrap_or(BUCKETS - 1)
}

fn scale_launchdarkly(hash: u64) -> u32 {
    let scaled = u128::from(hash) * u128::from(BUCKETS) / u128::from(LAUNCHDARKLY_MAX);
    u32::try_from(scaled).map_or(BUCKETS - 1, |bucket| bucket.min(BUCKETS - 1))
}

/// Murmur over the CBOR form of the text `salt:value`, as flagd's third
/// `fractional` hashes.
fn hash_burgee(salt: &str, value: &str) -> u32 {
    let mut hash = Murmur3::new(0);
    write_cbor_text_head(&mut hash, salt.len() + 1 + value.len());
    write_joined(&mut hash, salt, value);
    hash.finish()
}

fn hash_unleash(seed: u32, salt: &str, value: &str) -> u32 {
    let mut hash = Murmur3::new(seed);
    write_joined(&mut hash, salt, value);
    hash.finish()
}

/// The first 15 hexadecimal digits of SHA-1(`salt.value`).
fn hash_launchdarkly(salt: &str, value: &str) -> u64 {
    let mut hash = Sha1::new();
    hash.update(salt.as_bytes());
    hash.update(b".");
    hash.update(value.as_bytes());
    let digest: [u8; 20] = hash.finalize().into();
    let first_eight = digest.first_chunk().copied().unwrap_or_default();
    u64::from_be_bytes(first_eight) >> 4
}

fn write_joined(hash: &mut Murmur3, salt: &str, value: &str) {
    hash.write(salt.as_bytes());
    hash.write(b":");
    hash.write(value.as_bytes());
}

/// The head of a CBOR text of some bytes (RFC 8949, major type 3).
fn write_cbor_text_head(hash: &mut Murmur3, length: usize) {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let [_, _, high, low] = length.to_be_bytes();
    match length {
        0..24 => hash.write(&[0x60 | low]),
        24..256 => hash.write(&[0x78, low]),
        256..65_536 => hash.write(&[0x79, high, low]),
        _ => {
            hash.write(&[0x7a]);
            hash.write(&length.to_be_bytes());
        }
    }
}

/// MurmurHash3_x86_32, fed piece by piece.
struct Murmur3 {
    hash: u32,
    /// Up to three bytes that do not fill a word yet, little-endian.
    pending: u32,
    pending_bits: u32,
    length: u32,
}

impl Murmur3 {
    fn new(seed: u32) -> Self {
        Self {
            hash: seed,
            pending: 0,
            pending_bits: 0,
            length: 0,
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.write_bits(u32::from_le_bytes(*word), u32::BITS);
        }
        for byte in rest {
            self.write_bits(u32::from(*byte), u8::BITS);
        }
        // The length is part of the hash modulo 2^32.
        self.length = self.length.wrapping_add(bytes.len() as u32);
    }

    fn write_bits(&mut self, bits: u32, count: u32) {
        let joined = u64::from(self.pending) | u64::from(bits) << self.pending_bits;
        let [low, high] = [joined as u32, (joined >> u32::BITS) as u32];
        self.pending_bits += count;
        if self.pending_bits < u32::BITS {
            self.pending = low;
            return;
        }
        self.hash ^= Self::mix(low);
        self.hash = self.hash.rotate_left(13);
        self.hash = self.hash.wrapping_mul(5).wrapping_add(0xe654_6b64);
        self.pending = high;
        self.pending_bits -= u32::BITS;
    }

    fn finish(self) -> u32 {
        // Mixing no pending byte gives zero.
        let mut hash = self.hash ^ Self::mix(self.pending);
        hash ^= self.length;
        hash ^= hash >> 16;
        hash = hash.wrapping_mul(0x85eb_ca6b);
        hash ^= hash >> 13;
        hash = hash.wrapping_mul(0xc2b2_ae35);
        hash ^ (hash >> 16)
    }

    fn mix(block: u32) -> u32 {
        block
            .wrapping_mul(0xcc9e_2d51)
            .rotate_left(15)
            .wrapping_mul(0x1b87_3593)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burgee_gives_the_golden_values() {
        for (salt, value, hash, wanted) in [
            ("salt", "user-1", 0xab30_56be, 66870),
            ("salt", "user-42", 0x9c11_3a97, 60963),
            ("s", "é", 0xa986_36dd, 66220),
            ("s", "日本", 0x38c4_fd63, 22175),
            (
                "f1",
                "3f2b8c1e-0000-4000-8000-000000000001",
                0x5826_bfd5,
                34434,
            ),
            ("checkout", "alice", 0x3772_0a40, 21658),
            ("checkout", "bob", 0x6f9d_c651, 43600),
            (&"x".repeat(255), "y", 0x9e08_f523, 61732),
            ("k", &"x".repeat(70_000), 0x04b6_d248, 1841),
        ] {
            assert_eq!(hash_burgee(salt, value), hash, "{salt}:{value}");
            assert_eq!(bucket(Hash::Burgee, salt, value), wanted);
            assert_eq!(bucket(Hash::Unspecified, salt, value), wanted);
        }
    }

    #[test]
    fn unleash_gives_the_golden_values() {
        for (salt, value, hash, wanted) in [
            ("gr1", "123", 0x2017_a7b4, 72000),
            ("checkout", "alice", 0xbf71_e731, 9000),
            ("gruppe-é", "日本", 0xd9e2_0a4c, 44000),
        ] {
            assert_eq!(hash_unleash(0, salt, value), hash);
            assert_eq!(bucket(Hash::Unleash, salt, value), wanted);
        }
        for (salt, value, hash, wanted) in [
            ("gr1", "123", 0xf2f9_5a13, 79500),
            ("checkout", "alice", 0x6eca_8e5e, 47800),
            ("gruppe-é", "日本", 0x9c8d_6469, 97700),
        ] {
            assert_eq!(hash_unleash(UNLEASH_VARIANT_SEED, salt, value), hash);
            assert_eq!(bucket(Hash::UnleashVariant, salt, value), wanted);
        }
    }

    #[test]
    fn launchdarkly_gives_the_golden_values() {
        for (salt, value, hash, wanted) in [
            ("hashKey.saltyA", "userKeyA", 0x06be_c658_111d_6ad9, 42157),
            ("61", "userKeyA", 0x0191_7519_6da2_6483, 9801),
            ("checkout.é", "日本", 0x062b_b67b_dd04_e2f9, 38567),
        ] {
            assert_eq!(hash_launchdarkly(salt, value), hash);
            assert_eq!(bucket(Hash::Launchdarkly, salt, value), wanted);
        }
        assert_eq!(scale_launchdarkly(LAUNCHDARKLY_MAX), BUCKETS - 1);
    }

    #[test]
    fn murmur_gives_the_published_values() {
        assert_eq!(murmur3_x86_32(0, b""), 0);
        assert_eq!(murmur3_x86_32(1, b""), 0x514e_28b7);
        assert_eq!(murmur3_x86_32(0x9747_b28c, b"aaaa"), 0x5a97_808a);
        assert_eq!(murmur3_x86_32(0x9747_b28c, b"aaa"), 0x283e_0130);
        assert_eq!(murmur3_x86_32(0, b"test"), 0xba6b_d213);
    }

    #[test]
    fn murmur_is_the_same_however_it_is_fed() {
        let text = b"eleven byte";
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let mut hash = Murmur3::new(7);
                hash.write(&text[..first]);
                hash.write(&text[first..second]);
                hash.write(&text[second..]);
                assert_eq!(hash.finish(), murmur3_x86_32(7, text), "{first}, {second}");
            }
        }
    }
}
