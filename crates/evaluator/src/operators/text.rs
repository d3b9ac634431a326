//! EQUALS, CONTAINS, STARTS_WITH, ENDS_WITH, MATCHES.

use std::borrow::Cow;

use prost_types::Value;
use prost_types::value::Kind;
use regex::Regex;

use crate::attribute::Scalar;
use crate::keys::Texts;
use crate::operators::{scalars, texts};
use crate::problem::Problem;

/// The values of an EQUALS, as sets.
#[derive(Debug)]
pub(crate) struct Equals {
    texts: Texts,
    /// `texts` are folded, and so are those that are looked up.
    ignore_case: bool,
    /// Ascending. −0 equals 0, and is kept as it.
    numbers: Box<[f64]>,
    is_true: bool,
    is_false: bool,
}

impl Equals {
    pub(crate) fn compile(values: &[Value], ignore_case: bool) -> Self {
        let (mut texts, mut numbers) = (Vec::new(), Vec::new());
        let mut equals = Self {
            texts: Texts::default(),
            ignore_case,
            numbers: Box::default(),
            is_true: false,
            is_false: false,
        };
        for value in scalars(values) {
            match value {
                Scalar::Boolean(true) => equals.is_true = true,
                Scalar::Boolean(false) => equals.is_false = true,
                Scalar::Number { value, .. } => numbers.push(without_minus_zero(value)),
                Scalar::Text(text) => texts.push(fold(&text, ignore_case).into()),
            }
        }
        equals.texts = texts.into_iter().collect();
        numbers.sort_by(f64::total_cmp);
        equals.numbers = numbers.into();
        equals
    }

    #[inline]
    pub(crate) fn holds(&self, element: &Scalar) -> bool {
        match element {
            Scalar::Boolean(true) => self.is_true,
            Scalar::Boolean(false) => self.is_false,
            Scalar::Number { value, .. } => self.holds_number(*value),
            Scalar::Text(text) if self.ignore_case => self.holds_folded(text),
            Scalar::Text(text) => self.texts.contains(text),
        }
    }

    // Apart, like the next one, so that comparing texts is small enough to be
    // inlined where conditions are asked: a sixth of what five rules cost.
    #[inline(never)]
    fn holds_number(&self, value: f64) -> bool {
        let value = without_minus_zero(value);
        let found = self.numbers.binary_search_by(|it| it.total_cmp(&value));
        found.is_ok()
    }

    #[inline(never)]
    fn holds_folded(&self, text: &str) -> bool {
        self.texts.contains(&fold(text, true))
    }
}

/// −0 equals 0, but not in the order of all doubles (in which NaN is, too, which
/// no attribute is).
fn without_minus_zero(value: f64) -> f64 {
    value + 0.0
}

/// The values of a CONTAINS, STARTS_WITH or ENDS_WITH. UTF-8 begins no code
/// point inside another one, so bytes may be compared.
#[derive(Debug)]
pub(crate) struct Affix {
    place: Place,
    values: Box<[Box<str>]>,
    ignore_case: bool,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Anywhere,
    Start,
    End,
}

impl Affix {
    pub(crate) fn contains(values: &[Value], ignore_case: bool) -> Self {
        Self::compile(Place::Anywhere, values, ignore_case)
    }

    pub(crate) fn starts_with(values: &[Value], ignore_case: bool) -> Self {
        Self::compile(Place::Start, values, ignore_case)
    }

    pub(crate) fn ends_with(values: &[Value], ignore_case: bool) -> Self {
        Self::compile(Place::End, values, ignore_case)
    }

    fn compile(place: Place, values: &[Value], ignore_case: bool) -> Self {
        Self {
            place,
            values: texts(values)
                .map(|text| fold(text, ignore_case).into())
                .collect(),
            ignore_case,
        }
    }

    pub(crate) fn holds(&self, text: &str) -> bool {
        let text = fold(text, self.ignore_case);
        self.values.iter().any(|value| match self.place {
            Place::Anywhere => text.contains(&**value),
            Place::Start => text.starts_with(&**value),
            Place::End => text.ends_with(&**value),
        })
    }
}

/// A–Z to a–z if case is ignored. Copies only what has such a letter.
fn fold(text: &str, ignore_case: bool) -> Cow<'_, str> {
    if ignore_case && text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// The patterns of a MATCHES, in the normal form that the server ships.
#[derive(Debug)]
pub(crate) struct Patterns(Box<[Regex]>);

impl Patterns {
    /// # Errors
    ///
    /// The first pattern that does not compile.
    pub(crate) fn compile(values: &[Value]) -> Result<Self, Problem> {
        let mut patterns = Vec::new();
        for (index, value) in values.iter().enumerate() {
            if let Some(Kind::StringValue(pattern)) = &value.kind {
                let compiled = Regex::new(pattern).map_err(|_| {
                    Problem::new(format!("values[{index}]"), "the pattern does not compile")
                })?;
                patterns.push(compiled);
            }
        }
        Ok(Self(patterns.into()))
    }

    /// Whether any pattern is found anywhere in the text.
    pub(crate) fn hold(&self, text: &str) -> bool {
        self.0.iter().any(|pattern| pattern.is_match(text))
    }
}
