//! What was refused, for the log: a line now and then, however many there are.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Limit;

/// The log is told of each limit no more often.
const LINE_EACH: Duration = Duration::from_secs(10);
/// As many as there are limits.
const LIMITS: usize = 6;

/// Refusals that the log has not been told of.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    by_limit: Mutex<[Untold; LIMITS]>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Untold {
    calls: u64,
    told_at: Option<Instant>,
}

impl Refusals {
    /// A call was refused, from an address if that is what is counted: one that many
    /// have in common is a proxy's, which should be trusted.
    pub(super) fn note(&self, limit: Limit, address: Option<IpAddr>, now: Instant) {
        if let Some(calls) = self.due(limit, now) {
            let (limit, last) = (limit.name(), address.map(tracing::field::display));
            tracing::warn!(limit, calls, last, "calls over a rate limit were refused");
        }
    }

    /// Counts one. Some: so many are worth a line now.
    fn due(&self, limit: Limit, now: Instant) -> Option<u64> {
        let mut by_limit = self.by_limit.lock().unwrap_or_else(PoisonError::into_inner);
        let untold = by_limit.get_mut(limit as usize)?;
        untold.calls += 1;
        let told = untold.told_at;
        if told.is_some_and(|told| now.saturating_duration_since(told) < LINE_EACH) {
            return None;
        }
        untold.told_at = Some(now);
        Some(std::mem::take(&mut untold.calls))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_line_now_and_then() {
        let refusals = Refusals::default();
        let began = Instant::now();
        assert_eq!(refusals.due(Limit::ClientAddress, began), Some(1));
        for _ in 0..999 {
            assert_eq!(refusals.due(Limit::ClientAddress, began), None);
        }
        assert_eq!(refusals.due(Limit::Credential, began), Some(1));
        let later = began + LINE_EACH;
        assert_eq!(refusals.due(Limit::ClientAddress, later), Some(1_000));
    }
}
