//! Random contexts, made for a ruleset: they have what it asks about.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use crate::json::{message, sorted};
use crate::pieces::{ATTRIBUTES, EDGE_KEYS};
use crate::pools::TEXTS;
use crate::random::Random;
use crate::values;

/// What a ruleset asks about, by attribute: operators, and what they compare with.
/// Lists of keys are asked as EQUALS is; the targeting key's are under the name
/// of the attribute that reads it.
pub(crate) struct Questions(BTreeMap<String, Vec<(String, Json)>>);

impl Questions {
    pub(crate) fn of(ruleset: &Json) -> Self {
        let mut questions = Self(BTreeMap::new());
        questions.find(ruleset);
        questions
    }

    fn find(&mut self, part: &Json) {
        let children: Vec<_> = match part {
            Json::Array(values) => values.iter().collect(),
            Json::Object(fields) => sorted(fields).into_iter().map(|(_, value)| value).collect(),
            _ => return,
        };
        let name = part.get("attribute").and_then(Json::as_str);
        if let Some(operator) = part.get("operator").and_then(Json::as_str) {
            let operator = operator.trim_start_matches("OPERATOR_");
            self.ask(name.unwrap_or_default(), operator, part.get("values"));
        }
        // A target or a segment: the names of segments stand alone.
        for keys in ["keys", "included", "excluded"] {
            if part.get("variant").or(part.get("key")).is_some() {
                self.ask(name.unwrap_or("targetingKey"), "EQUALS", part.get(keys));
            }
        }
        for child in children {
            self.find(child);
        }
    }

    fn ask(&mut self, name: &str, operator: &str, values: Option<&Json>) {
        let questions = self.0.entry(name.to_owned()).or_default();
        for value in values.and_then(Json::as_array).into_iter().flatten() {
            questions.push((operator.to_owned(), value.clone()));
        }
    }

    /// What an attribute may have: near what is asked, strange to it, or anything.
    fn answer(&self, random: &mut Random, name: &str) -> Json {
        let asked = self.0.get(name).map(|it| random.pick(it));
        match asked {
            Some((operator, value)) if random.percent(75) => {
                values::near(random, &operator, &value)
            }
            Some((operator, _)) if random.percent(50) => values::strange(random, &operator),
            _ => values::scalar(random),
        }
    }

    /// The same, or a list of some.
    fn attribute(&self, random: &mut Random, name: &str) -> Json {
        if random.percent(68) {
            return self.answer(random, name);
        }
        let elements = random.some(0, 3, |random| match random.below(8) {
            0 => json!(null),
            1 => random.pick(&[json!([]), json!({}), json!(["a"]), json!({"a": 1})]),
            2 => values::scalar(random),
            _ => self.answer(random, name),
        });
        elements.into()
    }

    /// A context. Each attribute is absent now and then.
    pub(crate) fn context(&self, random: &mut Random) -> Json {
        let mut attributes = Map::new();
        for name in ATTRIBUTES {
            let is_asked = self.0.contains_key(*name) && *name != "targetingKey";
            if random.percent(if is_asked { 70 } else { 10 }) {
                self.place(random, name, &mut attributes);
            }
        }
        let key = self.targeting_key(random);
        if key.is_none() && random.percent(40) {
            self.place(random, "targetingKey", &mut attributes);
        }
        context(key, attributes)
    }

    /// A context that mostly has what is asked about, and nothing else.
    pub(crate) fn short_context(&self, random: &mut Random) -> Json {
        let mut attributes = Map::new();
        let mut key = None;
        for name in self.0.keys() {
            match name.as_str() {
                "targetingKey" if random.percent(50) => key = self.targeting_key(random),
                name if random.percent(93) => self.place(random, name, &mut attributes),
                _ => {}
            }
        }
        context(key, attributes)
    }

    pub(crate) fn targeting_key(&self, random: &mut Random) -> Option<String> {
        if random.percent(15) {
            return None;
        }
        if random.percent(35) {
            return Some(random.pick(EDGE_KEYS).to_owned());
        }
        if random.percent(20) {
            return Some(format!("user-{}", random.below(1000)));
        }
        match self.answer(random, "targetingKey") {
            Json::String(text) => Some(text),
            _ => Some(random.pick(TEXTS).to_owned()),
        }
    }

    /// A dotted name is written with its dot, nested, or both.
    fn place(&self, random: &mut Random, name: &str, attributes: &mut Map<String, Json>) {
        let value = self.attribute(random, name);
        let Some((outer, inner)) = name.split_once('.') else {
            let value = if random.percent(4) { Json::Null } else { value };
            attributes.insert(name.to_owned(), value);
            return;
        };
        let (is_dotted, is_nested) = match random.below(4) {
            0 => (true, false),
            1 => (true, true),
            _ => (false, true),
        };
        if is_nested {
            let nested = json!({inner: value, "z": {"": null}});
            attributes.insert(outer.to_owned(), nested);
        }
        if is_dotted {
            let value = self.attribute(random, name);
            let value = if random.percent(15) {
                Json::Null
            } else {
                value
            };
            attributes.insert(name.to_owned(), value);
        }
    }
}

fn context(targeting_key: Option<String>, attributes: Map<String, Json>) -> Json {
    message(json!({
        "targetingKey": targeting_key,
        "attributes": if attributes.is_empty() { Json::Null } else { attributes.into() },
    }))
}
