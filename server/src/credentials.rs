//! What tokens, API keys and links have in common: a secret that one answer shows, and no other;
//! and, of those that can be rotated, a successor while the old one still works.

use std::time::Duration;

use burgee_hub::credential::Secret;
use sqlx::types::time::OffsetDateTime;

use crate::change::Change;
use crate::error::Error;

/// How much of a secret is kept to recognise it by, in bytes: its kind and five of its 43
/// random digits.
const PREFIX: usize = 16;
/// How long what is rotated still works, if nothing is said.
const OVERLAP_DEFAULT: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest that it may.
const OVERLAP_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Implements [`crate::change::Mutation::conceal`] for an answer with a secret.
macro_rules! conceal_secret {
    ($response:ty) => {
        fn conceal(response: &mut $response) {
            response.secret.clear();
            response.secret_already_shown = true;
        }
    };
}
pub(crate) use conceal_secret;

impl Change {
    /// A secret for the answer that shows it. Empty if the change is only tried: it would open
    /// nothing.
    #[must_use]
    pub fn shown(&self, secret: &Secret) -> String {
        if self.common.validate_only {
            String::new()
        } else {
            secret.expose().to_owned()
        }
    }
}

/// What is kept of a secret to recognise it by.
#[must_use]
pub fn prefix(secret: &Secret) -> String {
    secret.expose().chars().take(PREFIX).collect()
}

/// How long what is rotated still works.
///
/// # Errors
/// [`Error::Invalid`] beyond 30 days.
pub fn overlap(given: Option<prost_types::Duration>) -> Result<Duration, Error> {
    let Some(given) = given else {
        return Ok(OVERLAP_DEFAULT);
    };
    let given = Duration::try_from(given).ok();
    let given = given.filter(|overlap| *overlap <= OVERLAP_MAX);
    given.ok_or_else(|| Error::invalid("overlap", "give 0 to 30 days"))
}

/// When a successor ends that is made now: it lives as long as the old one was meant to. None:
/// never, or later than a timestamp can say.
#[must_use]
pub fn successors_end(
    created_at: OffsetDateTime,
    expires_at: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Option<OffsetDateTime> {
    now.checked_add(expires_at? - created_at)
}

/// When the old one ends: after the overlap, or sooner if it was to end sooner.
#[must_use]
pub fn end_of_replaced(
    expires_at: Option<OffsetDateTime>,
    overlap: Duration,
    now: OffsetDateTime,
) -> OffsetDateTime {
    let last = now + overlap;
    expires_at.map_or(last, |end| end.min(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    #[test]
    fn a_successor_lives_as_long_as_the_old_one_was_meant_to() {
        let made = OffsetDateTime::UNIX_EPOCH;
        let now = made + 5 * HOUR;
        let end = |lifetime: Option<Duration>| {
            successors_end(made, lifetime.map(|lifetime| made + lifetime), now)
        };
        assert_eq!(end(Some(8 * HOUR)), Some(now + 8 * HOUR));
        assert_eq!(end(None), None);
        // The end of the year 9999.
        let last = OffsetDateTime::from_unix_timestamp(253_402_300_799).unwrap();
        assert_eq!(successors_end(made, Some(last), now), None);
    }

    #[test]
    fn the_old_one_ends_after_the_overlap_or_when_it_would_have() {
        let now = OffsetDateTime::UNIX_EPOCH;
        assert_eq!(end_of_replaced(None, HOUR, now), now + HOUR);
        let later = now + 2 * HOUR;
        assert_eq!(end_of_replaced(Some(later), HOUR, now), now + HOUR);
        let sooner = now + HOUR / 2;
        assert_eq!(end_of_replaced(Some(sooner), HOUR, now), sooner);
    }

    #[test]
    fn an_overlap_is_a_day_if_nothing_is_said_and_a_month_at_most() {
        let given = |seconds| overlap(Some(prost_types::Duration { seconds, nanos: 0 }));
        assert_eq!(overlap(None).unwrap(), 24 * HOUR);
        assert_eq!(given(0).unwrap(), Duration::ZERO);
        assert_eq!(given(30 * 24 * 60 * 60).unwrap(), OVERLAP_MAX);
        for seconds in [-1, 30 * 24 * 60 * 60 + 1] {
            assert!(given(seconds).is_err(), "{seconds}");
        }
    }
}
