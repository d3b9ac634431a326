//! What a clause asks of an attribute, compiled: value lists as sets, several
//! bounds as the widest one, patterns built.

pub(crate) mod cidr;
pub(crate) mod semver;
pub(crate) mod text;
pub(crate) mod time;

use std::cmp::Ordering;

use burgee_proto::types::v1::{Clause, Operator};
use prost_types::Value;
use prost_types::value::Kind;

use crate::attribute::{Attribute, Scalar};
use crate::operators::cidr::Block;
use crate::operators::semver::{OwnedVersion, Version};
use crate::operators::text::{Affix, Equals, Patterns};
use crate::problem::Problem;

/// A test of one attribute.
#[derive(Debug)]
pub(crate) enum Test {
    /// The attribute is present.
    Exists,
    Equals(Equals),
    Affix(Affix),
    Matches(Patterns),
    Number(Comparison, f64),
    VersionEqual(Box<[OwnedVersion]>),
    Version(Comparison, OwnedVersion),
    /// In milliseconds since the Unix epoch.
    Time(Comparison, f64),
    Blocks(Box<[Block]>),
    /// No value is of a form that the operator takes.
    Never,
}

/// How an attribute is compared with the one bound that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Test {
    /// Compiles what follows the attribute in a clause.
    ///
    /// # Errors
    ///
    /// An unknown operator, a value whose kind is not set, a pattern that does
    /// not compile.
    pub(crate) fn compile(clause: &Clause) -> Result<Self, Problem> {
        use Comparison::{Greater, GreaterOrEqual, Less, LessOrEqual};

        for (index, value) in clause.values.iter().enumerate() {
            check_value(value).map_err(|problem| problem.within(format!("values[{index}]")))?;
        }
        let values = &clause.values;
        let fold = clause.ignore_case;
        let operator = Operator::try_from(clause.operator).unwrap_or(Operator::Unspecified);
        Ok(match operator {
            Operator::Unspecified => {
                return Err(Problem::new(
                    "operator",
                    format!("operator {} is not known; name one", clause.operator),
                ));
            }
            Operator::Exists => Self::Exists,
            Operator::Equals => Self::Equals(Equals::compile(values, fold)),
            Operator::Contains => Self::Affix(Affix::contains(values, fold)),
            Operator::StartsWith => Self::Affix(Affix::starts_with(values, fold)),
            Operator::EndsWith => Self::Affix(Affix::ends_with(values, fold)),
            Operator::Matches => Self::Matches(Patterns::compile(values)?),
            Operator::LessThan => Self::number(Less, values),
            Operator::LessOrEqual => Self::number(LessOrEqual, values),
            Operator::GreaterThan => Self::number(Greater, values),
            Operator::GreaterOrEqual => Self::number(GreaterOrEqual, values),
            Operator::SemverEqual => Self::VersionEqual(versions(values).collect()),
            Operator::SemverLess => Self::version(Less, values),
            Operator::SemverLessOrEqual => Self::version(LessOrEqual, values),
            Operator::SemverGreater => Self::version(Greater, values),
            Operator::SemverGreaterOrEqual => Self::version(GreaterOrEqual, values),
            Operator::Before => Self::time(Less, values),
            Operator::After => Self::time(Greater, values),
            Operator::InCidr => Self::Blocks(texts(values).filter_map(Block::parse).collect()),
        })
    }

    /// Whether the test is true for an attribute that is present: for any
    /// element of a list.
    #[inline]
    pub(crate) fn holds(&self, attribute: &Attribute) -> bool {
        match (self, attribute) {
            // The most common of all tests, and not worth a call.
            (Self::Equals(equals), Attribute::One(element)) => equals.holds(element),
            (_, Attribute::One(element)) => self.holds_for(element),
            // A list that is empty is present too.
            (Self::Exists, Attribute::List(_)) => true,
            (_, Attribute::List(elements)) => elements.iter().any(|it| self.holds_for(it)),
        }
    }

    fn holds_for(&self, element: &Scalar) -> bool {
        match self {
            Self::Exists => true,
            Self::Never => false,
            Self::Equals(equals) => equals.holds(element),
            Self::Affix(affix) => element.as_text().is_some_and(|text| affix.holds(text)),
            Self::Matches(patterns) => element.as_text().is_some_and(|text| patterns.hold(text)),
            Self::Number(comparison, bound) => element
                .as_number()
                .is_some_and(|number| comparison.holds(number.partial_cmp(bound))),
            Self::VersionEqual(wanted) => {
                element
                    .as_text()
                    .and_then(Version::parse)
                    .is_some_and(|version| {
                        wanted
                            .iter()
                            .any(|wanted| version.cmp(&wanted.get()).is_eq())
                    })
            }
            Self::Version(comparison, bound) => element
                .as_text()
                .and_then(Version::parse)
                .is_some_and(|version| comparison.holds(Some(version.cmp(&bound.get())))),
            Self::Time(comparison, bound) => time::milliseconds(element)
                .is_some_and(|time| comparison.holds(time.partial_cmp(bound))),
            Self::Blocks(blocks) => element
                .as_text()
                .and_then(cidr::parse_address)
                .is_some_and(|address| blocks.iter().any(|block| block.contains(address))),
        }
    }

    fn number(comparison: Comparison, values: &[Value]) -> Self {
        let bounds = scalars(values).filter_map(|scalar| scalar.as_number());
        match comparison.widest(bounds, f64::total_cmp) {
            Some(bound) => Self::Number(comparison, bound),
            None => Self::Never,
        }
    }

    fn time(comparison: Comparison, values: &[Value]) -> Self {
        let bounds = scalars(values).filter_map(|scalar| time::milliseconds(&scalar));
        match comparison.widest(bounds, f64::total_cmp) {
            Some(bound) => Self::Time(comparison, bound),
            None => Self::Never,
        }
    }

    fn version(comparison: Comparison, values: &[Value]) -> Self {
        let order = |left: &OwnedVersion, right: &OwnedVersion| left.get().cmp(&right.get());
        match comparison.widest(versions(values), order) {
            Some(bound) => Self::Version(comparison, bound),
            None => Self::Never,
        }
    }
}

impl Comparison {
    /// Of several bounds the one that is the easiest to meet: a comparison is
    /// true for any of them if it is true for that one.
    fn widest<T>(
        self,
        bounds: impl Iterator<Item = T>,
        order: impl FnMut(&T, &T) -> Ordering,
    ) -> Option<T> {
        match self {
            Self::Less | Self::LessOrEqual => bounds.max_by(order),
            Self::Greater | Self::GreaterOrEqual => bounds.min_by(order),
        }
    }

    fn holds(self, order: Option<Ordering>) -> bool {
        order.is_some_and(|order| match self {
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        })
    }
}

/// Refuses what google.protobuf.Value does not allow: no kind, NaN, infinities.
pub(crate) fn check_value(value: &Value) -> Result<(), Problem> {
    match &value.kind {
        None => Err(Problem::new("", "the value has no kind; set one")),
        Some(Kind::NumberValue(number)) if !number.is_finite() => {
            Err(Problem::new("", "NaN and infinities are no JSON numbers"))
        }
        Some(_) => Ok(()),
    }
}

/// The values that may be compared with: no nulls, lists or objects.
fn scalars(values: &[Value]) -> impl Iterator<Item = Scalar> {
    values.iter().filter_map(Scalar::from_message)
}

/// The values that are strings.
fn texts(values: &[Value]) -> impl Iterator<Item = &str> {
    values.iter().filter_map(|value| match &value.kind {
        Some(Kind::StringValue(text)) => Some(text.as_str()),
        _ => None,
    })
}

fn versions(values: &[Value]) -> impl Iterator<Item = OwnedVersion> {
    texts(values).filter_map(OwnedVersion::parse)
}
