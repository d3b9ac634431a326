//! Texts to look up: keys of flags, segments and targets, values of EQUALS.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;

/// Up to so many texts are compared one by one, which takes less than a hash.
const FEW: usize = 4;

/// Values by text.
///
/// Hashed by foldhash, which takes a tenth of the time that the standard
/// library's hasher takes for a key. It is seeded by each process and each set:
/// what is looked up comes from strangers, and what is in a segment may, but
/// keys that collide can only be chosen by one who knows the seed. Foldhash
/// promises less against someone who measures; what that one may win is small,
/// as the parts of a segment hold some hundred keys each.
pub(crate) type ByText<V> = HashMap<Arc<str>, V, RandomState>;

/// A set of texts.
#[derive(Debug)]
pub(crate) enum Texts {
    Few(Box<[Box<str>]>),
    /// Hashed as [`ByText`] is.
    Many(HashSet<Box<str>, RandomState>),
}

impl Texts {
    pub(crate) fn new(texts: &[String]) -> Self {
        texts.iter().map(|text| text.as_str().into()).collect()
    }

    #[inline]
    pub(crate) fn contains(&self, text: &str) -> bool {
        match self {
            Self::Few(texts) => texts.iter().any(|known| **known == *text),
            Self::Many(texts) => is_among(texts, text),
        }
    }

    pub(crate) fn all(&self, mut is_true: impl FnMut(&str) -> bool) -> bool {
        match self {
            Self::Few(texts) => texts.iter().all(|text| is_true(text)),
            Self::Many(texts) => texts.iter().all(|text| is_true(text)),
        }
    }
}

impl Default for Texts {
    fn default() -> Self {
        Self::Few(Box::default())
    }
}

impl FromIterator<Box<str>> for Texts {
    fn from_iter<I: IntoIterator<Item = Box<str>>>(texts: I) -> Self {
        let texts: Vec<_> = texts.into_iter().collect();
        if texts.len() <= FEW {
            Self::Few(texts.into())
        } else {
            Self::Many(texts.into_iter().collect())
        }
    }
}

// Apart, so that comparing a few is small enough to be inlined.
#[inline(never)]
fn is_among(texts: &HashSet<Box<str>, RandomState>, text: &str) -> bool {
    texts.contains(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_its_texts_and_no_others_whether_few_or_many() {
        for count in 0..=2 * FEW {
            let texts: Vec<_> = (0..count).map(|index| format!("text {index}")).collect();
            let set = Texts::new(&texts);
            assert!(texts.iter().all(|text| set.contains(text)), "{set:?}");
            assert!(set.all(|text| texts.iter().any(|it| it == text)));
            assert!(!set.contains(&format!("text {count}")));
            assert!(!set.contains(""));
        }
    }
}
