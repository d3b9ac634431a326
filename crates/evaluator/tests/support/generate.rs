//! Messages made of bytes: the same bytes make the same messages. Property
//! tests and fuzz targets draw theirs from here, so that what one of them finds
//! the other can replay.
//!
//! Bytes that run out are read as zeros, and zeros make what is simple: a
//! shorter input is a simpler one, which is what shrinking looks for.

#![allow(dead_code, reason = "each test file uses some")]
#![allow(
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

#[path = "generate/contexts.rs"]
mod contexts;
#[path = "generate/flags.rs"]
mod flags;
#[path = "generate/items.rs"]
mod items;
#[path = "generate/patterns.rs"]
mod patterns;

use arbitrary::Unstructured;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

/// Flags of a ruleset. A sound flag needs only those before it.
pub(crate) const FLAGS: &[&str] = &["f0", "f1", "f2", "f3", "f4", "f5"];
/// Segments of a ruleset; the last one is never there.
pub(crate) const SEGMENTS: &[&str] = &["s0", "s1", "s2", "missing"];
const VARIANTS: &[&str] = &["on", "off", "blue", "green"];
/// Names that contexts have and rules ask for.
const ATTRIBUTES: &[&str] = &[
    "plan",
    "targetingKey",
    "age",
    "user.plan",
    "tags",
    "version",
    "address",
    "when",
    "nobody",
];
/// Key texts, so that lists and contexts meet.
pub(crate) const KEYS: &[&str] = &["alice", "bob", "1", "-7", "é", "日本", "9007199254740991"];
const SALTS: &[&str] = &["salt", "checkout", "checkout.gate", "", "gruppe-é"];
const TEXTS: &[&str] = &[
    "",
    "a",
    "A",
    "pro",
    "PRO",
    "Pro plan",
    "alice",
    "ALICE",
    "é",
    "e\u{301}",
    "日本",
    "🦀",
    "\u{0}",
    "1.2.3",
    "v2",
    "2.0.0-rc.1",
    "1.2",
    "2026-11-22T04:23:40Z",
    "1969-12-31T23:59:59.9999+23:59",
    "10.1.2.3",
    "10.0.0.0/8",
    "::ffff:10.1.2.3",
    "2001:db8::/32",
    "[a-z]+",
    "^(?:a|[^b])*$",
];
const OFTEN: &[&str] = &["pro", "PRO", "alice", "Pro plan"];
const NUMBERS: &[f64] = &[
    0.0,
    1.0,
    -0.0,
    -7.0,
    0.5,
    9_007_199_254_740_991.0,
    9_007_199_254_740_992.0,
    -9_007_199_254_740_993.0,
    1_795_321_420.0,
    1e306,
    f64::MIN_POSITIVE,
    f64::MAX,
];

/// Makes messages of bytes.
pub(crate) struct Generator<'a> {
    bytes: Unstructured<'a>,
    /// Now and then something that no server ships: unknown enums, choices that
    /// are not set, weights that do not sum, NaN, any text.
    wild: bool,
}

impl<'a> Generator<'a> {
    /// Makes only what every evaluator understands.
    pub(crate) fn sound(bytes: &'a [u8]) -> Self {
        Self {
            bytes: Unstructured::new(bytes),
            wild: false,
        }
    }

    /// Makes anything that a message can hold.
    pub(crate) fn wild(bytes: &'a [u8]) -> Self {
        Self {
            bytes: Unstructured::new(bytes),
            wild: true,
        }
    }

    /// Whether all bytes are used up.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// A number below `bound`, which is at least 1.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.bytes.int_in_range(0..=bound - 1).unwrap_or_default()
    }

    /// True once in so many times, which are more than one.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }

    /// True now and then, if anything goes.
    pub(crate) fn oddly(&mut self) -> bool {
        self.wild && self.once_in(64)
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        let index = self.below(from.len());
        from[index].clone()
    }

    /// Up to `most` things.
    pub(crate) fn some<T>(&mut self, most: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = self.below(most + 1);
        (0..count).map(|_| make(self)).collect()
    }

    /// Any integer.
    pub(crate) fn integer(&mut self) -> i32 {
        self.bytes.arbitrary().unwrap_or_default()
    }

    /// Any text, mostly one that means something to an operator, and often one
    /// that is met elsewhere.
    pub(crate) fn text(&mut self) -> String {
        match self.below(4) {
            0 | 1 => return self.pick(TEXTS).to_owned(),
            2 => return self.pick(OFTEN).to_owned(),
            _ => {}
        }
        let characters = self.some(8, |it| it.bytes.arbitrary().unwrap_or('0'));
        characters.into_iter().collect()
    }

    /// One of a few texts, or oddly any.
    fn one_of(&mut self, known: &[&str]) -> String {
        if self.oddly() {
            self.text()
        } else {
            self.pick(known).to_owned()
        }
    }

    /// The number of an enum's variant from `first` to `last`, or oddly any.
    fn variant_of_enum(&mut self, first: i32, last: i32) -> i32 {
        if self.oddly() {
            return self.integer();
        }
        self.bytes.int_in_range(first..=last).unwrap_or(first)
    }

    fn number(&mut self) -> f64 {
        let number = match self.below(3) {
            0 => self.pick(NUMBERS),
            1 => f64::from(self.integer()),
            _ => self.bytes.arbitrary().unwrap_or_default(),
        };
        if number.is_finite() || self.wild {
            number
        } else {
            0.0
        }
    }

    /// A string, number or boolean.
    pub(crate) fn scalar(&mut self) -> Value {
        let kind = match self.below(4) {
            0 | 1 => Kind::StringValue(self.text()),
            2 => Kind::NumberValue(self.number()),
            _ => Kind::BoolValue(self.once_in(2)),
        };
        kind.into()
    }

    /// Any JSON value, oddly one without a kind.
    pub(crate) fn value(&mut self, depth: usize) -> Value {
        if self.oddly() {
            return Value { kind: None };
        }
        match self.below(8) {
            6 if depth > 0 => Kind::StructValue(self.object(depth - 1)).into(),
            7 if depth > 0 => {
                let values = self.some(4, |it| it.value(depth - 1));
                Kind::ListValue(ListValue { values }).into()
            }
            5 => Kind::NullValue(0).into(),
            _ => self.scalar(),
        }
    }

    fn object(&mut self, depth: usize) -> Struct {
        let field = |it: &mut Self| (it.text(), it.value(depth));
        Struct {
            fields: self.some(3, field).into_iter().collect(),
        }
    }
}
