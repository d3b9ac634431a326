//! What decides a flag once its prerequisites have passed: mutual exclusion,
//! targets, rules, fallthrough.

use burgee_proto::types::v1::{Reason, RuleOutcome};

use super::Outcome;
use crate::attribute::Attribute;
use crate::bucket::bucket;
use crate::context::Context;
use crate::flag::{
    Bucketing, Flag, MutualExclusion, Rule, Serve, Split, Target, Traffic, VariantIndex,
};
use crate::ruleset::Slot;
use crate::trace::{Bucketed, Note, Trace};

/// Everything after the prerequisites of an enabled flag.
pub(super) fn decide<'a>(
    slot: &'a Slot,
    flag: &'a Flag,
    context: &'a Context,
    trace: &mut impl Trace<'a>,
) -> Outcome {
    if let Some(exclusion) = &flag.mutual_exclusion
        && !exclusion.admits(context, trace)
    {
        return Outcome::off(flag, Reason::MutuallyExcluded);
    }
    let mut targets = flag.targets.iter();
    if let Some(target) = targets.find(|target| target.holds(context, trace)) {
        return Outcome {
            variant: Some(target.variant),
            reason: Reason::Target,
            rule: None,
        };
    }
    decide_rules(slot, flag, context, trace)
        .unwrap_or_else(|| decide_fallthrough(flag, context, trace))
}

/// The first rule that matches.
fn decide_rules<'a>(
    slot: &'a Slot,
    flag: &'a Flag,
    context: &'a Context,
    trace: &mut impl Trace<'a>,
) -> Option<Outcome> {
    flag.rules.iter().enumerate().find_map(|(place, rule)| {
        let served = rule.serve(slot, context, trace);
        trace.note(Note::Rule(served.err().unwrap_or(RuleOutcome::Matched)));
        let (variant, reason) = served.ok()?;
        Some(Outcome {
            variant: Some(variant),
            reason,
            rule: Some(place),
        })
    })
}

fn decide_fallthrough<'a>(
    flag: &'a Flag,
    context: &'a Context,
    trace: &mut impl Trace<'a>,
) -> Outcome {
    let reason = if flag.is_static() {
        Reason::Static
    } else {
        Reason::Default
    };
    let (variant, reason) = match &flag.fallthrough {
        None => (None, reason),
        Some(Serve::Variant(variant)) => (Some(*variant), reason),
        Some(Serve::Split(split)) => match split.variant(context, trace) {
            Some(variant) => (Some(variant), Reason::Split),
            None => return Outcome::off(flag, Reason::Unbucketed),
        },
    };
    Outcome {
        variant,
        reason,
        rule: None,
    }
}

impl Rule {
    /// What it serves, and the reason for that.
    ///
    /// # Errors
    ///
    /// Why it does not match.
    fn serve<'a>(
        &'a self,
        slot: &'a Slot,
        context: &'a Context,
        trace: &mut impl Trace<'a>,
    ) -> Result<(VariantIndex, Reason), RuleOutcome> {
        if !self.condition.is_true(context, &slot.segments, trace) {
            return Err(RuleOutcome::ConditionFalse);
        }
        if let Some(traffic) = &self.traffic
            && !traffic.passes(context, trace)
        {
            return Err(RuleOutcome::TrafficExcluded);
        }
        match &self.serve {
            Serve::Variant(variant) => Ok((*variant, Reason::Rule)),
            Serve::Split(split) => {
                let variant = split.variant(context, trace);
                let variant = variant.ok_or(RuleOutcome::Unbucketed)?;
                Ok((variant, Reason::Split))
            }
        }
    }
}

impl MutualExclusion {
    /// Whether the bucket is in a slot. Without a bucket it is in none.
    fn admits<'a>(&'a self, context: &'a Context, trace: &mut impl Trace<'a>) -> bool {
        let bucketed = self.bucketing.bucket(context);
        let admitted = bucketed.is_some_and(|it| {
            let mut slots = self.slots.iter();
            slots.any(|(start, end)| (*start..*end).contains(&it.bucket))
        });
        trace.note(Note::MutualExclusion { bucketed, admitted });
        admitted
    }
}

impl Target {
    fn holds<'a>(&'a self, context: &'a Context, trace: &mut impl Trace<'a>) -> bool {
        let attribute = context.get(&self.attribute);
        let mut keys = attribute.iter().flat_map(|attribute| attribute.key_texts());
        let listed = keys.find(|key| self.keys.contains(key));
        trace.note(Note::Target(listed));
        listed.is_some()
    }
}

impl Traffic {
    /// Whether the bucket is below the weight. Without a bucket it is not.
    fn passes<'a>(&'a self, context: &'a Context, trace: &mut impl Trace<'a>) -> bool {
        let bucketed = self.bucketing.bucket(context);
        let passed = bucketed.is_some_and(|it| it.bucket < self.weight);
        trace.note(Note::Traffic { bucketed, passed });
        passed
    }
}

impl Split {
    /// The first part whose cumulative weight exceeds the bucket.
    fn variant<'a>(
        &'a self,
        context: &'a Context,
        trace: &mut impl Trace<'a>,
    ) -> Option<VariantIndex> {
        let bucketed = self.bucketing.bucket(context);
        let variant = bucketed.and_then(|it| {
            let part = self.parts.partition_point(|(end, _)| *end <= it.bucket);
            self.parts.get(part).map(|(_, variant)| *variant)
        });
        trace.note(Note::Split { bucketed, variant });
        variant
    }
}

impl Bucketing {
    /// None: no attribute has a key text.
    fn bucket<'a>(&self, context: &'a Context) -> Option<Bucketed<'a>> {
        let mut attributes = self.attributes.iter();
        let key = attributes.find_map(|name| context.get(name).and_then(Attribute::key_text))?;
        Some(Bucketed {
            key,
            bucket: bucket(self.hash, &self.salt, key),
        })
    }
}
