//! Flags, compiled: variants by index, target lists as sets, cumulative weights.

mod compile;

use std::sync::Arc;

use burgee_proto::sync::v1::Item;
use burgee_proto::types::v1 as message;
use burgee_proto::types::v1::{FlagType, Hash};
use prost_types::{Struct, Value};

use crate::attribute::Name;
use crate::condition::{Condition, Names};
use crate::keys::Texts;
use crate::problem::Problem;
use crate::source::{Source, decode};

/// A place in [`Flag::variants`].
pub(crate) type VariantIndex = usize;

/// What one environment has for one flag.
#[derive(Debug)]
pub(crate) struct Flag {
    pub(crate) flag_type: FlagType,
    pub(crate) variants: Box<[Variant]>,
    pub(crate) enabled: bool,
    pub(crate) off_variant: Option<VariantIndex>,
    pub(crate) prerequisites: Box<[Prerequisite]>,
    pub(crate) mutual_exclusion: Option<MutualExclusion>,
    pub(crate) targets: Box<[Target]>,
    pub(crate) rules: Box<[Rule]>,
    pub(crate) fallthrough: Option<Serve>,
    pub(crate) metadata: Option<Struct>,
    /// The keys of the segments that conditions name, by place.
    pub(crate) segments: Box<[Box<str>]>,
}

#[derive(Debug)]
pub(crate) struct Variant {
    pub(crate) key: Box<str>,
    pub(crate) value: Value,
}

#[derive(Debug)]
pub(crate) struct Prerequisite {
    pub(crate) flag_key: Box<str>,
    pub(crate) variants: Box<[Box<str>]>,
}

#[derive(Debug)]
pub(crate) struct MutualExclusion {
    pub(crate) bucketing: Bucketing,
    /// Half-open ranges.
    pub(crate) slots: Box<[(u32, u32)]>,
}

#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) variant: VariantIndex,
    pub(crate) attribute: Name,
    pub(crate) keys: Texts,
}

#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: Box<str>,
    pub(crate) condition: Condition,
    pub(crate) traffic: Option<Traffic>,
    pub(crate) serve: Serve,
}

#[derive(Debug)]
pub(crate) struct Traffic {
    pub(crate) bucketing: Bucketing,
    pub(crate) weight: u32,
}

#[derive(Debug)]
pub(crate) enum Serve {
    Variant(VariantIndex),
    Split(Split),
}

#[derive(Debug)]
pub(crate) struct Split {
    pub(crate) bucketing: Bucketing,
    /// The first bucket beyond each part, ascending, and its variant.
    pub(crate) parts: Box<[(u32, VariantIndex)]>,
}

/// How a context gets a bucket.
#[derive(Debug)]
pub(crate) struct Bucketing {
    pub(crate) salt: Box<str>,
    /// The first that has a key text is hashed.
    pub(crate) attributes: Box<[Name]>,
    pub(crate) hash: Hash,
}

impl Flag {
    /// Whether nothing but the fallthrough can be served while it is enabled.
    pub(crate) fn is_static(&self) -> bool {
        self.prerequisites.is_empty()
            && self.mutual_exclusion.is_none()
            && self.targets.is_empty()
            && self.rules.is_empty()
    }
}

/// A flag as it came, understood or not.
#[derive(Debug)]
pub(crate) struct FlagDefinition {
    pub(crate) key: Arc<str>,
    pub(crate) source: Source<message::Flag>,
    /// False where it cannot be known.
    pub(crate) client_visible: bool,
    pub(crate) content: Result<Flag, Problem>,
}

impl FlagDefinition {
    pub(crate) fn from_message(flag: &message::Flag, names: &mut Names) -> Self {
        Self {
            key: flag.key.as_str().into(),
            source: Source::Message(flag.clone()),
            client_visible: flag.client_visible,
            content: Flag::compile(flag, names),
        }
    }

    pub(crate) fn from_item(item: &Arc<Item>, names: &mut Names) -> Self {
        let decoded = decode(item, |flag: &message::Flag| &flag.key);
        Self {
            key: item.key.as_str().into(),
            source: Source::Item(item.clone()),
            client_visible: decoded.as_ref().is_ok_and(|flag| flag.client_visible),
            content: decoded.and_then(|flag| Flag::compile(&flag, names)),
        }
    }
}
