//! What the design says that a flag is for a context, written plainly: on
//! messages, with nothing compiled and nothing shared.

use std::collections::{BTreeMap, BTreeSet};

use burgee_evaluator::{Item, LEVEL, RulesetState, bucket, check_flag, check_segment};
use burgee_proto::sync::v1::ItemKind;
use burgee_proto::types::v1::condition::Kind;
use burgee_proto::types::v1::{
    Condition, ErrorCode, Evaluation, Flag, FlagType, Hash, Position, Reason, Segment, SegmentPart,
    Serve, Split, ValueType, serve,
};
use prost::Message;
use prost_types::Value;
use prost_types::value::Kind as ValueKind;

use super::clause_model::holds;
use super::contexts::Flattened;

/// The largest integer that a double holds without a gap below it.
const INTEGER_MAX: f64 = 9_007_199_254_740_991.0;

/// The flags and segments of a ruleset. None: not understood.
pub(super) struct Model {
    flags: BTreeMap<String, Option<Flag>>,
    segments: BTreeMap<String, Option<Segment>>,
}

/// What was decided for a flag that is understood.
struct Outcome {
    variant: String,
    reason: Reason,
    rule_id: String,
}

impl Model {
    pub(super) fn new(state: &RulesetState) -> Self {
        let flags = state.items_of(ItemKind::Flag).map(|item| {
            let flag = decode::<Flag>(item).filter(|flag| flag.key == item.key);
            (
                item.key.clone(),
                flag.filter(|flag| check_flag(flag).is_ok()),
            )
        });
        let segments = state.items_of(ItemKind::Segment).map(|item| {
            let segment = decode::<Segment>(item).filter(|segment| segment.key == item.key);
            let segment = segment.filter(|segment| check_segment(segment).is_ok());
            (
                item.key.clone(),
                segment.and_then(|it| with_parts(it, state)),
            )
        });
        Self {
            flags: flags.collect(),
            segments: segments.collect(),
        }
    }

    pub(super) fn evaluate(
        &self,
        key: &str,
        context: &Flattened,
        wanted: ValueType,
        position: Position,
    ) -> Evaluation {
        let error = |code: ErrorCode| Evaluation {
            flag_key: key.to_owned(),
            reason: Reason::Error.into(),
            error_code: code.into(),
            position: Some(position),
            ..Evaluation::default()
        };
        let Some(flag) = self.flags.get(key) else {
            return error(ErrorCode::FlagNotFound);
        };
        let Some(flag) = flag.as_ref().filter(|_| self.is_understood(key)) else {
            return error(ErrorCode::ParseError);
        };
        if !may_be_wanted(flag.r#type(), wanted) {
            return error(ErrorCode::TypeMismatch);
        }
        let outcome = self.outcome(flag, context);
        let mut variants = flag.variants.iter();
        let variant = variants.find(|variant| variant.key == outcome.variant);
        let value = variant.and_then(|variant| variant.value.clone());
        if wanted == ValueType::Integer && value.iter().any(|value| integer(value).is_none()) {
            return error(ErrorCode::TypeMismatch);
        }
        Evaluation {
            flag_key: key.to_owned(),
            value,
            variant: outcome.variant,
            reason: outcome.reason.into(),
            rule_id: outcome.rule_id,
            error_code: ErrorCode::Unspecified.into(),
            position: Some(position),
            metadata: flag.metadata.clone(),
        }
    }

    /// Whether a flag, and all that it reaches, is understood, and none of that
    /// reaches itself.
    fn is_understood(&self, key: &str) -> bool {
        let mut reached = self.reached_from(key);
        reached.insert(key.to_owned());
        reached.iter().all(|key| {
            let is_on_cycle = self.reached_from(key).contains(key);
            let flag = self.flags.get(key).and_then(Option::as_ref);
            !is_on_cycle && flag.is_some_and(|flag| self.knows_segments(flag))
        })
    }

    /// The flags that a flag reaches through prerequisites; those that exist.
    fn reached_from(&self, key: &str) -> BTreeSet<String> {
        let mut reached = BTreeSet::new();
        let mut to_visit = vec![key.to_owned()];
        while let Some(key) = to_visit.pop() {
            let flag = self.flags.get(&key).and_then(Option::as_ref);
            for prerequisite in flag.iter().flat_map(|flag| &flag.prerequisites) {
                let key = &prerequisite.flag_key;
                if self.flags.contains_key(key) && reached.insert(key.clone()) {
                    to_visit.push(key.clone());
                }
            }
        }
        reached
    }

    fn knows_segments(&self, flag: &Flag) -> bool {
        let mut conditions = flag.rules.iter().flat_map(|rule| &rule.condition);
        conditions.all(|condition| self.knows_segments_of(condition))
    }

    fn knows_segments_of(&self, condition: &Condition) -> bool {
        match &condition.kind {
            Some(Kind::Segment(segments)) => {
                let mut keys = segments.keys.iter();
                keys.all(|key| !matches!(self.segments.get(key), Some(None)))
            }
            Some(Kind::All(all)) => all.conditions.iter().all(|it| self.knows_segments_of(it)),
            Some(Kind::Any(any)) => any.conditions.iter().all(|it| self.knows_segments_of(it)),
            Some(Kind::Not(not)) => not.condition.iter().all(|it| self.knows_segments_of(it)),
            Some(Kind::Clause(_)) | None => true,
        }
    }

    fn outcome(&self, flag: &Flag, context: &Flattened) -> Outcome {
        let decided = |variant: &str, reason| Outcome {
            variant: variant.to_owned(),
            reason,
            rule_id: String::new(),
        };
        let off = |reason| decided(&flag.off_variant, reason);
        if !flag.enabled {
            return off(Reason::Disabled);
        }
        for prerequisite in &flag.prerequisites {
            let other = self.flags.get(&prerequisite.flag_key);
            let other = other.and_then(Option::as_ref);
            let variant = other.map(|other| self.outcome(other, context).variant);
            let variant = variant.filter(|variant| !variant.is_empty());
            if !variant.is_some_and(|variant| prerequisite.variants.contains(&variant)) {
                return off(Reason::PrerequisiteFailed);
            }
        }
        if let Some(exclusion) = &flag.mutual_exclusion {
            let bucket = bucket_of(context, Hash::Burgee, &exclusion.salt, &exclusion.bucket_by);
            let mut slots = exclusion.slots.iter();
            if !slots.any(|slot| bucket.is_some_and(|it| slot.start <= it && it < slot.end)) {
                return off(Reason::MutuallyExcluded);
            }
        }
        for target in &flag.targets {
            let mut texts = key_texts(context, &target.attribute).into_iter();
            if texts.any(|text| target.keys.contains(&text)) {
                return decided(&target.variant, Reason::Target);
            }
        }
        self.rules(flag, context)
            .unwrap_or_else(|| match &flag.fallthrough {
                Some(Serve {
                    kind: Some(serve::Kind::Split(split)),
                }) => match split_variant(context, split) {
                    Some(variant) => decided(&variant, Reason::Split),
                    None => off(Reason::Unbucketed),
                },
                Some(Serve {
                    kind: Some(serve::Kind::Variant(variant)),
                }) => decided(variant, usual_reason(flag)),
                _ => decided("", usual_reason(flag)),
            })
    }

    fn rules(&self, flag: &Flag, context: &Flattened) -> Option<Outcome> {
        flag.rules.iter().find_map(|rule| {
            let condition = rule.condition.as_ref()?;
            if !self.is_true(condition, context) {
                return None;
            }
            if let Some(gate) = &rule.traffic {
                let bucket = bucket_of(context, gate.hash(), &gate.salt, &gate.bucket_by)?;
                if bucket >= gate.weight {
                    return None;
                }
            }
            let (variant, reason) = match rule.serve.as_ref()?.kind.as_ref()? {
                serve::Kind::Variant(variant) => (variant.clone(), Reason::Rule),
                serve::Kind::Split(split) => (split_variant(context, split)?, Reason::Split),
            };
            Some(Outcome {
                variant,
                reason,
                rule_id: rule.id.clone(),
            })
        })
    }

    fn is_true(&self, condition: &Condition, context: &Flattened) -> bool {
        match condition.kind.as_ref().expect("the flag is understood") {
            Kind::Clause(clause) => holds(clause, context),
            Kind::Segment(segments) => segments.keys.iter().any(|key| {
                let segment = self.segments.get(key).and_then(Option::as_ref);
                segment.is_some_and(|segment| self.contains(segment, context))
            }),
            Kind::All(all) => all.conditions.iter().all(|it| self.is_true(it, context)),
            Kind::Any(any) => any.conditions.iter().any(|it| self.is_true(it, context)),
            Kind::Not(not) => !not.condition.iter().all(|it| self.is_true(it, context)),
        }
    }

    fn contains(&self, segment: &Segment, context: &Flattened) -> bool {
        let texts = key_texts(context, &segment.attribute);
        let lists = |list: &[String]| texts.iter().any(|text| list.contains(text));
        let condition = segment.condition.as_ref();
        !lists(&segment.excluded)
            && (lists(&segment.included) || condition.is_some_and(|it| self.is_true(it, context)))
    }
}

fn decode<M: Message + Default>(item: &Item) -> Option<M> {
    let is_known = item.level <= LEVEL;
    is_known.then(|| M::decode(&*item.body).ok()).flatten()
}

/// A segment's lists are the union over its parts. None: one is not understood.
fn with_parts(mut segment: Segment, state: &RulesetState) -> Option<Segment> {
    for item in state.items_of(ItemKind::SegmentPart) {
        let belongs_to = item.key.rsplit_once('/').map_or(&*item.key, |(key, _)| key);
        if belongs_to == segment.key {
            let part: SegmentPart = decode(item)?;
            segment.included.extend(part.included);
            segment.excluded.extend(part.excluded);
        }
    }
    Some(segment)
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

fn usual_reason(flag: &Flag) -> Reason {
    let has_steps = !flag.prerequisites.is_empty()
        || flag.mutual_exclusion.is_some()
        || !flag.targets.is_empty()
        || !flag.rules.is_empty();
    if has_steps {
        Reason::Default
    } else {
        Reason::Static
    }
}

fn integer(value: &Value) -> Option<i64> {
    match &value.kind {
        Some(ValueKind::NumberValue(it)) if it.fract() == 0.0 && it.abs() <= INTEGER_MAX => {
            Some(*it as i64)
        }
        _ => None,
    }
}

fn key_text(value: &Value) -> Option<String> {
    match &value.kind {
        Some(ValueKind::StringValue(text)) => Some(text.clone()).filter(|it| !it.is_empty()),
        _ => integer(value).map(|integer| integer.to_string()),
    }
}

/// The key texts of an attribute, or of the targeting key where it has no name.
fn key_texts(context: &Flattened, name: &str) -> Vec<String> {
    let elements = match name {
        "" => context.targeting_key(),
        name => context.attribute(name).map(|(elements, _)| elements),
    };
    let elements = elements.unwrap_or_default();
    elements.iter().filter_map(key_text).collect()
}

fn bucket_of(context: &Flattened, hash: Hash, salt: &str, bucket_by: &[String]) -> Option<i32> {
    let of = |name: &String| match context.attribute(name) {
        Some((elements, false)) => elements.first().and_then(key_text),
        _ => None,
    };
    let key = if bucket_by.is_empty() {
        key_texts(context, "").pop()
    } else {
        bucket_by.iter().find_map(of)
    };
    i32::try_from(bucket::bucket(hash, salt, &key?)).ok()
}

fn split_variant(context: &Flattened, split: &Split) -> Option<String> {
    let bucket = bucket_of(context, split.hash(), &split.salt, &split.bucket_by)?;
    let mut end = 0;
    let mut parts = split.parts.iter();
    let part = parts.find(|part| {
        end += part.weight;
        bucket < end
    });
    part.map(|part| part.variant.clone())
}
