//! Versions, against the crate `semver`.

use std::cmp::Ordering;

use burgee_proto::types::v1::Operator;
use prost_types::Value;
use semver::Version;

use super::asking::{holds, is_admitted, lines, text};

/// Digits that a number in a version may have.
const DIGITS_MAX: usize = 15;

/// The first line is an attribute, the others are what it is compared with.
pub fn versions(bytes: &[u8]) {
    let Some((attribute, values)) = lines(bytes) else {
        return;
    };
    let mine = parse(attribute);
    let is_version = mine.is_some();
    let attribute = text(attribute);
    assert_eq!(is_admitted(Operator::SemverLess, &attribute), is_version);
    let orders: Vec<_> = values
        .iter()
        .filter_map(|value| Some(mine.as_ref()?.cmp_precedence(&parse(value)?)))
        .collect();
    let values: Vec<Value> = values.into_iter().map(text).collect();
    type Wanted = fn(Ordering) -> bool;
    let operators: [(Operator, Wanted); 5] = [
        (Operator::SemverEqual, Ordering::is_eq),
        (Operator::SemverLess, Ordering::is_lt),
        (Operator::SemverLessOrEqual, Ordering::is_le),
        (Operator::SemverGreater, Ordering::is_gt),
        (Operator::SemverGreaterOrEqual, Ordering::is_ge),
    ];
    for (operator, wanted) in operators {
        let wanted = orders.iter().any(|order| wanted(*order));
        assert_eq!(holds(operator, &attribute, &values), wanted, "{operator:?}");
    }
}

/// SemVer 2.0, and what Burgee adds to it: a leading v, minor and patch that are
/// missing, and no more than 15 digits.
pub(super) fn parse(text: &str) -> Option<Version> {
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let (core, rest) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
    let missing = match core.matches('.').count() {
        0 => ".0.0",
        1 => ".0",
        _ => "",
    };
    let version = Version::parse(&format!("{core}{missing}{rest}")).ok()?;
    let pre_release = version.pre.split('.');
    let numbers = pre_release.filter(|it| it.bytes().all(|byte| byte.is_ascii_digit()));
    core.split('.')
        .chain(numbers)
        .all(|number| number.len() <= DIGITS_MAX)
        .then_some(version)
}
