//! JSON values between protobuf's shape and serde's.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

/// The largest integer that a double holds without a gap below it.
const INTEGER_MAX: f64 = 9_007_199_254_740_991.0;

/// As serde's. Integral numbers within ±(2^53−1) become integers, so that they
/// read as they were written.
pub(crate) fn to_json(value: &Value) -> serde_json::Value {
    match &value.kind {
        None | Some(Kind::NullValue(_)) => serde_json::Value::Null,
        Some(Kind::BoolValue(value)) => (*value).into(),
        Some(Kind::NumberValue(value)) => number(*value),
        Some(Kind::StringValue(value)) => value.as_str().into(),
        Some(Kind::ListValue(list)) => list.values.iter().map(to_json).collect(),
        Some(Kind::StructValue(fields)) => fields
            .fields
            .iter()
            .map(|(name, value)| (name.clone(), to_json(value)))
            .collect(),
    }
}

/// As protobuf's. Integers become the nearest double.
pub(crate) fn from_json(value: serde_json::Value) -> Value {
    let kind = match value {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(value) => Kind::BoolValue(value),
        serde_json::Value::Number(value) => Kind::NumberValue(value.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(value) => Kind::StringValue(value),
        serde_json::Value::Array(values) => Kind::ListValue(ListValue {
            values: values.into_iter().map(from_json).collect(),
        }),
        serde_json::Value::Object(fields) => Kind::StructValue(Struct {
            fields: fields
                .into_iter()
                .map(|(name, value)| (name, from_json(value)))
                .collect(),
        }),
    };
    Value { kind: Some(kind) }
}

fn number(value: f64) -> serde_json::Value {
    // −0 is no integer: it would lose its sign.
    let integral = value.fract() == 0.0 && value.abs() <= INTEGER_MAX;
    if integral && !(value == 0.0 && value.is_sign_negative()) {
        #[allow(clippy::cast_possible_truncation)]
        return (value as i64).into();
    }
    value.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_survives_both_ways() {
        let value = serde_json::json!({
            "plan": "pro", "seats": 3, "share": 0.25, "beta": true, "none": null,
            "list": [1, "two", {"three": [false]}], "large": 9_007_199_254_740_991_i64
        });
        assert_eq!(to_json(&from_json(value.clone())), value);
    }

    #[test]
    fn minus_zero_keeps_its_sign() {
        let value = to_json(&from_json(serde_json::json!(-0.0)));
        assert!(value.as_f64().unwrap().is_sign_negative());
    }
}
