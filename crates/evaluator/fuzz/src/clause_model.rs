//! What the design says of clauses, written plainly: each element against each
//! value.

use std::cmp::Ordering;

use burgee_proto::types::v1::{Clause, Operator};
use prost_types::Value;
use prost_types::value::Kind as ValueKind;
use regex::Regex;

use super::contexts::Flattened;
use super::{addresses, times, versions};

/// Whether a clause is true.
pub(super) fn holds(clause: &Clause, context: &Flattened) -> bool {
    let Some((elements, _)) = context.attribute(&clause.attribute) else {
        return false;
    };
    let holds = |element: &Value| {
        let mut values = clause.values.iter();
        values.any(|value| holds_for(clause, element, value))
    };
    clause.operator() == Operator::Exists || elements.iter().any(holds)
}

fn holds_for(clause: &Clause, element: &Value, value: &Value) -> bool {
    use Operator as Op;
    use ValueKind::{BoolValue, NumberValue, StringValue};

    let fold = |text: &str| match clause.ignore_case {
        true => text.to_ascii_lowercase(),
        false => text.to_owned(),
    };
    let operator = clause.operator();
    if matches!(operator, Op::Before | Op::After) {
        let order = milliseconds(element).partial_cmp(&milliseconds(value));
        let are_times = milliseconds(element).is_some() && milliseconds(value).is_some();
        let wanted = match operator {
            Op::Before => Ordering::Less,
            _ => Ordering::Greater,
        };
        return are_times && order == Some(wanted);
    }
    match (element.kind.as_ref(), value.kind.as_ref()) {
        (Some(BoolValue(one)), Some(BoolValue(other))) => operator == Op::Equals && one == other,
        (Some(NumberValue(one)), Some(NumberValue(other))) => match operator {
            Op::Equals => one == other,
            Op::LessThan => one < other,
            Op::LessOrEqual => one <= other,
            Op::GreaterThan => one > other,
            Op::GreaterOrEqual => one >= other,
            _ => false,
        },
        (Some(StringValue(one)), Some(StringValue(other))) => match operator {
            Op::Equals => fold(one) == fold(other),
            Op::Contains => fold(one).contains(&fold(other)),
            Op::StartsWith => fold(one).starts_with(&fold(other)),
            Op::EndsWith => fold(one).ends_with(&fold(other)),
            Op::Matches => Regex::new(other).is_ok_and(|pattern| pattern.is_match(one)),
            Op::InCidr => addresses::parse_address(one)
                .zip(addresses::parse(other))
                .is_some_and(|(address, block)| block.contains(&address)),
            _ => versions::parse(one)
                .zip(versions::parse(other))
                .is_some_and(|(one, other)| is_version(operator, one.cmp_precedence(&other))),
        },
        _ => false,
    }
}

fn is_version(operator: Operator, order: Ordering) -> bool {
    match operator {
        Operator::SemverEqual => order.is_eq(),
        Operator::SemverLess => order.is_lt(),
        Operator::SemverLessOrEqual => order.is_le(),
        Operator::SemverGreater => order.is_gt(),
        Operator::SemverGreaterOrEqual => order.is_ge(),
        _ => false,
    }
}

fn milliseconds(value: &Value) -> Option<f64> {
    match &value.kind {
        Some(ValueKind::NumberValue(seconds)) => Some((seconds * 1000.0).floor()),
        Some(ValueKind::StringValue(text)) => times::parse(text).map(|it| it as f64),
        _ => None,
    }
}
