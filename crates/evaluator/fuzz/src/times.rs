//! Times, against the crate `time`.

use std::sync::LazyLock;

use burgee_proto::types::v1::Operator;
use prost_types::Value;
use prost_types::value::Kind;
use regex::Regex;
use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

use super::asking::{holds, is_admitted, lines, text};

static RFC_3339: LazyLock<Regex> = LazyLock::new(|| {
    let date = r"([0-9]{4})-([0-9]{2})-([0-9]{2})";
    let time = r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?";
    let offset = r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))";
    Regex::new(&format!(r"\A{date}[Tt]{time}{offset}\z")).unwrap()
});

/// The first line is an attribute, the others are what it is compared with.
/// What reads as a number is one.
pub fn times(bytes: &[u8]) {
    let Some((attribute, values)) = lines(bytes) else {
        return;
    };
    let mine = milliseconds(attribute);
    let times: Vec<f64> = values.iter().filter_map(|it| milliseconds(it)).collect();
    let attribute = value(attribute);
    assert_eq!(is_admitted(Operator::Before, &attribute), mine.is_some());
    let values: Vec<_> = values.into_iter().map(value).collect();
    for (operator, wanted) in [
        (
            Operator::Before,
            mine.is_some_and(|mine| times.iter().any(|time| mine < *time)),
        ),
        (
            Operator::After,
            mine.is_some_and(|mine| times.iter().any(|time| mine > *time)),
        ),
    ] {
        assert_eq!(holds(operator, &attribute, &values), wanted, "{operator:?}");
    }
}

fn number(line: &str) -> Option<f64> {
    line.parse().ok().filter(|number: &f64| number.is_finite())
}

fn value(line: &str) -> Value {
    match number(line) {
        Some(number) => Kind::NumberValue(number).into(),
        None => text(line),
    }
}

fn milliseconds(line: &str) -> Option<f64> {
    match number(line) {
        Some(seconds) => Some((seconds * 1000.0).floor()),
        None => parse(line).map(|milliseconds| milliseconds as f64),
    }
}

pub(super) fn parse(text: &str) -> Option<i64> {
    let found = RFC_3339.captures(text)?;
    let number = |group| {
        found
            .get(group)
            .map_or(Some(0), |it| it.as_str().parse().ok())
    };
    let small = |group| number(group).and_then(|number: i32| u8::try_from(number).ok());
    let month = Month::try_from(small(2)?).ok()?;
    let date = Date::from_calendar_date(number(1)?, month, small(3)?).ok()?;
    let fraction = found.get(7).map_or("", |fraction| fraction.as_str());
    let milliseconds: String = fraction.chars().chain("000".chars()).take(3).collect();
    let time = Time::from_hms_milli(small(4)?, small(5)?, small(6)?, milliseconds.parse().ok()?);
    let (hours, minutes) = (small(9)?, small(10)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let sign = if found.get(8).is_some_and(|sign| sign.as_str() == "-") {
        -1
    } else {
        1
    };
    let seconds = sign * (i32::from(hours) * 60 + i32::from(minutes)) * 60;
    let offset = UtcOffset::from_whole_seconds(seconds).ok()?;
    let moment = OffsetDateTime::new_in_offset(date, time.ok()?, offset);
    i64::try_from(moment.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}
