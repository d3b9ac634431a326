//! Points in time: RFC 3339 text, or seconds since the Unix epoch.

use crate::attribute::Scalar;

/// A point in time in whole milliseconds since the Unix epoch, rounded down.
/// A number may become an infinity, and compares as one.
pub(crate) fn milliseconds(scalar: &Scalar) -> Option<f64> {
    match scalar {
        Scalar::Number { value, .. } => Some((value * 1000.0).floor()),
        // Years 0 to 9999 are exact in a double.
        #[allow(clippy::cast_precision_loss)]
        Scalar::Text(text) => parse(text).map(|milliseconds| milliseconds as f64),
        Scalar::Boolean(_) => None,
    }
}

/// RFC 3339, without second 60 and hour 24; a fraction is cut after three
/// digits.
fn parse(text: &str) -> Option<i64> {
    let mut rest = Digits(text.as_bytes());
    let year = rest.number(4)?;
    rest.one_of(b"-")?;
    let month = rest.number(2)?;
    rest.one_of(b"-")?;
    let day = rest.number(2)?;
    rest.one_of(b"Tt")?;
    let hour = rest.number(2)?;
    rest.one_of(b":")?;
    let minute = rest.number(2)?;
    rest.one_of(b":")?;
    let second = rest.number(2)?;
    let fraction = rest.fraction_milliseconds()?;
    let offset = rest.offset_minutes()?;
    let is_time = hour < 24 && minute < 60 && second < 60;
    let is_date = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    if !is_time || !is_date || !rest.0.is_empty() {
        return None;
    }
    let minutes = (days_since_epoch(year, month, day) * 24 + hour) * 60 + minute - offset;
    Some((minutes * 60 + second) * 1000 + fraction)
}

/// What is left to read.
struct Digits<'a>(&'a [u8]);

impl Digits<'_> {
    /// Exactly so many decimal digits.
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        number.iter().try_fold(0, |sum, digit| {
            let digit = digit.is_ascii_digit().then(|| i64::from(digit - b'0'))?;
            Some(sum * 10 + digit)
        })
    }

    fn one_of(&mut self, allowed: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        allowed.contains(first).then_some(*first)
    }

    /// Nothing, or a point and at least one digit.
    fn fraction_milliseconds(&mut self) -> Option<i64> {
        let Some(rest) = self.0.strip_prefix(b".") else {
            return Some(0);
        };
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (fraction, rest) = rest.split_at_checked(digits)?;
        self.0 = rest;
        if fraction.is_empty() {
            return None;
        }
        let padded = fraction.iter().chain(b"00").take(3);
        Some(padded.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
    }

    /// `Z`, or hours and minutes east of UTC.
    fn offset_minutes(&mut self) -> Option<i64> {
        let sign = match self.one_of(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Some(0),
        };
        let hours = self.number(2)?;
        self.one_of(b":")?;
        let minutes = self.number(2)?;
        (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar (Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`).
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3339_is_read_in_milliseconds() {
        for (text, wanted) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01t00:00:00z", 0),
            ("1969-12-31T23:59:59.9999Z", -1),
            ("2000-02-29T12:00:00.5Z", 951_825_600_500),
            ("2026-11-22T04:23:40.123456Z", 1_795_321_420_123),
            ("1996-12-19T16:39:57-08:00", 851_042_397_000),
            ("1970-01-01T23:59:00+23:59", 0),
            ("1970-01-01T00:00:00-00:00", 0),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000),
            ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
        ] {
            assert_eq!(parse(text), Some(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            "2026-11-22",
            "2026-11-22T04:23Z",
            "2026-11-22 04:23:40Z",
            "2026-11-22T04:23:40",
            "2026-11-22T24:00:00Z",
            "2026-11-22T23:59:60Z",
            "2026-11-22T04:60:00Z",
            "2026-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-11-22T04:23:40.Z",
            "2026-11-22T04:23:40,5Z",
            "2026-11-22T04:23:40+24:00",
            "2026-11-22T04:23:40+01:60",
            "2026-11-22T04:23:40+0100",
            "2026-11-22T04:23:40ZZ",
            "+2026-11-22T04:23:40Z",
            "12026-11-22T04:23:40Z",
            "2026-11-22T04:23:40Z ",
            "２026-11-22T04:23:40Z",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn seconds_are_rounded_down_and_may_become_infinite() {
        for (seconds, wanted) in [(1.5, 1500.0), (-0.0001, -1.0), (1e306, f64::INFINITY)] {
            assert_eq!(milliseconds(&Scalar::number(seconds)), Some(wanted));
        }
        assert_eq!(milliseconds(&Scalar::Boolean(true)), None);
    }
}
