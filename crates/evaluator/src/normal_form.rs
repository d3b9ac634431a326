//! What the server rewrites before it ships a flag or segment, so that every
//! evaluator can read it: patterns to their normal form, address blocks to
//! blocks with a prefix. Values that could never hold are refused on the way,
//! as they are surely a mistake.

use burgee_proto::types::v1::condition::Kind;
use burgee_proto::types::v1::{Clause, Condition, Flag, Operator, Segment};
use prost_types::Value;
use prost_types::value::Kind as ValueKind;

use crate::attribute::Scalar;
use crate::condition::NESTING_MAX;
use crate::operators::cidr::normalise_block;
use crate::operators::semver::Version;
use crate::operators::time;
use crate::pattern;
use crate::problem::Problem;

/// Rewrites the conditions of a flag's rules.
///
/// # Errors
///
/// A value that its operator cannot use, and where it is. The flag may then be
/// half rewritten.
pub fn normalise_flag(flag: &mut Flag) -> Result<(), Problem> {
    for (index, rule) in flag.rules.iter_mut().enumerate() {
        if let Some(condition) = &mut rule.condition {
            normalise_condition(condition)
                .map_err(|problem| problem.within(format!("rules[{index}].condition")))?;
        }
    }
    Ok(())
}

/// Rewrites the condition of a segment.
///
/// # Errors
///
/// A value that its operator cannot use, and where it is. The segment may then
/// be half rewritten.
pub fn normalise_segment(segment: &mut Segment) -> Result<(), Problem> {
    match &mut segment.condition {
        Some(condition) => {
            normalise_condition(condition).map_err(|problem| problem.within("condition"))
        }
        None => Ok(()),
    }
}

/// Rewrites one condition.
///
/// # Errors
///
/// A value that its operator cannot use, and where it is. The condition may
/// then be half rewritten.
pub fn normalise_condition(condition: &mut Condition) -> Result<(), Problem> {
    normalise_nested(condition, 1)
}

fn normalise_nested(condition: &mut Condition, depth: usize) -> Result<(), Problem> {
    if depth > NESTING_MAX {
        return Err(Problem::new("", "the condition is nested too deeply"));
    }
    let normalise_list = |field: &str, conditions: &mut [Condition]| {
        let mut conditions = conditions.iter_mut().enumerate();
        conditions.try_for_each(|(index, condition)| {
            normalise_nested(condition, depth + 1)
                .map_err(|problem| problem.within(format!("{field}.conditions[{index}]")))
        })
    };
    match &mut condition.kind {
        Some(Kind::Clause(clause)) => {
            normalise_clause(clause).map_err(|problem| problem.within("clause"))
        }
        Some(Kind::All(all)) => normalise_list("all", &mut all.conditions),
        Some(Kind::Any(any)) => normalise_list("any", &mut any.conditions),
        Some(Kind::Not(not)) => match &mut not.condition {
            Some(inner) => normalise_nested(inner, depth + 1)
                .map_err(|problem| problem.within("not.condition")),
            None => Ok(()),
        },
        Some(Kind::Segment(_)) | None => Ok(()),
    }
}

fn normalise_clause(clause: &mut Clause) -> Result<(), Problem> {
    if clause.attribute.is_empty() {
        return Err(Problem::new("attribute", "name an attribute"));
    }
    // An unknown one is named by the check of the whole flag.
    let operator = Operator::try_from(clause.operator).unwrap_or(Operator::Unspecified);
    for (index, value) in clause.values.iter_mut().enumerate() {
        normalise_value(operator, value)
            .map_err(|problem| problem.within(format!("values[{index}]")))?;
    }
    Ok(())
}

fn normalise_value(operator: Operator, value: &mut Value) -> Result<(), Problem> {
    let scalar = Scalar::from_message(value);
    let is_usable = match operator {
        // What EXISTS ignores is kept all the same, and must be something that
        // JSON can say.
        Operator::Unspecified | Operator::Exists | Operator::Equals => scalar.is_some(),
        Operator::Contains | Operator::StartsWith | Operator::EndsWith => {
            matches!(scalar, Some(Scalar::Text(_)))
        }
        Operator::LessThan
        | Operator::LessOrEqual
        | Operator::GreaterThan
        | Operator::GreaterOrEqual => matches!(scalar, Some(Scalar::Number { .. })),
        Operator::SemverEqual
        | Operator::SemverLess
        | Operator::SemverLessOrEqual
        | Operator::SemverGreater
        | Operator::SemverGreaterOrEqual => scalar
            .as_ref()
            .and_then(Scalar::as_text)
            .is_some_and(|text| Version::parse(text).is_some()),
        Operator::Before | Operator::After => {
            scalar.as_ref().and_then(time::milliseconds).is_some()
        }
        Operator::Matches => return rewrite(value, pattern::normalise),
        Operator::InCidr => return rewrite(value, normalise_block),
    };
    if is_usable {
        Ok(())
    } else {
        Err(Problem::new("", format!("write {}", wanted(operator))))
    }
}

fn rewrite(
    value: &mut Value,
    normalise: impl Fn(&str) -> Result<String, Problem>,
) -> Result<(), Problem> {
    match &mut value.kind {
        Some(ValueKind::StringValue(text)) => {
            *text = normalise(text)?;
            Ok(())
        }
        _ => Err(Problem::new("", "write a string")),
    }
}

/// What an operator compares with.
fn wanted(operator: Operator) -> &'static str {
    match operator {
        Operator::LessThan
        | Operator::LessOrEqual
        | Operator::GreaterThan
        | Operator::GreaterOrEqual => "a number",
        Operator::SemverEqual
        | Operator::SemverLess
        | Operator::SemverLessOrEqual
        | Operator::SemverGreater
        | Operator::SemverGreaterOrEqual => "a version such as 1.4.0 or 2.0.0-rc.1",
        Operator::Before | Operator::After => {
            "an RFC 3339 time such as 2026-11-22T12:00:00Z, or seconds since the Unix epoch"
        }
        Operator::Contains | Operator::StartsWith | Operator::EndsWith => "a string",
        _ => "a string, a number, true or false",
    }
}

#[cfg(test)]
mod tests {
    use burgee_proto::types::v1::Rule;

    use super::*;

    fn flag(operator: Operator, values: Vec<ValueKind>) -> Flag {
        let clause = Clause {
            attribute: "a".into(),
            operator: operator as i32,
            values: values.into_iter().map(Value::from).collect(),
            ignore_case: false,
        };
        let condition = Some(Condition {
            kind: Some(Kind::Clause(clause)),
        });
        Flag {
            rules: vec![Rule {
                condition,
                ..Rule::default()
            }],
            ..Flag::default()
        }
    }

    fn text(text: &str) -> ValueKind {
        ValueKind::StringValue(text.into())
    }

    #[test]
    fn patterns_and_blocks_are_rewritten() {
        for (operator, written, shipped) in [
            (Operator::Matches, r"(\d)", "(?:[0-9])"),
            (Operator::InCidr, "10.0.0.1", "10.0.0.1/32"),
            (Operator::Equals, r"\d", r"\d"),
        ] {
            let mut rewritten = flag(operator, vec![text(written)]);
            assert_eq!(normalise_flag(&mut rewritten), Ok(()));
            assert_eq!(rewritten, flag(operator, vec![text(shipped)]));
        }
    }

    #[test]
    fn a_clause_without_an_attribute_is_refused() {
        let mut condition = Condition {
            kind: Some(Kind::Clause(Clause::default())),
        };
        let problem = normalise_condition(&mut condition).unwrap_err();
        assert_eq!(problem.field, "clause.attribute");
    }

    #[test]
    fn values_that_could_never_hold_are_refused() {
        for (operator, value) in [
            (Operator::Equals, ValueKind::NullValue(0)),
            (Operator::Exists, ValueKind::NumberValue(f64::NAN)),
            (Operator::Contains, ValueKind::NumberValue(1.0)),
            (Operator::LessThan, text("1")),
            (Operator::SemverLess, text("1.x")),
            (Operator::Before, text("2026-11-22")),
            (Operator::Matches, text("(?=a)")),
            (Operator::Matches, ValueKind::BoolValue(true)),
            (Operator::InCidr, text("localhost")),
        ] {
            let mut refused = flag(operator, vec![value]);
            let problem = normalise_flag(&mut refused).unwrap_err();
            assert_eq!(
                problem.field, "rules[0].condition.clause.values[0]",
                "{operator:?}"
            );
        }
    }
}
