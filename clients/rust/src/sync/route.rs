//! Where a watch connects next, and after how long: pure rules over a list of
//! addresses, without a clock or a random number of their own.

use std::time::Duration;

use burgee_proto::sync::v1::GoodbyeReason;

/// The first wait is somewhere below this.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// No wait after a failure is longer.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// A stream that was live for so long has made good what came before it.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);
/// The wait after the first refusal of a key; it doubles with each.
const REFUSED_MIN: Duration = Duration::from_secs(1);
/// The longest wait after a refusal.
const REFUSED_MAX: Duration = Duration::from_secs(300);
/// The longest wait that a goodbye may ask for.
const RECONNECT_AFTER_MAX: Duration = Duration::from_secs(60);

/// Why a stream ended, as far as the next attempt depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It could not be opened, broke, fell silent, or said something wrong.
    Failed,
    /// The key opens nothing there.
    Refused,
    /// It ended in good order.
    Goodbye {
        reason: GoodbyeReason,
        reconnect_after: Duration,
    },
}

/// The way through a list of addresses: in order and without a pause, and a
/// pause with full jitter each time the list is through.
#[derive(Debug)]
pub(crate) struct Route {
    addresses: usize,
    at: usize,
    failures: u32,
    refusals: u32,
    /// Whether every address of this round has refused so far.
    only_refused: bool,
}

impl Route {
    pub(crate) fn new(addresses: usize) -> Self {
        Self {
            addresses: addresses.max(1),
            at: 0,
            failures: 0,
            refusals: 0,
            only_refused: true,
        }
    }

    /// The index of the address that is up.
    pub(crate) fn current(&self) -> usize {
        self.at
    }

    /// Takes note of how an attempt ended, and says how long to wait before the
    /// next. `live_for` is how long the stream was live, zero if it never was;
    /// `random` is uniform in 0..1.
    pub(crate) fn after(&mut self, ending: Ending, live_for: Duration, random: f64) -> Duration {
        let healthy = live_for >= HEALTHY_AFTER;
        if healthy {
            *self = Self::new(self.addresses);
        }
        match ending {
            Ending::Failed => {
                self.only_refused = false;
                // A hop that was fine until now is the first to be tried again.
                if healthy || self.advance() {
                    self.end_round(random)
                } else {
                    Duration::ZERO
                }
            }
            Ending::Refused => {
                if self.advance() {
                    self.end_round(random)
                } else {
                    Duration::ZERO
                }
            }
            Ending::Goodbye {
                reason,
                reconnect_after,
            } => {
                match reason {
                    // This hop has nothing to give for now; the next one may.
                    GoodbyeReason::Draining | GoodbyeReason::Behind => {
                        self.advance();
                    }
                    _ => self.at = 0,
                }
                reconnect_after
                    .min(RECONNECT_AFTER_MAX)
                    .max(self.backoff(random))
            }
        }
    }

    /// Starts over: what was known about the addresses no longer holds, such as
    /// when the key was replaced.
    pub(crate) fn restart(&mut self) {
        *self = Self::new(self.addresses);
    }

    /// Moves to the next address, and says whether that ended the round.
    fn advance(&mut self) -> bool {
        self.at = (self.at + 1) % self.addresses;
        self.at == 0
    }

    fn end_round(&mut self, random: f64) -> Duration {
        // Only a refusal by all is worth the long waits: the others may be back
        // in a moment.
        if std::mem::replace(&mut self.only_refused, true) {
            let wait = doubled(REFUSED_MIN, self.refusals, REFUSED_MAX);
            self.refusals = self.refusals.saturating_add(1);
            wait
        } else {
            self.refusals = 0;
            self.backoff(random)
        }
    }

    /// Full jitter: uniform between nothing and a bound that doubles.
    fn backoff(&mut self, random: f64) -> Duration {
        let bound = doubled(BACKOFF_MIN, self.failures, BACKOFF_MAX);
        self.failures = self.failures.saturating_add(1);
        bound.mul_f64(random.clamp(0.0, 1.0))
    }
}

fn doubled(first: Duration, times: u32, maximum: Duration) -> Duration {
    first
        .saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX))
        .min(maximum)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER_LIVE: Duration = Duration::ZERO;
    const MOST: f64 = 1.0;

    fn seconds(route: &mut Route, ending: Ending, times: usize) -> Vec<f64> {
        (0..times)
            .map(|_| route.after(ending, NEVER_LIVE, MOST).as_secs_f64())
            .collect()
    }

    #[test]
    fn failures_double_the_bound_up_to_thirty_seconds() {
        let mut route = Route::new(1);
        assert_eq!(
            seconds(&mut route, Ending::Failed, 11),
            [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]
        );
        for _ in 0..100 {
            assert!(route.after(Ending::Failed, NEVER_LIVE, MOST) <= BACKOFF_MAX);
        }
        assert_eq!(
            route.after(Ending::Failed, NEVER_LIVE, 0.0),
            Duration::ZERO,
            "full jitter reaches down to nothing"
        );
    }

    #[test]
    fn a_minute_of_health_resets_the_bound() {
        let mut route = Route::new(1);
        seconds(&mut route, Ending::Failed, 8);
        let live_for = HEALTHY_AFTER - Duration::from_millis(1);
        assert!(route.after(Ending::Failed, live_for, MOST) > BACKOFF_MIN);
        assert_eq!(
            route.after(Ending::Failed, HEALTHY_AFTER, MOST),
            BACKOFF_MIN
        );
    }

    #[test]
    fn refusals_double_from_one_second_to_five_minutes() {
        let mut route = Route::new(1);
        assert_eq!(
            seconds(&mut route, Ending::Refused, 10),
            [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0]
        );
    }

    #[test]
    fn addresses_are_tried_in_order_with_a_pause_after_the_last() {
        let mut route = Route::new(3);
        let mut seen = Vec::new();
        for _ in 0..6 {
            let at = route.current();
            seen.push((at, route.after(Ending::Failed, NEVER_LIVE, MOST)));
        }
        let zero = Duration::ZERO;
        assert_eq!(
            seen,
            [
                (0, zero),
                (1, zero),
                (2, BACKOFF_MIN),
                (0, zero),
                (1, zero),
                (2, BACKOFF_MIN * 2)
            ]
        );
    }

    #[test]
    fn one_refusal_among_failures_does_not_slow_the_round() {
        let mut route = Route::new(2);
        route.after(Ending::Refused, NEVER_LIVE, MOST);
        assert_eq!(route.after(Ending::Failed, NEVER_LIVE, MOST), BACKOFF_MIN);
        route.after(Ending::Failed, NEVER_LIVE, MOST);
        assert_eq!(
            route.after(Ending::Refused, NEVER_LIVE, MOST),
            BACKOFF_MIN * 2
        );
    }

    #[test]
    fn a_healthy_stream_that_broke_is_tried_again_at_the_first_address() {
        let mut route = Route::new(2);
        route.after(Ending::Failed, NEVER_LIVE, MOST);
        assert_eq!(route.current(), 1);
        route.after(Ending::Failed, HEALTHY_AFTER, MOST);
        assert_eq!(route.current(), 0);
    }

    #[test]
    fn a_goodbye_says_when_to_return_within_a_limit() {
        let goodbye = |reason, reconnect_after| Ending::Goodbye {
            reason,
            reconnect_after,
        };
        let mut route = Route::new(2);
        let wait = Duration::from_secs(7);
        assert_eq!(
            route.after(goodbye(GoodbyeReason::Rotate, wait), HEALTHY_AFTER, MOST),
            wait
        );
        assert_eq!(route.current(), 0);
        route.after(goodbye(GoodbyeReason::Behind, wait), NEVER_LIVE, MOST);
        assert_eq!(route.current(), 1, "another hop may be ahead");
        assert_eq!(
            route.after(
                goodbye(GoodbyeReason::Rotate, Duration::from_secs(1 << 40)),
                NEVER_LIVE,
                MOST
            ),
            RECONNECT_AFTER_MAX
        );
    }

    #[test]
    fn a_hop_that_says_goodbye_at_once_every_time_is_not_hammered() {
        let mut route = Route::new(1);
        let goodbye = Ending::Goodbye {
            reason: GoodbyeReason::Draining,
            reconnect_after: Duration::ZERO,
        };
        assert_eq!(seconds(&mut route, goodbye, 4), [0.1, 0.2, 0.4, 0.8]);
    }
}
