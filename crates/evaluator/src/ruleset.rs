//! A compiled ruleset: flags by key, linked to the segments and prerequisites
//! that they name.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use burgee_proto::sync::v1::{Item, ItemKind};
use burgee_proto::types::v1 as message;

use crate::condition::{Names, Scope};
use crate::flag::{Flag, FlagDefinition};
use crate::keys::ByText;
use crate::link::{Problems, link_prerequisites, link_segments};
use crate::problem::Problem;
use crate::segment::{Segment, SegmentDefinition, segment_of_part};
use crate::state::RulesetState;

/// A place among the flags of a ruleset.
pub(crate) type SlotIndex = usize;

/// The segments of a ruleset by key.
pub(crate) type Segments = BTreeMap<Box<str>, Arc<SegmentDefinition>>;

/// A ruleset, ready to be evaluated. Immutable and shared between threads; a
/// clone costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Ruleset {
    slots: Arc<[Slot]>,
    by_key: Arc<ByText<SlotIndex>>,
    segments: Arc<Segments>,
}

/// A flag, and what it is linked to in this ruleset.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) definition: Arc<FlagDefinition>,
    /// By the place that conditions give; none: the segment is missing.
    pub(crate) segments: Box<[Option<Arc<Segment>>]>,
    /// In the order of the flag's prerequisites; none: the flag is missing.
    pub(crate) prerequisites: Box<[Option<SlotIndex>]>,
    /// Why evaluating it is a PARSE_ERROR.
    pub(crate) problem: Option<Arc<str>>,
}

impl Slot {
    /// Whether it is the slot of a definition, and nothing it depends on has a
    /// problem.
    fn is_sound(&self, definition: &Arc<FlagDefinition>) -> bool {
        self.problem.is_none() && Arc::ptr_eq(&self.definition, definition)
    }
}

impl Ruleset {
    /// Compiles everything. Never fails: what is not understood is a
    /// PARSE_ERROR for the flags that depend on it.
    pub fn compile(state: &RulesetState) -> Self {
        Self::default().recompile(state)
    }

    /// Compiles what differs from this ruleset, and links it anew. Items that
    /// have the same content are not looked into, so that a small change of a
    /// large environment costs little, whether it came as a delta or as a
    /// snapshot.
    #[must_use]
    pub fn recompile(&self, state: &RulesetState) -> Self {
        let mut names = Names::default();
        let segments = self.recompile_segments(state, &mut names);
        let mut next = 0;
        let compile = |item: &Arc<Item>| {
            self.known(item, &mut next)
                .unwrap_or_else(|| Arc::new(FlagDefinition::from_item(item, &mut names)))
        };
        let flags = state.items_of(ItemKind::Flag).map(compile).collect();
        self.link(flags, segments)
    }

    /// Compiles a ruleset that did not come as items: a conformance case, a
    /// bootstrap file. Of two flags or segments with one key the first counts.
    pub fn from_message(ruleset: &message::Ruleset) -> Self {
        let mut names = Names::default();
        let mut segments = Segments::new();
        for segment in &ruleset.segments {
            segments
                .entry(segment.key.as_str().into())
                .or_insert_with(|| Arc::new(SegmentDefinition::whole(segment, &mut names)));
        }
        let mut seen = std::collections::HashSet::new();
        let first = ruleset.flags.iter().filter(|flag| seen.insert(&flag.key));
        let flags = first
            .map(|flag| Arc::new(FlagDefinition::from_message(flag, &mut names)))
            .collect();
        Self::default().link(flags, segments)
    }

    /// The keys of all flags.
    pub fn flag_keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.slots.iter().map(|slot| &*slot.definition.key)
    }

    /// Whether client keys may see a flag. None: there is no such flag. A flag
    /// that cannot be decoded is not visible.
    pub fn is_client_visible(&self, flag_key: &str) -> Option<bool> {
        self.definition(flag_key).map(|flag| flag.client_visible)
    }

    /// Why evaluating a flag is a PARSE_ERROR. None: it is not.
    pub fn problem(&self, flag_key: &str) -> Option<&str> {
        self.slot(self.find(flag_key)?)?.problem.as_deref()
    }

    pub(crate) fn find(&self, flag_key: &str) -> Option<SlotIndex> {
        self.by_key.get(flag_key).copied()
    }

    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub(crate) fn slot(&self, index: SlotIndex) -> Option<&Slot> {
        self.slots.get(index)
    }

    pub(crate) fn segment(&self, key: &str) -> Option<&SegmentDefinition> {
        self.segments.get(key).map(Arc::as_ref)
    }

    fn slot_of(&self, flag_key: &str) -> Option<&Slot> {
        self.slot(self.find(flag_key)?)
    }

    fn definition(&self, flag_key: &str) -> Option<&Arc<FlagDefinition>> {
        self.slot_of(flag_key).map(|slot| &slot.definition)
    }

    /// The definition of a flag, if it was made of the same content. Flags come in
    /// the order that they had, so that most are found where the `next` one is
    /// expected.
    fn known(&self, item: &Arc<Item>, next: &mut SlotIndex) -> Option<Arc<FlagDefinition>> {
        let expected = self.slot(*next);
        let index = match expected {
            Some(slot) if slot.definition.source.is(item) => *next,
            _ => self.find(&item.key)?,
        };
        *next = index + 1;
        let definition = &self.slot(index)?.definition;
        let is_same = definition.source.is_same(item);
        is_same.then(|| definition.clone())
    }

    fn recompile_segments(&self, state: &RulesetState, names: &mut Names) -> Segments {
        let mut parts: HashMap<&str, Vec<&Arc<Item>>> = HashMap::new();
        for part in state.items_of(ItemKind::SegmentPart) {
            let segment = segment_of_part(&part.key);
            parts.entry(segment).or_default().push(part);
        }
        let assemble = |item: &Arc<Item>| {
            let key = item.key.as_str();
            let parts = parts.get(key).map(Vec::as_slice).unwrap_or_default();
            let previous = self.segments.get(key);
            let segment = SegmentDefinition::assemble(item, parts, previous, names);
            (key.into(), segment)
        };
        state.items_of(ItemKind::Segment).map(assemble).collect()
    }

    fn link(&self, flags: Vec<Arc<FlagDefinition>>, segments: Segments) -> Self {
        let by_key = self.index(&flags);
        let mut problems = Problems::new(flags.len());
        let is_linked_alike = Arc::ptr_eq(&by_key, &self.by_key) && self.has_segments(&segments);
        let link = |(index, definition)| match self.slot(index) {
            Some(old) if is_linked_alike && old.is_sound(&definition) => Slot {
                segments: old.segments.clone(),
                prerequisites: old.prerequisites.clone(),
                problem: None,
                definition,
            },
            _ => Slot {
                segments: link_segments(&definition, &segments, &mut problems, index),
                prerequisites: link_prerequisites(&definition, &by_key),
                problem: None,
                definition,
            },
        };
        let mut slots: Arc<[Slot]> = flags.into_iter().enumerate().map(link).collect();
        problems.spread(&slots);
        // Nobody else has them yet.
        let unlinked = Arc::get_mut(&mut slots).into_iter().flatten();
        for (slot, problem) in unlinked.zip(problems.into_inner()) {
            slot.problem = problem;
        }
        Self {
            slots,
            by_key,
            segments: Arc::new(segments),
        }
    }

    /// Whether some segments are those of this ruleset.
    fn has_segments(&self, segments: &Segments) -> bool {
        let mut pairs = self.segments.values().zip(segments.values());
        self.segments.len() == segments.len() && pairs.all(|(mine, it)| Arc::ptr_eq(mine, it))
    }

    /// The places of the flags: those of this ruleset if they are the same.
    fn index(&self, flags: &[Arc<FlagDefinition>]) -> Arc<ByText<SlotIndex>> {
        let mine = self.slots.iter().map(|slot| &slot.definition.key);
        if mine.eq(flags.iter().map(|flag| &flag.key)) {
            return self.by_key.clone();
        }
        let places = flags.iter().enumerate();
        Arc::new(
            places
                .map(|(place, flag)| (flag.key.clone(), place))
                .collect(),
        )
    }
}

/// What would make a flag a PARSE_ERROR by itself: for the server, before it
/// stores one. Whether prerequisites form a cycle, and what segments hold, is
/// not looked at.
///
/// # Errors
///
/// The first thing that is not understood, and where it is.
pub fn check_flag(flag: &message::Flag) -> Result<(), Problem> {
    Flag::compile(flag, &mut Names::default()).map(drop)
}

/// What would make a segment not understood.
///
/// # Errors
///
/// The first thing that is not understood, and where it is.
pub fn check_segment(segment: &message::Segment) -> Result<(), Problem> {
    Segment::compile(segment, &mut Names::default()).map(drop)
}

/// What would make a condition of a rule not understood.
///
/// # Errors
///
/// The first thing that is not understood, and where it is.
pub fn check_condition(condition: &message::Condition) -> Result<(), Problem> {
    let mut names = Names::default();
    let mut scope = Scope::flag(&mut names);
    crate::condition::Condition::compile(condition, &mut scope).map(drop)
}

#[cfg(test)]
#[path = "ruleset_tests.rs"]
mod tests;
