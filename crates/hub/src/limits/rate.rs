//! How often something may be done.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What is allowed at once where only a rate is given: so many seconds' worth.
const BURST_SECONDS: u32 = 10;
/// The highest rate: a call each nanosecond is beyond any machine.
const CALLS_A_SECOND_MAX: u32 = 1_000_000_000;
/// What stands for no limit.
const OFF: &str = "off";

/// So many calls a second in the long run, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// 0: any number.
    calls_a_second: u32,
    burst: u32,
}

/// A text that is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "give calls a second, such as 100; with how many may come at once, such as 100/1000; or off"
)]
pub struct MalformedRate;

impl Rate {
    /// No limit.
    pub const OFF: Self = Self::new(0, 0);

    /// So many a second, and `burst` at once (at least one). 0 a second: no limit.
    #[must_use]
    pub const fn new(calls_a_second: u32, burst: u32) -> Self {
        Self {
            calls_a_second,
            burst,
        }
    }

    /// So many a second, and ten seconds' worth at once. 0: no limit.
    #[must_use]
    pub const fn per_second(calls: u32) -> Self {
        Self::new(calls, calls.saturating_mul(BURST_SECONDS))
    }

    /// 0: no limit.
    #[must_use]
    pub const fn calls_a_second(self) -> u32 {
        self.calls_a_second
    }

    /// The time from one call to the next in the long run. None: no limit.
    pub(super) fn interval(self) -> Option<Duration> {
        let calls = self.calls_a_second.min(CALLS_A_SECOND_MAX);
        Duration::from_secs(1).checked_div(calls)
    }

    /// What may come at once.
    pub(super) fn burst(self) -> u32 {
        self.burst.max(1)
    }
}

impl FromStr for Rate {
    type Err = MalformedRate;

    fn from_str(text: &str) -> Result<Self, MalformedRate> {
        let number = |text: &str| {
            let number = text.trim().parse::<u32>();
            number
                .ok()
                .filter(|number| *number <= CALLS_A_SECOND_MAX)
                .ok_or(MalformedRate)
        };
        match text.split_once('/') {
            _ if text.trim().eq_ignore_ascii_case(OFF) => Ok(Self::OFF),
            None => Ok(Self::per_second(number(text)?)),
            Some((rate, burst)) => match (number(rate)?, number(burst)?) {
                (0, _) | (_, 0) => Err(MalformedRate),
                (rate, burst) => Ok(Self::new(rate, burst)),
            },
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.calls_a_second {
            0 => formatter.write_str(OFF),
            rate => write!(formatter, "{rate}/{}", self.burst),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_as_it_is_written() {
        for (text, rate) in [
            ("100", Rate::new(100, 1_000)),
            ("100/250", Rate::new(100, 250)),
            (" 7 / 1 ", Rate::new(7, 1)),
            ("off", Rate::OFF),
            ("0", Rate::OFF),
        ] {
            assert_eq!(text.parse(), Ok(rate), "{text:?}");
            assert_eq!(rate.to_string().parse(), Ok(rate));
        }
        for bad in ["", "-1", "1.5", "x", "1/0", "0/5", "1/2/3", "4294967296"] {
            assert_eq!(bad.parse::<Rate>(), Err(MalformedRate), "{bad:?}");
        }
    }
}
