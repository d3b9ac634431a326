//! Contexts.

use burgee_proto::types::v1::EvaluationContext;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

use super::{ATTRIBUTES, Generator, KEYS};

/// Longer than any limit on text or lists, by a little.
const LENGTHS: &[usize] = &[1, 1000, 1001, 1024, 1025, 8192, 8193, 65_536];

impl Generator<'_> {
    /// A context that is within the limits unless it is wild.
    pub(crate) fn context(&mut self) -> EvaluationContext {
        EvaluationContext {
            targeting_key: self.targeting_key(),
            attributes: (!self.once_in(8)).then(|| self.attributes(ATTRIBUTES.len())),
        }
    }

    fn targeting_key(&mut self) -> String {
        match self.below(8) {
            6 => String::new(),
            7 => self.text(),
            _ if self.oddly() => self.long_text(),
            _ => self.pick(KEYS).to_owned(),
        }
    }

    fn attributes(&mut self, most: usize) -> Struct {
        let mut fields = self.some(most, |it| {
            let name = it.name();
            (name, it.attribute_value(3))
        });
        if self.oddly() {
            let count = 250 + self.below(10);
            fields.extend((0..count).map(|index| (format!("n{index}"), self.scalar())));
        }
        Struct {
            fields: fields.into_iter().collect(),
        }
    }

    /// A name of an attribute or of an object that holds some.
    fn name(&mut self) -> String {
        match self.below(8) {
            5 => "user".to_owned(),
            6 => self.text(),
            7 => "user.plan".to_owned(),
            _ if self.oddly() => self.long_text(),
            _ => self.pick(ATTRIBUTES).to_owned(),
        }
    }

    fn attribute_value(&mut self, depth: usize) -> Value {
        if self.oddly() {
            return self.long_value();
        }
        match self.below(8) {
            5 if depth > 0 => Kind::StructValue(Struct {
                fields: self
                    .some(3, |it| {
                        let key = it.pick(&["plan", "user", "a.b", "", "."]).to_owned();
                        (key, it.attribute_value(depth - 1))
                    })
                    .into_iter()
                    .collect(),
            })
            .into(),
            6 => Kind::ListValue(ListValue {
                values: self.some(4, |it| it.value(1)),
            })
            .into(),
            7 => Kind::StringValue(self.pick(KEYS).to_owned()).into(),
            4 => self.value(1),
            _ => self.scalar(),
        }
    }

    fn long_text(&mut self) -> String {
        self.pick(&["x", "é"]).repeat(self.pick(LENGTHS))
    }

    /// A long string, a long list, or an object of many levels.
    fn long_value(&mut self) -> Value {
        match self.below(3) {
            0 => Kind::StringValue(self.long_text()).into(),
            1 => {
                let element = self.scalar();
                let values = vec![element; self.pick(LENGTHS).min(1001)];
                Kind::ListValue(ListValue { values }).into()
            }
            _ => {
                let inner = self.value(1);
                (0..self.below(12)).fold(inner, |inner, _| {
                    let fields = [("o".to_owned(), inner)].into();
                    Kind::StructValue(Struct { fields }).into()
                })
            }
        }
    }
}
