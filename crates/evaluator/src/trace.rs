//! What an evaluation tells of its steps. The decision code is generic over who
//! listens, so that explaining is evaluating, and evaluating pays nothing for it.

use burgee_proto::types::v1::RuleOutcome;

use crate::attribute::Attribute;
use crate::evaluate::Outcome;
use crate::flag::VariantIndex;
use crate::ruleset::SlotIndex;
use crate::segment::Segment;

/// Hears of every step while a flag is evaluated.
pub(crate) trait Trace<'a> {
    /// Conditions are asked to their end, even where their beginning decided.
    /// Nothing depends on how often a condition is asked.
    const TO_THE_END: bool;

    /// The steps that follow are those of this flag.
    fn enter(&mut self, flag: SlotIndex);

    /// The steps that follow are those of the flag before. None: this one waits
    /// for a prerequisite, and will be entered again.
    fn leave(&mut self, decided: Option<Outcome>);

    /// A step was taken.
    fn note(&mut self, note: Note<'a>);

    /// A segment is asked for. It answers the same each time, so whoever
    /// remembers need not ask again.
    fn membership(
        &mut self,
        _segment: &'a Segment,
        contains: impl FnOnce(&mut Self) -> bool,
    ) -> bool {
        contains(self)
    }
}

/// A step.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Note<'a> {
    /// A prerequisite, and the variant that its flag has.
    Prerequisite {
        variant: Option<&'a str>,
        missing: bool,
        passed: bool,
    },
    MutualExclusion {
        bucketed: Option<Bucketed<'a>>,
        admitted: bool,
    },
    /// A list of targets, and the key text that is in it.
    Target(Option<&'a str>),
    /// A clause, and the attribute that it saw. Its outcome follows.
    Clause(Option<&'a Attribute>),
    /// What a segment's lists hold. Its condition follows if they did not
    /// decide, then its membership.
    SegmentLists {
        excluded: Option<&'a str>,
        included: Option<&'a str>,
    },
    /// Whether the context is in a segment. Alone where the segment is missing,
    /// or was asked for before.
    Membership(bool),
    /// Whether a condition is true, after the notes of what it is made of.
    Condition(bool),
    Traffic {
        bucketed: Option<Bucketed<'a>>,
        passed: bool,
    },
    Split {
        bucketed: Option<Bucketed<'a>>,
        variant: Option<VariantIndex>,
    },
    /// What became of a rule, after its other notes.
    Rule(RuleOutcome),
}

/// A key text, and the bucket it has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucketed<'a> {
    pub(crate) key: &'a str,
    pub(crate) bucket: u32,
}

/// Nobody listens.
pub(crate) struct Silent;

impl Trace<'_> for Silent {
    const TO_THE_END: bool = false;

    fn enter(&mut self, _flag: SlotIndex) {}

    fn leave(&mut self, _decided: Option<Outcome>) {}

    fn note(&mut self, _note: Note<'_>) {}
}
