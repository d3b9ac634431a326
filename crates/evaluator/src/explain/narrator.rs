//! Walks the message of a flag along the notes of its evaluation.

use std::collections::HashSet;

use burgee_proto::types::v1 as message;
use burgee_proto::types::v1::{
    BucketExplanation, FlagExplanation, MutualExclusionExplanation, PrerequisiteExplanation,
    Reason, RuleExplanation, RuleOutcome, SegmentExplanation, ServeExplanation, SplitExplanation,
    SplitRange, TargetExplanation, TrafficExplanation, serve,
};

use super::{Recorded, VALUES_BYTES_MAX};
use crate::bucket::BUCKETS;
use crate::flag::{Flag, VariantIndex};
use crate::ruleset::Ruleset;
use crate::trace::{Bucketed, Note};

/// The notes of one flag that are not told yet. Each function that tells
/// something takes the notes that the decision code made for it, in its order.
pub(super) type Notes<'n, 'a> = std::iter::Copied<std::slice::Iter<'n, Note<'a>>>;

/// Tells steps, and remembers what the flags of one explanation share.
pub(super) struct Narrator<'r> {
    pub(super) ruleset: &'r Ruleset,
    pub(super) segments: Vec<SegmentExplanation>,
    /// The segments that are told.
    pub(super) told: HashSet<String>,
    values_bytes_left: usize,
    truncated: bool,
}

impl<'r> Narrator<'r> {
    pub(super) fn new(ruleset: &'r Ruleset) -> Self {
        Self {
            ruleset,
            segments: Vec::new(),
            told: HashSet::new(),
            values_bytes_left: VALUES_BYTES_MAX,
            truncated: false,
        }
    }

    pub(super) fn is_truncated(&self) -> bool {
        self.truncated
    }

    pub(super) fn into_segments(self) -> Vec<SegmentExplanation> {
        self.segments
    }

    /// Whether so many bytes of values may still be told.
    pub(super) fn take(&mut self, values_bytes: usize) -> bool {
        let left = self.values_bytes_left.checked_sub(values_bytes);
        self.truncated |= left.is_none();
        self.values_bytes_left = left.unwrap_or(self.values_bytes_left);
        left.is_some()
    }

    /// The steps of a flag that was decided.
    pub(super) fn flag(&mut self, recorded: &Recorded<'_>) -> FlagExplanation {
        let told = self.ruleset.understood(recorded.flag);
        let Some(((slot, flag), outcome)) = told.zip(recorded.outcome) else {
            return FlagExplanation::default();
        };
        let variant = |index: VariantIndex| flag.variants.get(index).map(|it| it.key.to_string());
        let rule = outcome.rule.and_then(|rule| flag.rules.get(rule));
        let mut explanation = FlagExplanation {
            flag_key: slot.definition.key.to_string(),
            variant: outcome.variant.and_then(variant).unwrap_or_default(),
            reason: outcome.reason.into(),
            rule_id: rule.map(|rule| rule.id.to_string()).unwrap_or_default(),
            enabled: flag.enabled,
            ..FlagExplanation::default()
        };
        if let Some(message) = slot.definition.source.message().filter(|_| flag.enabled) {
            let notes = recorded.notes.iter().copied();
            self.steps(&message, flag, notes, &mut explanation);
        }
        explanation
    }

    /// The steps of a flag that is on.
    fn steps(
        &mut self,
        message: &message::Flag,
        flag: &Flag,
        mut notes: Notes<'_, '_>,
        explanation: &mut FlagExplanation,
    ) {
        let reason = explanation.reason();
        for wanted in &message.prerequisites {
            let Some(told) = prerequisite(wanted, &mut notes) else {
                return;
            };
            let passed = told.passed;
            explanation.prerequisites.push(told);
            if !passed {
                return;
            }
        }
        if let Some(exclusion) = &message.mutual_exclusion {
            explanation.mutual_exclusion = mutual_exclusion(exclusion, &mut notes);
        }
        if reason == Reason::MutuallyExcluded {
            return;
        }
        for list in &message.targets {
            let Some(Note::Target(key)) = notes.next() else {
                return;
            };
            explanation.targets.push(TargetExplanation {
                variant: list.variant.clone(),
                attribute: list.attribute.clone(),
                key: key.map(str::to_owned),
            });
            if key.is_some() {
                return;
            }
        }
        for rule in &message.rules {
            let told = self.rule(rule, flag, &mut notes);
            let matched = told.outcome() == RuleOutcome::Matched;
            explanation.rules.push(told);
            if matched {
                return;
            }
        }
        let fallthrough = message.fallthrough.as_ref();
        explanation.fallthrough = fallthrough.map(|served| serve(served, flag, &mut notes));
    }

    fn rule(
        &mut self,
        rule: &message::Rule,
        flag: &Flag,
        notes: &mut Notes<'_, '_>,
    ) -> RuleExplanation {
        let mut told = RuleExplanation {
            id: rule.id.clone(),
            ..RuleExplanation::default()
        };
        if let Some(asked) = &rule.condition {
            told.condition = Some(self.condition(asked, notes));
        }
        let applies = told.condition.as_ref().is_some_and(|it| it.outcome);
        if applies && let Some(gate) = &rule.traffic {
            told.traffic = traffic(gate, notes);
        }
        let passed = told.traffic.as_ref().is_none_or(|gate| gate.passed);
        if applies && passed {
            let served = rule.serve.as_ref();
            told.serve = served.map(|served| serve(served, flag, notes));
        }
        if let Some(Note::Rule(outcome)) = notes.next() {
            told.set_outcome(outcome);
        }
        told
    }
}

fn prerequisite(
    wanted: &message::Prerequisite,
    notes: &mut Notes<'_, '_>,
) -> Option<PrerequisiteExplanation> {
    let Some(Note::Prerequisite {
        variant,
        missing,
        passed,
    }) = notes.next()
    else {
        return None;
    };
    Some(PrerequisiteExplanation {
        flag_key: wanted.flag_key.clone(),
        wanted: wanted.variants.clone(),
        variant: variant.unwrap_or_default().to_owned(),
        missing,
        passed,
    })
}

fn mutual_exclusion(
    exclusion: &message::MutualExclusion,
    notes: &mut Notes<'_, '_>,
) -> Option<MutualExclusionExplanation> {
    let Some(Note::MutualExclusion { bucketed, admitted }) = notes.next() else {
        return None;
    };
    let hash = message::Hash::Burgee.into();
    Some(MutualExclusionExplanation {
        bucket: Some(bucket(
            &exclusion.salt,
            &exclusion.bucket_by,
            hash,
            bucketed,
        )),
        slots: exclusion.slots.clone(),
        admitted,
    })
}

fn traffic(gate: &message::Traffic, notes: &mut Notes<'_, '_>) -> Option<TrafficExplanation> {
    let Some(Note::Traffic { bucketed, passed }) = notes.next() else {
        return None;
    };
    Some(TrafficExplanation {
        bucket: Some(bucket(&gate.salt, &gate.bucket_by, gate.hash, bucketed)),
        weight: gate.weight,
        passed,
    })
}

fn serve(served: &message::Serve, flag: &Flag, notes: &mut Notes<'_, '_>) -> ServeExplanation {
    match &served.kind {
        None => ServeExplanation::default(),
        Some(serve::Kind::Variant(variant)) => ServeExplanation {
            variant: variant.clone(),
            split: None,
        },
        Some(serve::Kind::Split(split)) => {
            let Some(Note::Split { bucketed, variant }) = notes.next() else {
                return ServeExplanation::default();
            };
            let variant = variant.and_then(|index| flag.variants.get(index));
            ServeExplanation {
                variant: variant.map(|it| it.key.to_string()).unwrap_or_default(),
                split: Some(SplitExplanation {
                    bucket: Some(bucket(&split.salt, &split.bucket_by, split.hash, bucketed)),
                    ranges: ranges(split),
                }),
            }
        }
    }
}

fn ranges(split: &message::Split) -> Vec<SplitRange> {
    let mut start = 0_i32;
    let range = |part: &message::SplitPart| {
        let range = SplitRange {
            variant: part.variant.clone(),
            start,
            end: start.saturating_add(part.weight),
        };
        start = range.end;
        range
    };
    split.parts.iter().map(range).collect()
}

fn bucket(
    salt: &str,
    bucket_by: &[String],
    hash: i32,
    bucketed: Option<Bucketed<'_>>,
) -> BucketExplanation {
    let burgee = message::Hash::Burgee.into();
    let unset: i32 = message::Hash::Unspecified.into();
    BucketExplanation {
        bucket_by: bucket_by.to_vec(),
        hash: if hash == unset { burgee } else { hash },
        salt: salt.to_owned(),
        key: bucketed.map(|it| it.key.to_owned()),
        // Below BUCKETS, so it fits.
        bucket: bucketed.map(|it| i32::try_from(it.bucket.min(BUCKETS)).unwrap_or_default()),
    }
}
