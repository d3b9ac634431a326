//! From the message of a flag to what is evaluated, or to the first thing in it
//! that is not understood.

use std::collections::HashMap;

use burgee_proto::types::v1 as message;
use burgee_proto::types::v1::{FlagType, Hash, serve};
use prost_types::Value;
use prost_types::value::Kind;

use super::{
    Bucketing, Flag, MutualExclusion, Prerequisite, Rule, Serve, Split, Target, Traffic, Variant,
    VariantIndex,
};
use crate::attribute::Name;
use crate::bucket::BUCKETS;
use crate::condition::{Condition, NESTING_MAX, Names, Scope};
use crate::keys::Texts;
use crate::operators::check_value;
use crate::problem::Problem;

impl Flag {
    /// # Errors
    ///
    /// The first thing that is not understood.
    pub(crate) fn compile(flag: &message::Flag, names: &mut Names) -> Result<Self, Problem> {
        let flag_type = FlagType::try_from(flag.r#type).unwrap_or(FlagType::Unspecified);
        if flag_type == FlagType::Unspecified {
            return Err(Problem::new(
                "type",
                "the type of the flag is not known; set it",
            ));
        }
        let mut compiler = Compiler {
            by_key: index_variants(&flag.variants, flag_type)?,
            scope: Scope::flag(names),
        };
        let off_variant = match flag.off_variant.as_str() {
            "" => None,
            key => Some(
                compiler
                    .variant(key)
                    .map_err(|problem| problem.within("off_variant"))?,
            ),
        };
        let mutual_exclusion = flag.mutual_exclusion.as_ref().map(|exclusion| {
            compiler
                .mutual_exclusion(exclusion)
                .map_err(|problem| problem.within("mutual_exclusion"))
        });
        let targets = each("targets", &flag.targets, |target| compiler.target(target))?;
        let rules = each("rules", &flag.rules, |rule| compiler.rule(rule))?;
        let fallthrough = flag.fallthrough.as_ref().map(|serve| {
            compiler
                .serve(serve)
                .map_err(|problem| problem.within("fallthrough"))
        });
        check_metadata(flag)?;
        Ok(Self {
            flag_type,
            variants: flag.variants.iter().map(Variant::new).collect(),
            enabled: flag.enabled,
            off_variant,
            prerequisites: flag.prerequisites.iter().map(Prerequisite::new).collect(),
            mutual_exclusion: mutual_exclusion.transpose()?,
            targets,
            rules,
            fallthrough: fallthrough.transpose()?,
            metadata: flag.metadata.clone(),
            segments: compiler.scope.into_segments(),
        })
    }
}

impl Variant {
    fn new(variant: &message::Variant) -> Self {
        Self {
            key: variant.key.as_str().into(),
            value: variant.value.clone().unwrap_or_default(),
        }
    }
}

impl Prerequisite {
    fn new(prerequisite: &message::Prerequisite) -> Self {
        let variants = prerequisite.variants.iter();
        Self {
            flag_key: prerequisite.flag_key.as_str().into(),
            variants: variants.map(|key| key.as_str().into()).collect(),
        }
    }
}

/// The variants by key (of two with one key the first), all of them checked.
fn index_variants(
    variants: &[message::Variant],
    flag_type: FlagType,
) -> Result<HashMap<&str, VariantIndex>, Problem> {
    let mut by_key = HashMap::with_capacity(variants.len());
    for (index, variant) in variants.iter().enumerate() {
        check_variant(variant, flag_type)
            .map_err(|problem| problem.within(format!("variants[{index}]")))?;
        by_key.entry(variant.key.as_str()).or_insert(index);
    }
    Ok(by_key)
}

fn check_variant(variant: &message::Variant, flag_type: FlagType) -> Result<(), Problem> {
    if variant.key.is_empty() {
        return Err(Problem::new("key", "a variant needs a key"));
    }
    let value = variant.value.as_ref();
    let value = value.ok_or_else(|| Problem::new("value", "a variant needs a value"))?;
    check_json(value, 1).map_err(|problem| problem.within("value"))?;
    let wanted = match (flag_type, &value.kind) {
        (FlagType::Json, _)
        | (FlagType::Boolean, Some(Kind::BoolValue(_)))
        | (FlagType::String, Some(Kind::StringValue(_)))
        | (FlagType::Number, Some(Kind::NumberValue(_))) => return Ok(()),
        (FlagType::Boolean, _) => "true or false",
        (FlagType::String, _) => "a string",
        (FlagType::Number, _) => "a number",
        (FlagType::Unspecified, _) => "of a known type",
    };
    Err(Problem::new(
        "value",
        format!("must be {wanted}, as the flag's type says"),
    ))
}

/// Every value inside a value must be one too.
fn check_json(value: &Value, depth: usize) -> Result<(), Problem> {
    if depth > NESTING_MAX {
        return Err(Problem::new("", "the value is nested too deeply"));
    }
    check_value(value)?;
    match &value.kind {
        Some(Kind::StructValue(object)) => object
            .fields
            .values()
            .try_for_each(|value| check_json(value, depth + 1)),
        Some(Kind::ListValue(list)) => list
            .values
            .iter()
            .try_for_each(|value| check_json(value, depth + 1)),
        _ => Ok(()),
    }
}

fn check_metadata(flag: &message::Flag) -> Result<(), Problem> {
    let fields = flag.metadata.iter().flat_map(|metadata| &metadata.fields);
    for (name, value) in fields {
        check_json(value, 1).map_err(|problem| problem.within(format!("metadata.{name}")))?;
    }
    Ok(())
}

/// What is known while a flag is compiled.
struct Compiler<'a> {
    by_key: HashMap<&'a str, VariantIndex>,
    scope: Scope<'a>,
}

impl Compiler<'_> {
    fn variant(&self, key: &str) -> Result<VariantIndex, Problem> {
        self.by_key.get(key).copied().ok_or_else(|| {
            let message = format!("the flag has no variant `{key}`; name one of its variants");
            Problem::new("", message)
        })
    }

    fn bucketing(
        &mut self,
        salt: &str,
        bucket_by: &[String],
        hash: i32,
    ) -> Result<Bucketing, Problem> {
        let hash = Hash::try_from(hash)
            .map_err(|_| Problem::new("hash", format!("hash {hash} is not known; name one")))?;
        let mut attributes = each("bucket_by", bucket_by, |name| match name.as_str() {
            "" => Err(Problem::new("", "an attribute needs a name")),
            name => Ok(self.scope.names.name(name)),
        })?;
        if attributes.is_empty() {
            attributes = [Name::TargetingKey].into();
        }
        Ok(Bucketing {
            salt: salt.into(),
            attributes,
            hash,
        })
    }

    fn mutual_exclusion(
        &mut self,
        exclusion: &message::MutualExclusion,
    ) -> Result<MutualExclusion, Problem> {
        let hash = Hash::Burgee as i32;
        Ok(MutualExclusion {
            bucketing: self.bucketing(&exclusion.salt, &exclusion.bucket_by, hash)?,
            slots: each("slots", &exclusion.slots, |slot| {
                Ok((weight("start", slot.start)?, weight("end", slot.end)?))
            })?,
        })
    }

    fn target(&mut self, target: &message::Target) -> Result<Target, Problem> {
        Ok(Target {
            variant: self
                .variant(&target.variant)
                .map_err(|problem| problem.within("variant"))?,
            attribute: self.scope.names.key_name(&target.attribute),
            keys: Texts::new(&target.keys),
        })
    }

    fn rule(&mut self, rule: &message::Rule) -> Result<Rule, Problem> {
        if rule.id.is_empty() {
            return Err(Problem::new("id", "a rule needs an id"));
        }
        let condition = rule.condition.as_ref();
        let condition = condition
            .ok_or_else(|| Problem::new("", "a rule needs a condition"))
            .and_then(|condition| Condition::compile(condition, &mut self.scope))
            .map_err(|problem| problem.within("condition"))?;
        let traffic = rule.traffic.as_ref().map(|traffic| {
            self.traffic(traffic)
                .map_err(|problem| problem.within("traffic"))
        });
        let serve = rule.serve.as_ref();
        Ok(Rule {
            id: rule.id.as_str().into(),
            condition,
            traffic: traffic.transpose()?,
            serve: serve
                .ok_or_else(|| Problem::new("", "a rule must serve something"))
                .and_then(|serve| self.serve(serve))
                .map_err(|problem| problem.within("serve"))?,
        })
    }

    fn traffic(&mut self, traffic: &message::Traffic) -> Result<Traffic, Problem> {
        Ok(Traffic {
            bucketing: self.bucketing(&traffic.salt, &traffic.bucket_by, traffic.hash)?,
            weight: weight("weight", traffic.weight)?,
        })
    }

    fn serve(&mut self, serve: &message::Serve) -> Result<Serve, Problem> {
        match &serve.kind {
            None => Err(Problem::new("", "set a variant or a split")),
            Some(serve::Kind::Variant(key)) => self
                .variant(key)
                .map(Serve::Variant)
                .map_err(|problem| problem.within("variant")),
            Some(serve::Kind::Split(split)) => self
                .split(split)
                .map(Serve::Split)
                .map_err(|problem| problem.within("split")),
        }
    }

    fn split(&mut self, split: &message::Split) -> Result<Split, Problem> {
        let bucketing = self.bucketing(&split.salt, &split.bucket_by, split.hash)?;
        let mut end = 0_u32;
        let parts = each("parts", &split.parts, |part| {
            // Cannot overflow: the sum is checked before it grows further.
            end += weight("weight", part.weight)?;
            if end > BUCKETS {
                let message = format!("the weights sum to more than {BUCKETS}; lower them");
                return Err(Problem::new("weight", message));
            }
            let variant = self.variant(&part.variant);
            Ok((end, variant.map_err(|problem| problem.within("variant"))?))
        })?;
        if end != BUCKETS {
            let message = format!("the weights sum to {end}; they must sum to {BUCKETS}");
            return Err(Problem::new("parts", message));
        }
        Ok(Split { bucketing, parts })
    }
}

/// A weight or a bound of a slot: 0 to 100000.
fn weight(field: &str, weight: i32) -> Result<u32, Problem> {
    u32::try_from(weight)
        .ok()
        .filter(|weight| *weight <= BUCKETS)
        .ok_or_else(|| Problem::new(field, format!("{weight} is not within 0 to {BUCKETS}")))
}

/// Compiles each message of a repeated field, and names the one that fails.
fn each<M, T>(
    field: &str,
    messages: &[M],
    mut compile: impl FnMut(&M) -> Result<T, Problem>,
) -> Result<Box<[T]>, Problem> {
    let compile = |(index, message)| {
        compile(message).map_err(|problem| problem.within(format!("{field}[{index}]")))
    };
    messages.iter().enumerate().map(compile).collect()
}
