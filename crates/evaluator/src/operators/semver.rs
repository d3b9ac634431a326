//! Versions and their precedence, as SemVer 2.0 has them (semver.org, §9 to
//! §11), but with a leading `v`, and minor and patch that may be missing.

use std::cmp::Ordering;

/// Digits of a number in a version, so that it fits every language's integers.
const DIGITS_MAX: usize = 15;

/// A parsed version. Ordered by precedence; build metadata is not kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Version<'a> {
    /// Major, minor, patch.
    numbers: [u64; 3],
    /// What follows the hyphen. Empty: a release.
    pre_release: &'a str,
}

/// A version of a ruleset.
#[derive(Clone, Debug)]
pub(crate) struct OwnedVersion {
    numbers: [u64; 3],
    pre_release: Box<str>,
}

impl OwnedVersion {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let Version {
            numbers,
            pre_release,
        } = Version::parse(text)?;
        Some(Self {
            numbers,
            pre_release: pre_release.into(),
        })
    }

    pub(crate) fn get(&self) -> Version<'_> {
        Version {
            numbers: self.numbers,
            pre_release: &self.pre_release,
        }
    }
}

impl<'a> Version<'a> {
    /// None: it is no version.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let (text, build) = split(text, '+');
        let (core, pre_release) = split(text, '-');
        if !build.is_none_or(|build| build.split('.').all(is_identifier)) {
            return None;
        }
        if !pre_release.is_none_or(|pre| pre.split('.').all(is_pre_release_identifier)) {
            return None;
        }
        let mut parts = core.split('.');
        let mut numbers = [parse_number(parts.next()?)?, 0, 0];
        for number in numbers.iter_mut().skip(1) {
            *number = parts.next().map_or(Some(0), parse_number)?;
        }
        if parts.next().is_some() {
            return None;
        }
        Some(Self {
            numbers,
            pre_release: pre_release.unwrap_or_default(),
        })
    }

    /// SemVer 2.0 precedence.
    pub(crate) fn cmp(&self, other: &Version<'_>) -> Ordering {
        let pre_release = || match (self.pre_release, other.pre_release) {
            ("", "") => Ordering::Equal,
            ("", _) => Ordering::Greater,
            (_, "") => Ordering::Less,
            (mine, theirs) => mine
                .split('.')
                .map(Identifier::new)
                .cmp(theirs.split('.').map(Identifier::new)),
        };
        self.numbers.cmp(&other.numbers).then_with(pre_release)
    }
}

/// A part of a pre-release. Numbers come before words; of two lists that begin
/// alike the shorter is lower.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Identifier<'a> {
    Number(u64),
    Word(&'a str),
}

impl<'a> Identifier<'a> {
    fn new(text: &'a str) -> Self {
        parse_number(text).map_or(Self::Word(text), Self::Number)
    }
}

fn split(text: &str, separator: char) -> (&str, Option<&str>) {
    match text.split_once(separator) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

/// Decimal digits without leading zeros, at most [`DIGITS_MAX`].
fn parse_number(text: &str) -> Option<u64> {
    let leading_zero = text.len() > 1 && text.starts_with('0');
    let well_formed = text.len() <= DIGITS_MAX && is_digits(text) && !leading_zero;
    if well_formed { text.parse().ok() } else { None }
}

fn is_pre_release_identifier(text: &str) -> bool {
    is_identifier(text) && (!is_digits(text) || parse_number(text).is_some())
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precedence_is_that_of_semver() {
        let ascending = [
            "0.0.1",
            "0.2",
            "1.0.0-0",
            "1.0.0-9",
            "1.0.0-10",
            "1.0.0--",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "v1.0.1",
            "1.2",
            "2",
            "V10",
            "999999999999999",
        ];
        for (left, lower) in ascending.iter().enumerate() {
            for (right, higher) in ascending.iter().enumerate() {
                let order = Version::parse(lower)
                    .unwrap()
                    .cmp(&Version::parse(higher).unwrap());
                assert_eq!(order, left.cmp(&right), "{lower} {higher}");
            }
        }
    }

    #[test]
    fn missing_numbers_are_zero_and_build_metadata_means_nothing() {
        for (left, right) in [
            ("1", "1.0.0"),
            ("1-rc", "1.0.0-rc"),
            ("1.2-rc.1", "1.2.0-rc.1"),
            ("1+build", "v1.0.0+other.007"),
            ("1.0.0-a-b", "1.0.0-a-b+x-y"),
        ] {
            let order = Version::parse(left)
                .unwrap()
                .cmp(&Version::parse(right).unwrap());
            assert_eq!(order, Ordering::Equal, "{left} {right}");
        }
    }

    #[test]
    fn what_is_no_version() {
        for text in [
            "",
            "v",
            "vv1",
            "1.",
            ".1",
            "1..2",
            "1.2.3.4",
            "01",
            "1.02",
            "1.0.0-01",
            "1.0.0-",
            "1.0.0-a..b",
            "1.0.0+",
            "1.0.0+a..b",
            "1.0.0+a+b",
            " 1",
            "1 ",
            "1.0.0-ä",
            "-1",
            "+1",
            "1000000000000000",
            "1.0.0-1000000000000000",
            "1.x",
            "１",
        ] {
            assert!(Version::parse(text).is_none(), "{text:?}");
        }
    }
}
