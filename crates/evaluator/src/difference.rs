//! Which flags a change touches, so that nobody evaluates the others again.

use std::sync::Arc;

use crate::link::dependants;
use crate::ruleset::{Ruleset, Slot, SlotIndex};
use crate::segment::Segment;

impl Ruleset {
    /// The keys, in order, of flags that may evaluate otherwise than in an
    /// older ruleset: new ones and those that are gone, those with other
    /// content, and those that depend on such a flag or on a segment that
    /// changed. Every other flag of either ruleset evaluates the same in both.
    ///
    /// Takes time for each flag and prerequisite, not for what they hold:
    /// content that was not recompiled is the same allocation. (Rulesets that
    /// were compiled independently share none, and every flag may differ.)
    pub fn changed_since(&self, older: &Self) -> Vec<Arc<str>> {
        let mut spreading = Spreading::new(self.slots().len());
        for (index, slot) in self.slots().iter().enumerate() {
            if self.differs(slot, older) {
                spreading.mark(index);
            }
        }
        spreading.spread(self.slots());
        let marked = self.slots().iter().zip(spreading.marked);
        let changed = marked.filter_map(|(slot, marked)| marked.then_some(slot));
        let gone = older.slots().iter().filter(|slot| !self.has(slot));
        let mut keys: Vec<_> = changed
            .chain(gone)
            .map(|slot| slot.definition.key.clone())
            .collect();
        keys.sort_unstable();
        keys
    }

    /// Whether a flag of this ruleset differs by itself, or by a prerequisite
    /// that is gone. Those that are still there speak for themselves.
    fn differs(&self, slot: &Slot, older: &Self) -> bool {
        let old = older.find(&slot.definition.key);
        let Some(old) = old.and_then(|index| older.slot(index)) else {
            return true;
        };
        let mut links = slot.definition.prerequisites().zip(&slot.prerequisites);
        !slot.is_same(old)
            || links.any(|(it, link)| link.is_none() && older.find(&it.flag_key).is_some())
    }

    fn has(&self, slot: &Slot) -> bool {
        self.find(&slot.definition.key).is_some()
    }
}

impl Slot {
    /// Whether the flag and its segments are the same; prerequisites apart.
    fn is_same(&self, older: &Self) -> bool {
        let same_segment = |pair: (&Option<Arc<Segment>>, &Option<Arc<Segment>>)| match pair {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        Arc::ptr_eq(&self.definition, &older.definition)
            && self.problem == older.problem
            && self.segments.iter().zip(&older.segments).all(same_segment)
    }
}

/// Flags that are marked, and those whose dependants are still to be.
struct Spreading {
    marked: Vec<bool>,
    to_visit: Vec<SlotIndex>,
}

impl Spreading {
    fn new(flags: usize) -> Self {
        Self {
            marked: vec![false; flags],
            to_visit: Vec::new(),
        }
    }

    /// Each flag is visited once, so that cycles end.
    fn mark(&mut self, index: SlotIndex) {
        if let Some(marked @ false) = self.marked.get_mut(index) {
            *marked = true;
            self.to_visit.push(index);
        }
    }

    fn spread(&mut self, slots: &[Slot]) {
        if self.to_visit.is_empty() {
            return;
        }
        let dependants = dependants(slots);
        while let Some(index) = self.to_visit.pop() {
            for dependant in dependants.get(&index).into_iter().flatten() {
                self.mark(*dependant);
            }
        }
    }
}
