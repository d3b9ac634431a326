//! What a credential looks like: `burgee_srv_` (or another kind's prefix), 43
//! base-62 digits of 256 random bits, and 6 base-62 digits of the CRC-32 over
//! all that precedes, so that secret scanners can tell a credential from its
//! look-alikes, and a typing error is found without a look-up. Only the SHA-256
//! is ever stored.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// Random bytes in a credential.
pub const RANDOM_BYTES: usize = 32;

/// Bytes of a credential's SHA-256.
pub const HASH_BYTES: usize = 32;

/// Bytes of every prefix, such as `burgee_srv_`.
const PREFIX_BYTES: usize = 11;

/// What a test key may call beside what a server key may: to set the flags of its environment.
/// A server serves these, and a relay passes them on.
pub const TEST_KEY_METHODS: [&str; 4] = [
    "/burgee.admin.v1.FlagService/SetFlagEnabled",
    "/burgee.admin.v1.FlagService/SetRollout",
    "/burgee.admin.v1.FlagService/AddTargetKeys",
    "/burgee.admin.v1.FlagService/RemoveTargetKeys",
];

/// Enough for 256 bits: 62^43 > 2^256.
const RANDOM_DIGITS: usize = 43;

/// Enough for 32 bits: 62^6 > 2^32.
const CHECKSUM_DIGITS: usize = 6;

/// Digits in order of their value.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What a credential is for. The prefix tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `burgee_srv_…`: sync, evaluation and telemetry of one environment.
    Server,
    /// `burgee_pub_…`: evaluation of client-visible flags. Public by nature.
    Client,
    /// `burgee_rly_…`: sync of environments with their access keys.
    Relay,
    /// `burgee_tst_…`: a server key that may also set flags.
    Test,
    /// `burgee_svc_…`: a service account's token for the control plane.
    ServiceAccount,
    /// `burgee_pat_…`: a person's token for the control plane.
    Personal,
    /// `burgee_ses_…`: a signed-in person.
    Session,
    /// `burgee_lnk_…`: the secret of a one-time link, which is given in a
    /// request and never as a credential.
    Link,
    /// `burgee_flw_…`: what ties a sign-in that is under way to its browser,
    /// likewise.
    Flow,
}

/// A whole credential. Neither printed nor logged by accident: only
/// [`expose`](Self::expose) shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// The text is no credential: another form, an unknown prefix, or a checksum
/// that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a Burgee credential")]
pub struct Malformed;

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Server,
        Self::Client,
        Self::Relay,
        Self::Test,
        Self::ServiceAccount,
        Self::Personal,
        Self::Session,
        Self::Link,
        Self::Flow,
    ];

    /// What every credential of this kind begins with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Server => "burgee_srv_",
            Self::Client => "burgee_pub_",
            Self::Relay => "burgee_rly_",
            Self::Test => "burgee_tst_",
            Self::ServiceAccount => "burgee_svc_",
            Self::Personal => "burgee_pat_",
            Self::Session => "burgee_ses_",
            Self::Link => "burgee_lnk_",
            Self::Flow => "burgee_flw_",
        }
    }
}

impl Secret {
    /// The credential itself, to be shown once to whom it belongs.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    pub fn hash(&self) -> [u8; HASH_BYTES] {
        hash(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// Makes a credential of 256 random bits, which must come from the operating
/// system's generator.
pub fn generate(kind: Kind, random: [u8; RANDOM_BYTES]) -> Secret {
    let mut text = String::with_capacity(PREFIX_BYTES + RANDOM_DIGITS + CHECKSUM_DIGITS);
    text.push_str(kind.prefix());
    push_digits(&mut text, &random, RANDOM_DIGITS);
    let checksum = crc32fast::hash(text.as_bytes()).to_be_bytes();
    push_digits(&mut text, &checksum, CHECKSUM_DIGITS);
    Secret(text)
}

/// What kind of credential a text is. Whether it is anybody's is another
/// question.
///
/// # Errors
///
/// [`Malformed`].
pub fn parse(text: &str) -> Result<Kind, Malformed> {
    let (prefix, digits) = text.split_at_checked(PREFIX_BYTES).ok_or(Malformed)?;
    let kind = Kind::ALL
        .into_iter()
        .find(|kind| kind.prefix() == prefix)
        .ok_or(Malformed)?;
    let well_formed = digits.len() == RANDOM_DIGITS + CHECKSUM_DIGITS
        && digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !well_formed {
        return Err(Malformed);
    }
    let (body, checksum) = text
        .split_at_checked(PREFIX_BYTES + RANDOM_DIGITS)
        .ok_or(Malformed)?;
    let mut expected = String::with_capacity(CHECKSUM_DIGITS);
    let wanted = crc32fast::hash(body.as_bytes()).to_be_bytes();
    push_digits(&mut expected, &wanted, CHECKSUM_DIGITS);
    if checksum == expected {
        Ok(kind)
    } else {
        Err(Malformed)
    }
}

/// What is stored of a credential, and what it is looked up by: the SHA-256 of
/// its whole text.
pub fn hash(text: &str) -> [u8; HASH_BYTES] {
    Sha256::digest(text.as_bytes()).into()
}

/// Appends a big-endian number as base-62 digits, the highest first, padded
/// with zeros.
fn push_digits(text: &mut String, number: &[u8], digits: usize) {
    let mut number = number.to_vec();
    let mut reversed = Vec::with_capacity(digits);
    for _ in 0..digits {
        let mut remainder = 0_u32;
        for byte in &mut number {
            let value = (remainder << 8) | u32::from(*byte);
            // Below 256, as the remainder is below 62.
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            remainder = value % 62;
        }
        reversed.push(remainder);
    }
    text.extend(reversed.into_iter().rev().map(|digit| {
        let digit = usize::try_from(digit).unwrap_or_default();
        ALPHABET.get(digit).copied().map_or('0', char::from)
    }));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_kind() -> impl Strategy<Value = Kind> {
        proptest::sample::select(Kind::ALL.to_vec())
    }

    #[test]
    fn a_credential_has_the_published_form() {
        let secret = generate(Kind::Server, [0; RANDOM_BYTES]);
        assert_eq!(secret.expose().len(), 60);
        assert!(
            secret
                .expose()
                .starts_with(&format!("burgee_srv_{}", "0".repeat(43)))
        );
        // Computed independently, in Python.
        let highest = generate(Kind::Relay, [0xff; RANDOM_BYTES]);
        assert_eq!(
            highest.expose(),
            "burgee_rly_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp11vI9oD"
        );
        assert_eq!(format!("{highest:?}"), "Secret(…)");
    }

    proptest! {
        #[test]
        fn what_was_generated_parses_as_its_kind(
            kind in any_kind(),
            random in any::<[u8; RANDOM_BYTES]>(),
        ) {
            let secret = generate(kind, random);
            prop_assert_eq!(parse(secret.expose()), Ok(kind));
            prop_assert_eq!(secret.expose().len(), PREFIX_BYTES + RANDOM_DIGITS + CHECKSUM_DIGITS);
            prop_assert_eq!(secret.hash(), hash(secret.expose()));
        }

        #[test]
        fn different_bits_give_different_credentials(
            one in any::<[u8; RANDOM_BYTES]>(),
            other in any::<[u8; RANDOM_BYTES]>(),
        ) {
            prop_assume!(one != other);
            prop_assert_ne!(generate(Kind::Server, one), generate(Kind::Server, other));
        }

        #[test]
        fn a_single_wrong_character_is_found(
            kind in any_kind(),
            random in any::<[u8; RANDOM_BYTES]>(),
            index in 0_usize..60,
            character in proptest::char::range('!', '~'),
        ) {
            let text = generate(kind, random).expose().to_owned();
            let mut wrong: Vec<char> = text.chars().collect();
            prop_assume!(wrong[index] != character);
            wrong[index] = character;
            prop_assert_eq!(parse(&wrong.into_iter().collect::<String>()), Err(Malformed));
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
