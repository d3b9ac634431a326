//! Links flags to what they name, and spreads what is not understood to
//! everything that depends on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::flag::{FlagDefinition, Prerequisite};
use crate::keys::ByText;
use crate::ruleset::{Segments, Slot, SlotIndex};
use crate::segment::Segment;

impl FlagDefinition {
    /// None of a flag that is not understood.
    pub(crate) fn prerequisites(&self) -> impl Iterator<Item = &Prerequisite> {
        let understood = self.content.iter();
        understood.flat_map(|flag| &flag.prerequisites)
    }
}

/// The segments that a flag names; a problem of one is the flag's.
pub(crate) fn link_segments(
    flag: &FlagDefinition,
    segments: &Segments,
    problems: &mut Problems,
    index: SlotIndex,
) -> Box<[Option<Arc<Segment>>]> {
    let flag = match &flag.content {
        Ok(flag) => flag,
        Err(problem) => {
            problems.report(index, problem.to_string());
            return Box::default();
        }
    };
    let mut link = |key: &str| match &segments.get(key)?.content {
        Ok(segment) => Some(segment.clone()),
        Err(problem) => {
            problems.report(index, format!("segment `{key}`: {problem}"));
            None
        }
    };
    flag.segments.iter().map(|key| link(key)).collect()
}

/// The places of the flags that a flag has as prerequisites.
pub(crate) fn link_prerequisites(
    flag: &FlagDefinition,
    by_key: &ByText<SlotIndex>,
) -> Box<[Option<SlotIndex>]> {
    let place = |it: &Prerequisite| by_key.get(&*it.flag_key).copied();
    flag.prerequisites().map(place).collect()
}

/// The flags that have a flag as a prerequisite, by its place.
pub(crate) fn dependants(slots: &[Slot]) -> BTreeMap<SlotIndex, Vec<SlotIndex>> {
    let mut dependants: BTreeMap<SlotIndex, Vec<SlotIndex>> = BTreeMap::new();
    for (index, slot) in slots.iter().enumerate() {
        for prerequisite in slot.prerequisites.iter().flatten() {
            dependants.entry(*prerequisite).or_default().push(index);
        }
    }
    dependants
}

/// Why flags are not understood, by their places.
pub(crate) struct Problems(Vec<Option<Arc<str>>>);

impl Problems {
    pub(crate) fn new(flags: usize) -> Self {
        Self(vec![None; flags])
    }

    pub(crate) fn into_inner(self) -> Vec<Option<Arc<str>>> {
        self.0
    }

    /// The first problem of a flag counts.
    fn report(&mut self, index: SlotIndex, message: String) {
        if let Some(problem @ None) = self.0.get_mut(index) {
            *problem = Some(message.into());
        }
    }

    fn has(&self, index: SlotIndex) -> bool {
        matches!(self.0.get(index), Some(Some(_)))
    }

    /// Spreads problems from prerequisites to dependants, and finds cycles.
    ///
    /// Kahn's algorithm: a flag is settled once all of its prerequisites are.
    /// What is never settled is on a cycle, or depends on one. Without
    /// recursion, as chains may be long.
    pub(crate) fn spread(&mut self, slots: &[Slot]) {
        let dependants = dependants(slots);
        let mut unsettled: BTreeMap<SlotIndex, usize> = BTreeMap::new();
        for dependant in dependants.values().flatten() {
            *unsettled.entry(*dependant).or_default() += 1;
        }
        let mut settled: Vec<SlotIndex> = dependants
            .keys()
            .filter(|index| !unsettled.contains_key(index))
            .copied()
            .collect();
        while let Some(index) = settled.pop() {
            for dependant in dependants.get(&index).into_iter().flatten() {
                if self.has(index) {
                    let key = slots.get(index).map_or("", |slot| &*slot.definition.key);
                    self.report(
                        *dependant,
                        format!("prerequisite `{key}` is not understood"),
                    );
                }
                let Some(left) = unsettled.get_mut(dependant) else {
                    continue;
                };
                *left -= 1;
                if *left == 0 {
                    unsettled.remove(dependant);
                    settled.push(*dependant);
                }
            }
        }
        for index in unsettled.into_keys() {
            self.report(index, "its prerequisites form a cycle".to_owned());
        }
    }
}
