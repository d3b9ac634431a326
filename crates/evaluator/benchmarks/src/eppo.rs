//! Eppo's engine, the one beneath its SDKs.
//!
//! A rule is an allocation of one rule, and its clauses that rule's conditions; a
//! split is an allocation of two splits, each of one half of the shards. It has no
//! segments: the keys are the values of a condition on the subject's id, which
//! is how Eppo ships an audience of keys. It has neither prerequisites nor
//! changes. Nothing is to be logged (`doLog`), and the time is given, both in its
//! favour.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use eppo_core::eval::get_assignment;
use eppo_core::ufc::{AssignmentValue, UniversalFlagConfig, VariationType};
use eppo_core::{Attributes, Configuration, SdkMetadata, Str};
use serde_json::{Map, Value, json};

use crate::case::Case;
use crate::{COUNTRY, Engine, Environment, Flag, MORE_ATTRIBUTES, PLAN, RULES, Shape};

const SHARDS: u32 = 10_000;

/// Eppo's engine with an environment.
pub struct Eppo(Configuration);

/// Whom Eppo evaluates flags for, and when.
pub struct Subject {
    key: Str,
    attributes: Arc<Attributes>,
    now: DateTime<Utc>,
}

impl Engine for Eppo {
    const NAME: &'static str = "eppo_core";
    type Shipped = Vec<u8>;
    type Change = ();
    type Context = Subject;

    fn has(case: Case) -> bool {
        !matches!(case, Case::Prerequisites | Case::Change)
    }

    fn ship(environment: &Environment) -> Self::Shipped {
        let flags: Map<String, Value> = environment
            .flags
            .iter()
            .filter(|flag| !matches!(flag.shape, Shape::Needs(_)))
            .map(|flag| (flag.key.clone(), express(flag, &environment.segment)))
            .collect();
        let message = json!({
            "createdAt": "2026-01-01T00:00:00Z",
            "format": "SERVER",
            "environment": { "name": "environment" },
            "flags": flags,
        });
        message.to_string().into_bytes()
    }

    fn ship_change(_: &Flag) -> Self::Change {}

    /// Copies the bytes, too, as it keeps them.
    fn compile(shipped: &Self::Shipped) -> Self {
        let metadata = SdkMetadata {
            name: "benchmarks",
            version: "0",
        };
        let flags = UniversalFlagConfig::from_json(metadata, shipped.clone());
        let flags = flags.expect("its own format");
        Self(Configuration::from_server_response(flags, None))
    }

    fn context(user: &str) -> Self::Context {
        let attributes = [("plan", PLAN), ("country", COUNTRY)];
        let attributes = attributes.into_iter().chain(MORE_ATTRIBUTES);
        let attributes = attributes.map(|(name, value)| (name.into(), value.into()));
        Subject {
            key: user.into(),
            attributes: Arc::new(attributes.collect()),
            now: Utc::now(),
        }
    }

    fn is_on(&self, flag: &Flag, context: &Self::Context) -> bool {
        let assignment = get_assignment(
            Some(&self.0),
            &flag.key,
            &context.key,
            &context.attributes,
            Some(VariationType::Boolean),
            context.now,
        );
        let assignment = assignment.ok().flatten();
        assignment.is_some_and(|it| matches!(it.value, AssignmentValue::Boolean(true)))
    }

    fn change(&self, (): &Self::Change) {}
}

fn express(flag: &Flag, segment: &[String]) -> Value {
    let everybody = || split("on", 0..SHARDS, &flag.key);
    let mut allocations = match &flag.shape {
        Shape::Boolean | Shape::Needs(_) => vec![(vec![], vec![everybody()])],
        Shape::FiveRules => (0..RULES)
            .map(|index| (asks_country_and_plan(index), vec![everybody()]))
            .collect(),
        Shape::Segment => vec![(vec![condition("id", segment)], vec![everybody()])],
        Shape::Split => vec![(
            vec![],
            vec![
                split("on", 0..SHARDS / 2, &flag.key),
                split("off", SHARDS / 2..SHARDS, &flag.key),
            ],
        )],
    };
    allocations.push((vec![], vec![split("off", 0..SHARDS, &flag.key)]));
    let allocations: Vec<_> = allocations
        .into_iter()
        .enumerate()
        .map(allocation)
        .collect();
    json!({
        "key": flag.key,
        "enabled": true,
        "variationType": "BOOLEAN",
        "variations": {
            "on": { "key": "on", "value": true },
            "off": { "key": "off", "value": false },
        },
        "allocations": allocations,
        "totalShards": SHARDS,
    })
}

fn allocation((index, (conditions, splits)): (usize, (Vec<Value>, Vec<Value>))) -> Value {
    let rules = if conditions.is_empty() {
        json!([])
    } else {
        json!([{ "conditions": conditions }])
    };
    json!({
        "key": format!("allocation-{index}"),
        "rules": rules,
        "splits": splits,
        "doLog": false,
    })
}

fn split(variation: &str, shards: std::ops::Range<u32>, salt: &str) -> Value {
    let range = json!({ "start": shards.start, "end": shards.end });
    json!({
        "variationKey": variation,
        "shards": [{ "salt": salt, "ranges": [range] }],
    })
}

fn asks_country_and_plan(index: usize) -> Vec<Value> {
    vec![
        condition("country", &[COUNTRY.to_owned()]),
        condition("plan", &[format!("plan-{index}")]),
    ]
}

fn condition(attribute: &str, values: &[String]) -> Value {
    json!({ "attribute": attribute, "operator": "ONE_OF", "value": values })
}
