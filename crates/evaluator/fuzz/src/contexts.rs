//! Contexts, against a plain reading of how they are flattened.

use std::collections::BTreeMap;

use burgee_evaluator::context::{
    LIST_ELEMENTS_MAX, NAME_BYTES_MAX, NAMES_MAX, PATH_KEYS_MAX, STRING_BYTES_MAX,
    TARGETING_KEY_BYTES_MAX, TOTAL_BYTES_MAX,
};
use burgee_evaluator::{Context, Ruleset};
use burgee_proto::types::v1 as types;
use burgee_proto::types::v1::condition::Kind as ConditionKind;
use burgee_proto::types::v1::{Clause, Condition, EvaluationContext, Operator, Reason, ValueType};
use prost::Message;
use prost_types::Value;
use prost_types::value::Kind;

use super::builders::asks;
use super::generate::Generator;

/// How many attributes of one context are asked for.
const ASKED_MAX: usize = 12;

/// The first byte says whether the others are the bytes of a context, or what
/// one is made of.
pub fn contexts(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    let message = match first % 3 {
        0 => match EvaluationContext::decode(rest) {
            Ok(message) => message,
            Err(_) => return,
        },
        1 => Generator::sound(rest).context(),
        _ => Generator::wild(rest).context(),
    };
    let flattened = Flattened::new(&message);
    match Context::new(&message) {
        Ok(context) => {
            assert_eq!(flattened.exceeded(&message), None);
            check_attributes(&flattened, &context);
        }
        Err(error) => assert!(flattened.exceeded(&message).is_some(), "{error}"),
    }
}

/// What a context says, by name: one value, or the elements of a list.
#[derive(Default)]
pub(super) struct Flattened {
    /// None, or one element.
    targeting_key: Vec<Value>,
    attributes: BTreeMap<String, Vec<Value>>,
    lists: Vec<String>,
    is_too_deep: bool,
}

impl Flattened {
    pub(super) fn new(message: &EvaluationContext) -> Self {
        let mut flattened = Self::default();
        if !message.targeting_key.is_empty() {
            let key = Kind::StringValue(message.targeting_key.clone());
            flattened.targeting_key.push(key.into());
        }
        if let Some(attributes) = &message.attributes {
            flattened.add_fields("", &attributes.fields, 1);
        }
        flattened
    }

    fn add_fields(&mut self, prefix: &str, fields: &BTreeMap<String, Value>, depth: usize) {
        self.is_too_deep |= depth > PATH_KEYS_MAX && !fields.is_empty();
        let mut fields: Vec<_> = fields.iter().collect();
        fields.sort_by_key(|(key, _)| std::cmp::Reverse(key.len()));
        for (key, value) in fields {
            let name = format!("{prefix}{key}");
            match &value.kind {
                Some(Kind::StructValue(object)) => {
                    self.add_fields(&format!("{name}."), &object.fields, depth + 1);
                }
                Some(Kind::ListValue(list)) => {
                    if !self.attributes.contains_key(&name) {
                        self.lists.push(name.clone());
                    }
                    let elements = list.values.iter().filter(|value| is_scalar(value));
                    let elements = elements.cloned().collect();
                    self.attributes.entry(name).or_insert(elements);
                }
                _ if is_scalar(value) => {
                    self.attributes
                        .entry(name)
                        .or_insert_with(|| vec![value.clone()]);
                }
                _ => {}
            }
        }
    }

    /// The targeting key, if there is one.
    pub(super) fn targeting_key(&self) -> Option<&[Value]> {
        Some(&*self.targeting_key).filter(|key| !key.is_empty())
    }

    /// What a name reads, and whether that is a list.
    pub(super) fn attribute(&self, name: &str) -> Option<(&[Value], bool)> {
        let targeting_key = self.targeting_key().filter(|_| name == "targetingKey");
        if let Some(key) = targeting_key {
            return Some((key, false));
        }
        let elements = self.attributes.get(name)?;
        Some((elements, self.lists.iter().any(|list| list == name)))
    }

    /// A limit that is exceeded.
    fn exceeded(&self, message: &EvaluationContext) -> Option<&'static str> {
        let strings = || self.attributes.values().flatten().filter_map(as_text);
        let names = || self.attributes.keys();
        let total: usize = names().map(String::len).sum();
        let total = total + strings().map(str::len).sum::<usize>();
        let mut lists = self.lists.iter().map(|name| self.attributes[name].len());
        [
            (self.is_too_deep, "keys of a path"),
            (
                message.targeting_key.len() > TARGETING_KEY_BYTES_MAX,
                "the targeting key",
            ),
            (names().len() > NAMES_MAX, "names"),
            (names().any(|it| it.len() > NAME_BYTES_MAX), "a name"),
            (strings().any(|it| it.len() > STRING_BYTES_MAX), "a string"),
            (lists.any(|it| it > LIST_ELEMENTS_MAX), "a list"),
            (total > TOTAL_BYTES_MAX, "the total"),
        ]
        .into_iter()
        .find_map(|(exceeded, limit)| exceeded.then_some(limit))
    }
}

/// Strings, booleans, and numbers that JSON has.
fn is_scalar(value: &Value) -> bool {
    match &value.kind {
        Some(Kind::NumberValue(number)) => number.is_finite(),
        Some(Kind::StringValue(_) | Kind::BoolValue(_)) => true,
        _ => false,
    }
}

fn as_text(value: &Value) -> Option<&str> {
    match &value.kind {
        Some(Kind::StringValue(text)) => Some(text),
        _ => None,
    }
}

/// That each attribute is there with each of its values, and no other is.
fn check_attributes(flattened: &Flattened, context: &Context) {
    let absent = "a name that nobody gave";
    let ask = |name: &str, operator, values: &[Value]| {
        let clause = Clause {
            attribute: name.to_owned(),
            operator: operator as i32,
            values: values.to_vec(),
            ignore_case: false,
        };
        let condition = Condition {
            kind: Some(ConditionKind::Clause(clause)),
        };
        let ruleset = Ruleset::from_message(&types::Ruleset {
            flags: vec![asks("f", condition)],
            segments: Vec::new(),
        });
        let evaluated = ruleset.evaluate("f", context, ValueType::Unspecified);
        evaluated.reason == Reason::Rule
    };
    assert!(!ask(absent, Operator::Exists, &[]));
    let asked = flattened.attributes.iter().take(ASKED_MAX);
    // That name may be read as the targeting key.
    for (name, elements) in asked.filter(|(name, _)| *name != "targetingKey") {
        assert!(ask(name, Operator::Exists, &[]), "{name}");
        for element in elements.iter().take(ASKED_MAX) {
            let wanted = std::slice::from_ref(element);
            assert!(ask(name, Operator::Equals, wanted), "{name} {element:?}");
        }
        let other = Kind::StringValue("no value that was given".to_owned()).into();
        assert!(!ask(name, Operator::Equals, &[other]), "{name}");
    }
}
