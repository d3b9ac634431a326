//! What property tests draw: anything that a [`Generator`] makes.

#![allow(dead_code, reason = "each test file uses some")]

use std::fmt::Debug;

use proptest::collection::vec;
use proptest::prelude::*;

use super::generate::Generator;

/// Enough for a dozen items.
const BYTES_MAX: usize = 1200;

/// What every evaluator understands.
pub(crate) fn sound<T: Debug>(make: fn(&mut Generator<'_>) -> T) -> impl Strategy<Value = T> {
    bytes(BYTES_MAX).prop_map(move |bytes| make(&mut Generator::sound(&bytes)))
}

/// Anything that messages can hold.
pub(crate) fn wild<T: Debug>(make: fn(&mut Generator<'_>) -> T) -> impl Strategy<Value = T> {
    bytes(BYTES_MAX).prop_map(move |bytes| make(&mut Generator::wild(&bytes)))
}

/// Bytes to make something of.
pub(crate) fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..=most)
}
