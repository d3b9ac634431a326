//! Typed values of flags.

use burgee_evaluator::Evaluated;
use burgee_proto::types::v1::{ErrorCode, ValueType};
use prost_types::Value;
use prost_types::value::Kind;

use super::{Client, Context, Details};
use crate::json::to_json;

/// A type that a flag's value can be read as.
trait Read: Sized {
    const WANTED: ValueType;

    /// `None`: the value is not of this type, which the evaluator has ruled out.
    fn read(value: &Value) -> Option<Self>;
}

impl Client {
    /// The value of a BOOLEAN flag, or `default` where it has none.
    #[must_use]
    pub fn bool(&self, flag: &str, context: &Context, default: bool) -> bool {
        self.value(flag, context).unwrap_or(default)
    }

    /// The value of a STRING flag, or `default` where it has none.
    #[must_use]
    pub fn string(&self, flag: &str, context: &Context, default: &str) -> String {
        let value = self.value(flag, context);
        value.unwrap_or_else(|| default.to_owned())
    }

    /// The value of a NUMBER flag, or `default` where it has none.
    #[must_use]
    pub fn number(&self, flag: &str, context: &Context, default: f64) -> f64 {
        self.value(flag, context).unwrap_or(default)
    }

    /// The value of a NUMBER flag that is integral within ±(2^53−1), or
    /// `default` where it has none or another one.
    #[must_use]
    pub fn integer(&self, flag: &str, context: &Context, default: i64) -> i64 {
        self.value(flag, context).unwrap_or(default)
    }

    /// The value of a JSON flag, or `default` where it has none.
    #[must_use]
    pub fn json(
        &self,
        flag: &str,
        context: &Context,
        default: serde_json::Value,
    ) -> serde_json::Value {
        self.value(flag, context).unwrap_or(default)
    }

    /// As [`bool`](Self::bool), with how it came about.
    #[must_use]
    pub fn bool_details(&self, flag: &str, context: &Context, default: bool) -> Details<bool> {
        self.details(flag, context, default)
    }

    /// As [`string`](Self::string), with how it came about.
    #[must_use]
    pub fn string_details(&self, flag: &str, context: &Context, default: &str) -> Details<String> {
        self.details(flag, context, default.to_owned())
    }

    /// As [`number`](Self::number), with how it came about.
    #[must_use]
    pub fn number_details(&self, flag: &str, context: &Context, default: f64) -> Details<f64> {
        self.details(flag, context, default)
    }

    /// As [`integer`](Self::integer), with how it came about.
    #[must_use]
    pub fn integer_details(&self, flag: &str, context: &Context, default: i64) -> Details<i64> {
        self.details(flag, context, default)
    }

    /// As [`json`](Self::json), with how it came about.
    #[must_use]
    pub fn json_details(
        &self,
        flag: &str,
        context: &Context,
        default: serde_json::Value,
    ) -> Details<serde_json::Value> {
        self.details(flag, context, default)
    }

    /// The value alone, without allocating for the rest.
    fn value<T: Read>(&self, flag: &str, context: &Context) -> Option<T> {
        let loaded = self.0.store.load();
        let context = context.0.as_ref().ok()?;
        let evaluated = loaded.as_ref()?.ruleset.evaluate(flag, context, T::WANTED);
        evaluated.value.and_then(T::read)
    }

    fn details<T: Read>(&self, flag: &str, context: &Context, default: T) -> Details<T> {
        let loaded = self.0.store.load();
        let Some(loaded) = loaded.as_ref() else {
            let unready = Evaluated::error(flag, ErrorCode::ProviderNotReady);
            return Details::new(&unready, None, default);
        };
        let evaluated = match &context.0 {
            Ok(context) => loaded.ruleset.evaluate(flag, context, T::WANTED),
            Err(_invalid) => Evaluated::error(flag, ErrorCode::InvalidContext),
        };
        let value = evaluated.value.and_then(T::read).unwrap_or(default);
        Details::new(&evaluated, loaded.position, value)
    }
}

impl Read for bool {
    const WANTED: ValueType = ValueType::Boolean;

    fn read(value: &Value) -> Option<Self> {
        match value.kind {
            Some(Kind::BoolValue(value)) => Some(value),
            _ => None,
        }
    }
}

impl Read for String {
    const WANTED: ValueType = ValueType::String;

    fn read(value: &Value) -> Option<Self> {
        match &value.kind {
            Some(Kind::StringValue(value)) => Some(value.clone()),
            _ => None,
        }
    }
}

impl Read for f64 {
    const WANTED: ValueType = ValueType::Number;

    fn read(value: &Value) -> Option<Self> {
        match value.kind {
            Some(Kind::NumberValue(value)) => Some(value),
            _ => None,
        }
    }
}

impl Read for i64 {
    const WANTED: ValueType = ValueType::Integer;

    // The evaluator gives integers within ±(2^53−1) alone for this type.
    #[allow(clippy::cast_possible_truncation)]
    fn read(value: &Value) -> Option<Self> {
        f64::read(value).map(|number| number as Self)
    }
}

impl Read for serde_json::Value {
    const WANTED: ValueType = ValueType::Json;

    fn read(value: &Value) -> Option<Self> {
        Some(to_json(value))
    }
}
