//! The order of steps. Each function here is one sentence of the design.

use std::collections::HashMap;

use burgee_proto::types::v1::{
    ErrorCode, Evaluation, FlagType, Position, Reason, RuleOutcome, ValueType,
};
use prost_types::value::Kind;
use prost_types::{Struct, Value};

use crate::attribute::{Attribute, is_integer};
use crate::bucket::bucket;
use crate::context::Context;
use crate::flag::{
    Bucketing, Flag, MutualExclusion, Rule, Serve, Split, Target, Traffic, VariantIndex,
};
use crate::ruleset::{Ruleset, Slot, SlotIndex};
use crate::trace::{Bucketed, Note, Silent, Trace};

/// How many prerequisites of one evaluation are memoised without allocating.
const MEMO_INLINE: usize = 16;

/// What a flag is for a context, and why. Borrows from the ruleset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluated<'a> {
    /// The flag that was asked for.
    pub flag_key: &'a str,
    /// Absent on ERROR, and where the flag has no value: the caller's default
    /// holds then.
    pub value: Option<&'a Value>,
    /// The key of the variant.
    pub variant: Option<&'a str>,
    /// Why.
    pub reason: Reason,
    /// The rule that served it, if a rule did.
    pub rule_id: Option<&'a str>,
    /// What went wrong; unspecified unless the reason is ERROR.
    pub error_code: ErrorCode,
    /// The flag's metadata. None on ERROR.
    pub metadata: Option<&'a Struct>,
}

impl<'a> Evaluated<'a> {
    /// A result with reason ERROR: what a context that exceeds a limit gets
    /// (INVALID_CONTEXT), or a caller without a ruleset (PROVIDER_NOT_READY).
    pub fn error(flag_key: &'a str, error_code: ErrorCode) -> Self {
        Self {
            flag_key,
            value: None,
            variant: None,
            reason: Reason::Error,
            rule_id: None,
            error_code,
            metadata: None,
        }
    }

    /// The message, with the position of the ruleset.
    pub fn to_message(&self, position: Position) -> Evaluation {
        Evaluation {
            flag_key: self.flag_key.to_owned(),
            value: self.value.cloned(),
            variant: self.variant.unwrap_or_default().to_owned(),
            reason: self.reason as i32,
            rule_id: self.rule_id.unwrap_or_default().to_owned(),
            error_code: self.error_code as i32,
            position: Some(position),
            metadata: self.metadata.cloned(),
        }
    }
}

/// What was decided for a flag that is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) variant: Option<VariantIndex>,
    pub(crate) reason: Reason,
    /// The place of the rule that served it.
    pub(crate) rule: Option<usize>,
}

impl Outcome {
    fn off(flag: &Flag, reason: Reason) -> Self {
        Self {
            variant: flag.off_variant,
            reason,
            rule: None,
        }
    }
}

impl Ruleset {
    /// Evaluates a flag. Pure, and without allocating: only chains of
    /// prerequisites, more than 16 of them, and `ignore_case` on text with
    /// capitals do.
    pub fn evaluate<'a>(
        &'a self,
        flag_key: &'a str,
        context: &Context,
        wanted: ValueType,
    ) -> Evaluated<'a> {
        self.evaluate_telling(flag_key, context, wanted, &mut Silent)
    }

    /// Evaluates every flag for one context, in the order of
    /// [`flag_keys`](Self::flag_keys).
    pub fn evaluate_all<'a>(
        &'a self,
        context: &'a Context,
    ) -> impl ExactSizeIterator<Item = Evaluated<'a>> {
        self.slots().iter().enumerate().map(|(index, slot)| {
            let key = &slot.definition.key;
            self.evaluate_at(index, key, context, ValueType::Unspecified, &mut Silent)
        })
    }

    /// Evaluates a flag, and tells every step.
    pub(crate) fn evaluate_telling<'a: 't, 't>(
        &'a self,
        flag_key: &'a str,
        context: &'t Context,
        wanted: ValueType,
        trace: &mut impl Trace<'t>,
    ) -> Evaluated<'a> {
        match self.find(flag_key) {
            Some(index) => self.evaluate_at(index, flag_key, context, wanted, trace),
            None => Evaluated::error(flag_key, ErrorCode::FlagNotFound),
        }
    }

    fn evaluate_at<'a: 't, 't>(
        &'a self,
        index: SlotIndex,
        flag_key: &'a str,
        context: &'t Context,
        wanted: ValueType,
        trace: &mut impl Trace<'t>,
    ) -> Evaluated<'a> {
        let Some((slot, flag)) = self.understood(index) else {
            return Evaluated::error(flag_key, ErrorCode::ParseError);
        };
        if !may_be_wanted(flag.flag_type, wanted) {
            return Evaluated::error(flag_key, ErrorCode::TypeMismatch);
        }
        let outcome = self.outcome(index, slot, flag, context, trace);
        let variant = outcome
            .variant
            .and_then(|variant| flag.variants.get(variant));
        if wanted == ValueType::Integer && variant.is_some_and(|it| !holds_integer(&it.value)) {
            return Evaluated::error(flag_key, ErrorCode::TypeMismatch);
        }
        let rule = outcome.rule.and_then(|rule| flag.rules.get(rule));
        Evaluated {
            flag_key,
            value: variant.map(|variant| &variant.value),
            variant: variant.map(|variant| &*variant.key),
            reason: outcome.reason,
            rule_id: rule.map(|rule| &*rule.id),
            error_code: ErrorCode::Unspecified,
            metadata: flag.metadata.as_ref(),
        }
    }

    /// A flag that can be evaluated.
    pub(crate) fn understood(&self, index: SlotIndex) -> Option<(&Slot, &Flag)> {
        let slot = self.slot(index)?;
        match &slot.definition.content {
            Ok(flag) if slot.problem.is_none() => Some((slot, flag)),
            _ => None,
        }
    }

    fn outcome<'a>(
        &'a self,
        index: SlotIndex,
        slot: &'a Slot,
        flag: &'a Flag,
        context: &'a Context,
        trace: &mut impl Trace<'a>,
    ) -> Outcome {
        if flag.enabled && !flag.prerequisites.is_empty() {
            return self
                .outcome_after_prerequisites(index, context, trace)
                .unwrap_or(Outcome::off(flag, Reason::PrerequisiteFailed));
        }
        trace.enter(index);
        let outcome = if flag.enabled {
            decide(slot, flag, context, trace)
        } else {
            Outcome::off(flag, Reason::Disabled)
        };
        trace.leave(Some(outcome));
        outcome
    }

    /// Walks down the prerequisites with a stack of its own, as chains may be
    /// longer than the thread's stack bears. There are no cycles among flags
    /// that are understood.
    fn outcome_after_prerequisites<'a>(
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

/// Everything after the prerequisites of an enabled flag.
fn decide<'a>(
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

fn may_be_wanted(flag_type: FlagType, wanted: ValueType) -> bool {
    match wanted {
        ValueType::Unspecified => true,
        ValueType::Boolean => flag_type == FlagType::Boolean,
        ValueType::String => flag_type == FlagType::String,
        ValueType::Number | ValueType::Integer => flag_type == FlagType::Number,
        ValueType::Json => flag_type == FlagType::Json,
    }
}

fn holds_integer(value: &Value) -> bool {
    matches!(value.kind, Some(Kind::NumberValue(number)) if is_integer(number))
}
