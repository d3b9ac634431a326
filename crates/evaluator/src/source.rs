//! What a flag or a segment was compiled from.

use std::borrow::Cow;
use std::sync::Arc;

use burgee_proto::sync::v1::Item;

use crate::LEVEL;
use crate::problem::Problem;

/// Where a definition came from: kept to tell later items from it, and to
/// explain it in its own words.
#[derive(Debug)]
pub(crate) enum Source<M> {
    /// An item of a ruleset.
    Item(Arc<Item>),
    /// A message that came whole.
    Message(M),
}

impl<M: prost::Message + Default + Clone> Source<M> {
    /// Whether it was made of this very item.
    pub(crate) fn is(&self, item: &Arc<Item>) -> bool {
        matches!(self, Self::Item(mine) if Arc::ptr_eq(mine, item))
    }

    /// Whether it was made of an item with the same content.
    pub(crate) fn is_same(&self, item: &Arc<Item>) -> bool {
        matches!(self, Self::Item(mine) if is_same(mine, item))
    }

    /// The message. None: it cannot be decoded.
    pub(crate) fn message(&self) -> Option<Cow<'_, M>> {
        match self {
            Self::Item(item) => M::decode(&*item.body).ok().map(Cow::Owned),
            Self::Message(message) => Some(Cow::Borrowed(message)),
        }
    }
}

/// Whether two items of one kind and key have the same content.
pub(crate) fn is_same(one: &Arc<Item>, other: &Arc<Item>) -> bool {
    Arc::ptr_eq(one, other) || (one.level == other.level && one.body == other.body)
}

/// The message in an item, if its level is understood and its key is the item's.
pub(crate) fn decode<M: prost::Message + Default>(
    item: &Item,
    key: impl Fn(&M) -> &String,
) -> Result<M, Problem> {
    let message = decode_any(item)?;
    if *key(&message) != item.key {
        return Err(Problem::new("key", "differs from the key of its item"));
    }
    Ok(message)
}

/// The message in an item, if its level is understood.
pub(crate) fn decode_any<M: prost::Message + Default>(item: &Item) -> Result<M, Problem> {
    if item.level > LEVEL {
        let level = item.level;
        return Err(Problem::new(
            "",
            format!("needs an evaluator of level {level}; this one is of level {LEVEL}"),
        ));
    }
    M::decode(&*item.body).map_err(|_| Problem::new("", "its bytes cannot be decoded"))
}
