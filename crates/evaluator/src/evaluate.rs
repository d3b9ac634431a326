//! The order of steps. Each function here is one sentence of the design.

use std::collections::HashMap;

use burgee_proto::types::v1::{ErrorCode, Evaluation, FlagType, Position, Reason, ValueType};
use prost_types::value::Kind;
use prost_types::{Struct, Value};

use crate::attribute::{Attribute, is_integer};
use crate::bucket::bucket;
use crate::context::Context;
use crate::flag::{Bucketing, Flag, MutualExclusion, Serve, Split, Target, VariantIndex};
use crate::ruleset::{Ruleset, Slot, SlotIndex};

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
struct Outcome {
    variant: Option<VariantIndex>,
    reason: Reason,
    /// The place of the rule that served it.
    rule: Option<usize>,
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
        let Some(index) = self.find(flag_key) else {
            return Evaluated::error(flag_key, ErrorCode::FlagNotFound);
        };
        let Some((slot, flag)) = self.understood(index) else {
            return Evaluated::error(flag_key, ErrorCode::ParseError);
        };
        if !may_be_wanted(flag.flag_type, wanted) {
            return Evaluated::error(flag_key, ErrorCode::TypeMismatch);
        }
        let outcome = self.outcome(index, slot, flag, context);
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
    fn understood(&self, index: SlotIndex) -> Option<(&Slot, &Flag)> {
        let slot = self.slot(index)?;
        match &slot.definition.content {
            Ok(flag) if slot.problem.is_none() => Some((slot, flag)),
            _ => None,
        }
    }

    fn outcome(&self, index: SlotIndex, slot: &Slot, flag: &Flag, context: &Context) -> Outcome {
        if !flag.enabled {
            return Outcome::off(flag, Reason::Disabled);
        }
        if flag.prerequisites.is_empty() {
            return decide(slot, flag, context);
        }
        self.outcome_after_prerequisites(index, context)
            .unwrap_or(Outcome::off(flag, Reason::PrerequisiteFailed))
    }

    /// Walks down the prerequisites with a stack of its own, as chains may be
    /// longer than the thread's stack bears. There are no cycles among flags
    /// that are understood.
    fn outcome_after_prerequisites(&self, index: SlotIndex, context: &Context) -> Option<Outcome> {
        let mut memo = Memo::new();
        // The flag, and the first of its prerequisites that is not decided.
        let mut current = (index, 0);
        let mut waiting: Vec<(SlotIndex, usize)> = Vec::new();
        loop {
            let (index, from) = current;
            let (slot, flag) = self.understood(index)?;
            match self.next_step(slot, flag, from, context, &mut memo) {
                Step::Decided(outcome) => {
                    memo.insert(index, outcome.variant);
                    match waiting.pop() {
                        Some(waiter) => current = waiter,
                        None => return Some(outcome),
                    }
                }
                Step::Needs(prerequisite, place) => {
                    waiting.push((index, place));
                    current = (prerequisite, 0);
                }
            }
        }
    }

    /// Goes on with a flag, from one of its prerequisites on.
    fn next_step(
        &self,
        slot: &Slot,
        flag: &Flag,
        from: usize,
        context: &Context,
        memo: &mut Memo,
    ) -> Step {
        if !flag.enabled {
            return Step::Decided(Outcome::off(flag, Reason::Disabled));
        }
        let links = flag.prerequisites.iter().zip(&slot.prerequisites);
        for (place, (prerequisite, link)) in links.enumerate().skip(from) {
            let found = link.and_then(|index| Some((index, self.understood(index)?)));
            let Some((index, (other_slot, other))) = found else {
                return Step::Decided(Outcome::off(flag, Reason::PrerequisiteFailed));
            };
            let variant = match memo.get(index) {
                Some(variant) => variant,
                None if other.enabled && !other.prerequisites.is_empty() => {
                    return Step::Needs(index, place);
                }
                None => {
                    let outcome = self.outcome(index, other_slot, other, context);
                    memo.insert(index, outcome.variant);
                    outcome.variant
                }
            };
            let variant = variant.and_then(|variant| other.variants.get(variant));
            if !variant.is_some_and(|variant| prerequisite.variants.contains(&variant.key)) {
                return Step::Decided(Outcome::off(flag, Reason::PrerequisiteFailed));
            }
        }
        Step::Decided(decide(slot, flag, context))
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
fn decide(slot: &Slot, flag: &Flag, context: &Context) -> Outcome {
    if let Some(exclusion) = &flag.mutual_exclusion
        && !exclusion.admits(context)
    {
        return Outcome::off(flag, Reason::MutuallyExcluded);
    }
    if let Some(target) = flag.targets.iter().find(|target| target.holds(context)) {
        return Outcome {
            variant: Some(target.variant),
            reason: Reason::Target,
            rule: None,
        };
    }
    decide_rules(slot, flag, context).unwrap_or_else(|| decide_fallthrough(flag, context))
}

/// The first rule that matches.
fn decide_rules(slot: &Slot, flag: &Flag, context: &Context) -> Option<Outcome> {
    flag.rules.iter().enumerate().find_map(|(place, rule)| {
        if !rule.condition.is_true(context, &slot.segments) {
            return None;
        }
        if let Some(traffic) = &rule.traffic
            && traffic.bucketing.bucket(context)? >= traffic.weight
        {
            return None;
        }
        let (variant, reason) = match &rule.serve {
            Serve::Variant(variant) => (*variant, Reason::Rule),
            Serve::Split(split) => (split.variant(context)?, Reason::Split),
        };
        Some(Outcome {
            variant: Some(variant),
            reason,
            rule: Some(place),
        })
    })
}

fn decide_fallthrough(flag: &Flag, context: &Context) -> Outcome {
    let reason = if flag.is_static() {
        Reason::Static
    } else {
        Reason::Default
    };
    let (variant, reason) = match &flag.fallthrough {
        None => (None, reason),
        Some(Serve::Variant(variant)) => (Some(*variant), reason),
        Some(Serve::Split(split)) => match split.variant(context) {
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

impl MutualExclusion {
    /// Whether the bucket is in a slot. Without a bucket it is in none.
    fn admits(&self, context: &Context) -> bool {
        self.bucketing.bucket(context).is_some_and(|bucket| {
            let mut slots = self.slots.iter();
            slots.any(|(start, end)| (*start..*end).contains(&bucket))
        })
    }
}

impl Target {
    fn holds(&self, context: &Context) -> bool {
        context
            .get(&self.attribute)
            .is_some_and(|attribute| attribute.key_texts().any(|key| self.keys.contains(key)))
    }
}

impl Split {
    /// The first part whose cumulative weight exceeds the bucket.
    fn variant(&self, context: &Context) -> Option<VariantIndex> {
        let bucket = self.bucketing.bucket(context)?;
        let part = self.parts.partition_point(|(end, _)| *end <= bucket);
        self.parts.get(part).map(|(_, variant)| *variant)
    }
}

impl Bucketing {
    /// None: no attribute has a key text.
    fn bucket(&self, context: &Context) -> Option<u32> {
        let mut attributes = self.attributes.iter();
        let key = attributes.find_map(|name| context.get(name).and_then(Attribute::key_text))?;
        Some(bucket(self.hash, &self.salt, key))
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
