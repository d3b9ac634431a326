//! When a stream gives a sign of life, and when it ends.

use std::time::Duration;

use burgee_proto::sync::v1::GoodbyeReason;
use tokio::time::Instant;

use crate::config::HubConfig;

/// How much signs of life are spread, so that streams that began together do
/// not speak together for ever.
const BOOKMARK_SPREAD: f64 = 0.2;

/// How much the ends of streams are spread.
const LIFETIME_SPREAD: f64 = 0.25;

/// After an ordinary goodbye, receivers come back within this time.
const RECONNECT_SPREAD: Duration = Duration::from_secs(1);

/// Another hop may be ahead of this one; this one needs a moment more.
const RECONNECT_BEHIND: Duration = Duration::from_secs(2);

/// Coming back with the same key leads nowhere soon.
const RECONNECT_REFUSED: Duration = Duration::from_secs(10);

/// The times of one stream.
pub(crate) struct Pace {
    bookmark_interval: Duration,
    bookmark_at: Instant,
    ends_at: Instant,
}

impl Pace {
    pub(crate) fn new(config: &HubConfig) -> Self {
        let now = Instant::now();
        let mut pace = Self {
            bookmark_interval: config.bookmark_interval,
            bookmark_at: now,
            ends_at: now + spread(config.stream_lifetime, LIFETIME_SPREAD),
        };
        pace.sent();
        pace
    }

    /// Something was sent: the next sign of life is not due before long.
    pub(crate) fn sent(&mut self) {
        self.bookmark_at = Instant::now() + spread(self.bookmark_interval, BOOKMARK_SPREAD);
    }

    /// A stream that has nothing else to send says so then.
    pub(crate) fn bookmark_at(&self) -> Instant {
        self.bookmark_at
    }

    /// The stream has lived its time then.
    pub(crate) fn ends_at(&self) -> Instant {
        self.ends_at
    }

    /// The earlier of both.
    pub(crate) fn wake_at(&self) -> Instant {
        self.bookmark_at.min(self.ends_at)
    }
}

/// How long a receiver waits before it connects again.
pub(crate) fn reconnect_after(reason: GoodbyeReason) -> Duration {
    let soon = RECONNECT_SPREAD.mul_f64(rand::random_range(0.0..1.0));
    match reason {
        GoodbyeReason::Behind => RECONNECT_BEHIND + soon,
        GoodbyeReason::KeyRevoked | GoodbyeReason::EnvironmentDeleted => RECONNECT_REFUSED + soon,
        GoodbyeReason::Rotate | GoodbyeReason::Draining | GoodbyeReason::Unspecified => soon,
    }
}

fn spread(time: Duration, part: f64) -> Duration {
    time.mul_f64(rand::random_range(1.0 - part..1.0 + part))
}
