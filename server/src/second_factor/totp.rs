//! One-time codes by time, as RFC 6238 and RFC 4226 say. Apps know SHA-1, six digits and 30 s,
//! and few of them anything else; what breaks SHA-1 (collisions) is no help against an HMAC.

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use sha1::Sha1;
use sqlx::types::time::OffsetDateTime;
use subtle::ConstantTimeEq as _;

use crate::error::Error;

/// Digits of a code.
pub(super) const DIGITS: usize = 6;
/// How long a code is shown.
pub(super) const STEP_SECONDS: i64 = 30;
/// How many steps the app's clock may be ahead or behind (RFC 6238, 5.2).
const SKEW: i64 = 1;
/// As long as the hash (RFC 4226, 4).
const SEED_BYTES: usize = 20;

/// A seed of random bytes.
pub(super) fn seed(random: [u8; 32]) -> SecretSlice<u8> {
    let bytes: Vec<u8> = random.into_iter().take(SEED_BYTES).collect();
    bytes.into()
}

/// The step whose code these digits are, about `now`, and after one that was accepted. The
/// first, if it is the code of several.
pub(super) fn step_of(
    seed: &SecretSlice<u8>,
    digits: &SecretString,
    now: OffsetDateTime,
    after: Option<i64>,
) -> Result<Option<i64>, Error> {
    let current = now.unix_timestamp().div_euclid(STEP_SECONDS);
    let mut found = None;
    // All of them, so that the time that it takes says nothing.
    for step in current - SKEW..=current + SKEW {
        let code = code_of(seed, step)?;
        let same = bool::from(code.as_bytes().ct_eq(digits.expose_secret().as_bytes()));
        let fresh = after.is_none_or(|after| step > after);
        found = found.or((same && fresh).then_some(step));
    }
    Ok(found)
}

/// RFC 4226, 5.3.
fn code_of(seed: &SecretSlice<u8>, step: i64) -> Result<String, Error> {
    let mut mac = Hmac::<Sha1>::new_from_slice(seed.expose_secret()).map_err(Error::internal)?;
    mac.update(&step.to_be_bytes());
    let mac: [u8; 20] = mac.finalize().into_bytes().into();
    let [.., last] = mac;
    let offset = usize::from(last & 0xf);
    let bytes = mac.get(offset..).and_then(|rest| rest.first_chunk());
    let bytes = bytes.ok_or_else(|| Error::internal("a digest is too short"))?;
    let number = u32::from_be_bytes(*bytes) & 0x7fff_ffff;
    Ok(format!("{:0DIGITS$}", number % 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc_seed() -> SecretSlice<u8> {
        b"12345678901234567890".to_vec().into()
    }

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(seconds).unwrap()
    }

    fn step(digits: &str, seconds: i64, after: Option<i64>) -> Option<i64> {
        step_of(&rfc_seed(), &digits.into(), at(seconds), after).unwrap()
    }

    /// RFC 4226, Appendix D.
    #[test]
    fn codes_are_those_of_rfc_4226() {
        let expected = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
            "399871", "520489",
        ];
        for (step, expected) in (0..).zip(expected) {
            assert_eq!(code_of(&rfc_seed(), step).unwrap(), expected);
        }
    }

    /// RFC 6238, Appendix B: the last six of its eight digits.
    #[test]
    fn codes_are_those_of_rfc_6238() {
        for (seconds, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(step(expected, seconds, None), Some(seconds / 30));
        }
    }

    #[test]
    fn a_clock_may_be_one_step_off_and_no_more() {
        // The code of step 37037036.
        let digits = "081804";
        for (seconds, good) in [
            (1_111_111_049, false),
            (1_111_111_050, true),
            (1_111_111_109, true),
            (1_111_111_139, true),
            (1_111_111_140, false),
        ] {
            assert_eq!(step(digits, seconds, None).is_some(), good, "{seconds}");
        }
        assert_eq!(step("081805", 1_111_111_109, None), None);
    }

    #[test]
    fn no_step_is_accepted_that_is_not_after_the_last() {
        let (digits, seconds, step_of_it) = ("081804", 1_111_111_109, 37_037_036);
        assert_eq!(
            step(digits, seconds, Some(step_of_it - 1)),
            Some(step_of_it)
        );
        assert_eq!(step(digits, seconds, Some(step_of_it)), None);
        assert_eq!(step(digits, seconds, Some(step_of_it + 1)), None);
    }
}
