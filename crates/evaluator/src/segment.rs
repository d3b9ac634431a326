//! Segments, compiled: key lists as sets, long ones in the parts they came in.

use std::collections::BTreeMap;
use std::sync::Arc;

use burgee_proto::sync::v1::Item;
use burgee_proto::types::v1 as message;

use crate::attribute::Name;
use crate::bucket::segment_part;
use crate::condition::{Condition, Names, Scope};
use crate::context::Context;
use crate::keys::Texts;
use crate::problem::Problem;
use crate::source::{Source, decode, decode_any, is_same};
use crate::trace::{Note, Trace};

/// How many parts a segment's long lists are divided into.
const PARTS: usize = 256;

/// A named set of contexts.
#[derive(Debug)]
pub(crate) struct Segment {
    attribute: Name,
    own: KeyLists,
    /// By the lowest byte of a key's hash: a look-up touches one. Empty, or
    /// [`PARTS`] long.
    parts: Box<[Option<Arc<Part>>]>,
    /// Parts with keys that belong elsewhere. No server ships any, but a
    /// segment's lists are the union whatever the parts are named.
    misplaced: Box<[Arc<Part>]>,
    condition: Option<Condition>,
}

#[derive(Debug, Default)]
struct KeyLists {
    included: Texts,
    excluded: Texts,
}

impl KeyLists {
    fn new(included: &[String], excluded: &[String]) -> Self {
        Self {
            included: Texts::new(included),
            excluded: Texts::new(excluded),
        }
    }
}

/// One item of kind SEGMENT_PART.
#[derive(Debug)]
struct Part {
    item: Arc<Item>,
    lists: Result<KeyLists, Problem>,
    /// Which part it is, if all its keys belong there.
    index: Option<usize>,
}

impl Segment {
    /// No key text excluded, and one included or the condition true.
    pub(crate) fn contains<'a>(&'a self, context: &'a Context, trace: &mut impl Trace<'a>) -> bool {
        let (excluded, included) = self.listed(context);
        trace.note(Note::SegmentLists { excluded, included });
        if excluded.is_some() || included.is_some() {
            return excluded.is_none();
        }
        let condition = self.condition.as_ref();
        condition.is_some_and(|condition| condition.is_true(context, &[], trace))
    }

    /// The first key text that is excluded, and without one the first that is
    /// included.
    fn listed<'a>(&self, context: &'a Context) -> (Option<&'a str>, Option<&'a str>) {
        let attribute = context.get(&self.attribute);
        let mut included = None;
        for key in attribute.iter().flat_map(|attribute| attribute.key_texts()) {
            for lists in self.lists_for(key) {
                if lists.excluded.contains(key) {
                    return (Some(key), None);
                }
                if included.is_none() && lists.included.contains(key) {
                    included = Some(key);
                }
            }
        }
        (None, included)
    }

    /// The lists that may hold a key.
    fn lists_for(&self, key: &str) -> impl Iterator<Item = &KeyLists> {
        let part = if self.parts.is_empty() {
            None
        } else {
            self.parts.get(usize::from(segment_part(key)))
        };
        let part = part.and_then(Option::as_ref);
        let parts = part.into_iter().chain(&self.misplaced);
        std::iter::once(&self.own).chain(parts.filter_map(|part| part.lists.as_ref().ok()))
    }

    /// # Errors
    ///
    /// What is not understood.
    pub(crate) fn compile(message: &message::Segment, names: &mut Names) -> Result<Self, Problem> {
        let condition = message.condition.as_ref().map(|condition| {
            Condition::compile(condition, &mut Scope::segment(names))
                .map_err(|problem| problem.within("condition"))
        });
        Ok(Self {
            condition: condition.transpose()?,
            attribute: names.key_name(&message.attribute),
            own: KeyLists::new(&message.included, &message.excluded),
            parts: Box::default(),
            misplaced: Box::default(),
        })
    }
}

/// A segment as it came, understood or not.
#[derive(Debug)]
pub(crate) struct SegmentDefinition {
    /// Without its lists if it came whole.
    pub(crate) source: Source<message::Segment>,
    parts: Vec<Arc<Part>>,
    pub(crate) content: Result<Arc<Segment>, Problem>,
}

impl SegmentDefinition {
    /// From a message that holds whole lists.
    pub(crate) fn whole(message: &message::Segment, names: &mut Names) -> Self {
        Self {
            source: Source::Message(message::Segment {
                key: message.key.clone(),
                attribute: message.attribute.clone(),
                condition: message.condition.clone(),
                ..message::Segment::default()
            }),
            parts: Vec::new(),
            content: Segment::compile(message, names).map(Arc::new),
        }
    }

    /// From the items of a ruleset; `previous` gives what has not changed.
    pub(crate) fn assemble(
        item: &Arc<Item>,
        parts: &[&Arc<Item>],
        previous: Option<&Arc<Self>>,
        names: &mut Names,
    ) -> Arc<Self> {
        if let Some(previous) = previous.filter(|previous| previous.is_made_of(item, parts)) {
            return previous.clone();
        }
        let known: BTreeMap<&str, &Arc<Part>> = previous
            .iter()
            .flat_map(|previous| &previous.parts)
            .map(|part| (part.item.key.as_str(), part))
            .collect();
        let parts: Vec<_> = parts
            .iter()
            .map(|part| match known.get(part.key.as_str()) {
                Some(known) if is_same(&known.item, part) => (*known).clone(),
                _ => Arc::new(Part::compile(part)),
            })
            .collect();
        let content = decode(item, |segment: &message::Segment| &segment.key)
            .and_then(|message| Segment::compile(&message, names))
            .and_then(|segment| segment.with_parts(&parts))
            .map(Arc::new);
        Arc::new(Self {
            source: Source::Item(item.clone()),
            parts,
            content,
        })
    }

    fn is_made_of(&self, item: &Arc<Item>, parts: &[&Arc<Item>]) -> bool {
        let same_parts = || {
            self.parts
                .iter()
                .zip(parts)
                .all(|(mine, part)| mine.item.key == part.key && is_same(&mine.item, part))
        };
        self.source.is_same(item) && self.parts.len() == parts.len() && same_parts()
    }
}

impl Segment {
    fn with_parts(mut self, parts: &[Arc<Part>]) -> Result<Self, Problem> {
        if parts.is_empty() {
            return Ok(self);
        }
        let mut placed = vec![None; PARTS];
        let mut misplaced = Vec::new();
        for part in parts {
            if let Err(problem) = &part.lists {
                let item = &part.item.key;
                return Err(problem.clone().within(format!("part {item}")));
            }
            match part.index.and_then(|index| placed.get_mut(index)) {
                Some(place) => *place = Some(part.clone()),
                None => misplaced.push(part.clone()),
            }
        }
        self.parts = placed.into();
        self.misplaced = misplaced.into();
        Ok(self)
    }
}

impl Part {
    fn compile(item: &Arc<Item>) -> Self {
        // A part has no key of its own to compare with the item's.
        let lists = decode_any(item)
            .map(|part: message::SegmentPart| KeyLists::new(&part.included, &part.excluded));
        let named = part_index(&item.key);
        let belongs = |index: &u8| {
            lists.as_ref().is_ok_and(|lists| {
                let belongs = |key: &str| segment_part(key) == *index;
                lists.included.all(belongs) && lists.excluded.all(belongs)
            })
        };
        Self {
            index: named.filter(belongs).map(usize::from),
            item: item.clone(),
            lists,
        }
    }
}

/// The key of the segment that a part belongs to: all before the last slash.
pub(crate) fn segment_of_part(key: &str) -> &str {
    key.rsplit_once('/').map_or(key, |(segment, _)| segment)
}

/// `00` to `ff` after the last slash.
fn part_index(key: &str) -> Option<u8> {
    let (_, index) = key.rsplit_once('/')?;
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if index.len() != 2 || !index.bytes().all(is_hex) {
        return None;
    }
    u8::from_str_radix(index, 16).ok()
}
