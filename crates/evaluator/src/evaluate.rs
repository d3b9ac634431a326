//! The order of steps. Each function here is one sentence of the design.

mod decide;
mod prerequisites;

use burgee_proto::types::v1::{ErrorCode, Evaluation, FlagType, Position, Reason, ValueType};
use prost_types::value::Kind;
use prost_types::{Struct, Value};

use crate::attribute::is_integer;
use crate::context::Context;
use crate::flag::{Flag, VariantIndex};
use crate::ruleset::{Ruleset, Slot, SlotIndex};
use crate::trace::{Silent, Trace};

use self::decide::decide;

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
