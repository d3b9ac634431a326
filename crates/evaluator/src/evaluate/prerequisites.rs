//! Prerequisites: flags that must be decided first, each once.

use std::collections::HashMap;

use burgee_proto::types::v1::Reason;

use super::Outcome;
use super::decide::decide;
use crate::context::Context;
use crate::flag::{Flag, VariantIndex};
use crate::ruleset::{Ruleset, Slot, SlotIndex};
use crate::trace::{Note, Trace};

/// How many prerequisites of one evaluation are memoised without allocating.
const MEMO_INLINE: usize = 16;

impl Ruleset {
    /// Walks down the prerequisites with a stack of its own, as chains may be
    /// longer than the thread's stack bears. There are no cycles among flags
    /// that are understood.
    pub(super) fn outcome_after_prerequisites<'a>(
        &'a self,
        index: SlotIndex,
        context: &'a Context,
        trace: &mut impl Trace<'a>,
    ) -> Option<Outcome> {
        let mut memo = Memo::new();
        // The flag, and the first of its prerequisites that is not decided.
        let mut current = (index, 0);
        let mut waiting: Vec<(SlotIndex, usize)> = Vec::new();
        loop {
            let (index, from) = current;
            let (slot, flag) = self.understood(index)?;
            trace.enter(index);
            match self.next_step(slot, flag, from, context, &mut memo, trace) {
                Step::Decided(outcome) => {
                    trace.leave(Some(outcome));
                    memo.insert(index, outcome.variant);
                    match waiting.pop() {
                        Some(waiter) => current = waiter,
                        None => return Some(outcome),
                    }
                }
                Step::Needs(prerequisite, place) => {
                    trace.leave(None);
                    waiting.push((index, place));
                    current = (prerequisite, 0);
                }
            }
        }
    }

    /// Goes on with a flag, from one of its prerequisites on.
    fn next_step<'a>(
        &'a self,
        slot: &'a Slot,
        flag: &'a Flag,
        from: usize,
        context: &'a Context,
        memo: &mut Memo,
        trace: &mut impl Trace<'a>,
    ) -> Step {
        if !flag.enabled {
            return Step::Decided(Outcome::off(flag, Reason::Disabled));
        }
        let links = flag.prerequisites.iter().zip(&slot.prerequisites);
        for (place, (prerequisite, link)) in links.enumerate().skip(from) {
            let found = link.and_then(|index| Some((index, self.understood(index)?)));
            let Some((index, (other_slot, other))) = found else {
                trace.note(Note::Prerequisite {
                    variant: None,
                    missing: true,
                    passed: false,
                });
                return Step::Decided(Outcome::off(flag, Reason::PrerequisiteFailed));
            };
            let variant = match memo.get(index) {
                Some(variant) => variant,
                None if other.enabled && !other.prerequisites.is_empty() => {
                    return Step::Needs(index, place);
                }
                None => {
                    let outcome = self.outcome(index, other_slot, other, context, trace);
                    memo.insert(index, outcome.variant);
                    outcome.variant
                }
            };
            let variant = variant.and_then(|variant| other.variants.get(variant));
            let passed =
                variant.is_some_and(|variant| prerequisite.variants.contains(&variant.key));
            trace.note(Note::Prerequisite {
                variant: variant.map(|variant| &*variant.key),
                missing: false,
                passed,
            });
            if !passed {
                return Step::Decided(Outcome::off(flag, Reason::PrerequisiteFailed));
            }
        }
        Step::Decided(decide(slot, flag, context, trace))
    }
}

enum Step {
    Decided(Outcome),
    /// A prerequisite must be decided first, then the flag from that place on.
    Needs(SlotIndex, usize),
}

/// The variants of prerequisites that this evaluation has decided.
struct Memo {
    inline: [Option<(SlotIndex, Option<VariantIndex>)>; MEMO_INLINE],
    rest: HashMap<SlotIndex, Option<VariantIndex>>,
}

impl Memo {
    fn new() -> Self {
        Self {
            inline: [None; MEMO_INLINE],
            rest: HashMap::new(),
        }
    }

    fn get(&self, index: SlotIndex) -> Option<Option<VariantIndex>> {
        let inline = self.inline.iter().flatten();
        inline
            .filter(|(known, _)| *known == index)
            .map(|(_, variant)| *variant)
            .next()
            .or_else(|| self.rest.get(&index).copied())
    }

    fn insert(&mut self, index: SlotIndex, variant: Option<VariantIndex>) {
        match self.inline.iter_mut().find(|entry| entry.is_none()) {
            Some(entry) => *entry = Some((index, variant)),
            None => {
                self.rest.insert(index, variant);
            }
        }
    }
}
