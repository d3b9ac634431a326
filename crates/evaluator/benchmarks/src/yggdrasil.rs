//! Unleash's engine, the one beneath its newer SDKs.
//!
//! A rule is a strategy and its clauses the strategy's constraints; the segment is
//! a segment of one constraint on the user's id. The attributes are properties of
//! the context. `is_enabled` answers whether a flag is on. For a split that is the
//! variant, by `get_variant`: two variants of equal weight, sticky on the user's
//! id. A parent may not have a parent, so that there are no chains of
//! prerequisites. "All" is a loop over `is_enabled` and `get_variant`, which costs
//! less than `resolve_all`, as that asks for the variant of every flag.

use serde_json::{Value, json};
use unleash_types::client_features::{ClientFeaturesDelta, Context};
use unleash_yggdrasil::{ClientFeatures, EngineState};

use crate::case::Case;
use crate::{COUNTRY, Engine, Environment, Flag, MORE_ATTRIBUTES, PLAN, RULES, Shape};

const SEGMENT: i32 = 1;
const ON: &str = "on";
const OFF: &str = "off";

/// Unleash's engine with an environment.
pub struct Yggdrasil(EngineState);

impl Engine for Yggdrasil {
    const NAME: &'static str = "yggdrasil";
    type Shipped = Vec<u8>;
    type Change = Vec<u8>;
    type Context = Context;

    fn has(case: Case) -> bool {
        case != Case::Prerequisites
    }

    fn ship(environment: &Environment) -> Self::Shipped {
        let in_segment = constraint("userId", &environment.segment);
        let known = environment
            .flags
            .iter()
            .filter(|flag| !matches!(flag.shape, Shape::Needs(_)));
        let features: Vec<_> = known.map(express).collect();
        let message = json!({
            "version": 2,
            "features": features,
            "segments": [{ "id": SEGMENT, "constraints": [in_segment] }],
        });
        message.to_string().into_bytes()
    }

    fn ship_change(flag: &Flag) -> Self::Change {
        let event = json!({ "type": "feature-updated", "eventId": 2, "feature": express(flag) });
        json!({ "events": [event] }).to_string().into_bytes()
    }

    fn compile(shipped: &Self::Shipped) -> Self {
        let features: ClientFeatures = serde_json::from_slice(shipped).expect("its own format");
        let engine = EngineState::default();
        let warnings = engine.apply_client_features(features);
        assert!(warnings.is_none(), "everything compiles");
        Self(engine)
    }

    fn context(user: &str) -> Self::Context {
        let attributes = [("plan", PLAN), ("country", COUNTRY)];
        let attributes = attributes.into_iter().chain(MORE_ATTRIBUTES);
        let properties = attributes.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Context {
            user_id: Some(user.to_owned()),
            session_id: None,
            environment: None,
            app_name: None,
            current_time: None,
            remote_address: None,
            properties: Some(properties.collect()),
        }
    }

    fn is_on(&self, flag: &Flag, context: &Self::Context) -> bool {
        match flag.shape {
            Shape::Split => self.0.get_variant(&flag.key, context, &None).name == ON,
            _ => self.0.is_enabled(&flag.key, context, &None),
        }
    }

    /// It keeps the change. That is the same to the next one, as it always
    /// compiles everything.
    fn change(&self, change: &Self::Change) {
        let delta: ClientFeaturesDelta = serde_json::from_slice(change).expect("its own format");
        assert!(self.0.apply_delta(&delta).is_none(), "everything compiles");
    }
}

fn express(flag: &Flag) -> Value {
    let strategies = match &flag.shape {
        Shape::FiveRules => (0..RULES).map(asks_country_and_plan).collect(),
        Shape::Segment => vec![json!({ "name": "default", "segments": [SEGMENT] })],
        Shape::Split => vec![json!({
            "name": "flexibleRollout",
            "parameters": { "rollout": "100", "stickiness": "userId", "groupId": flag.key },
            "variants": [
                { "name": ON, "weight": 500, "stickiness": "userId" },
                { "name": OFF, "weight": 500, "stickiness": "userId" },
            ],
        })],
        Shape::Boolean | Shape::Needs(_) => vec![json!({ "name": "default" })],
    };
    json!({ "name": flag.key, "enabled": true, "strategies": strategies })
}

fn asks_country_and_plan(index: usize) -> Value {
    let constraints = [
        constraint("country", &[COUNTRY.to_owned()]),
        constraint("plan", &[format!("plan-{index}")]),
    ];
    json!({ "name": "default", "constraints": constraints })
}

fn constraint(name: &str, values: &[String]) -> Value {
    json!({ "contextName": name, "operator": "IN", "values": values })
}
