//! Asks the evaluator through what everybody uses: a clause of a rule.

use burgee_evaluator::context::STRING_BYTES_MAX;
use burgee_evaluator::normal_form::normalise_condition;
use burgee_evaluator::{Context, Ruleset};
use burgee_proto::types::v1 as types;
use burgee_proto::types::v1::condition::Kind;
use burgee_proto::types::v1::{Clause, Condition, EvaluationContext, Operator, Reason, ValueType};
use prost_types::value::Kind as ValueKind;
use prost_types::{Struct, Value};

use super::builders::asks;

const ATTRIBUTE: &str = "attribute";

/// Whether a clause is true for an attribute.
pub(super) fn holds(operator: Operator, attribute: &Value, values: &[Value]) -> bool {
    let ruleset = Ruleset::from_message(&types::Ruleset {
        flags: vec![asks("f", clause(operator, values))],
        segments: Vec::new(),
    });
    let fields = [(ATTRIBUTE.to_owned(), attribute.clone())].into();
    let context = Context::new(&EvaluationContext {
        attributes: Some(Struct { fields }),
        ..EvaluationContext::default()
    });
    let context = context.expect("the attribute is within the limits");
    let reason = ruleset
        .evaluate("f", &context, ValueType::Unspecified)
        .reason;
    assert!(matches!(reason, Reason::Rule | Reason::Default));
    reason == Reason::Rule
}

/// Whether a server takes a value for an operator.
pub(super) fn is_admitted(operator: Operator, value: &Value) -> bool {
    normalise_condition(&mut clause(operator, std::slice::from_ref(value))).is_ok()
}

fn clause(operator: Operator, values: &[Value]) -> Condition {
    Condition {
        kind: Some(Kind::Clause(Clause {
            attribute: ATTRIBUTE.into(),
            operator: operator as i32,
            values: values.to_vec(),
            ignore_case: false,
        })),
    }
}

pub(super) fn text(text: &str) -> Value {
    ValueKind::StringValue(text.to_owned()).into()
}

/// The first line, and some more. None: it is no text, or a line is longer than
/// an attribute may be.
pub(super) fn lines(bytes: &[u8]) -> Option<(&str, Vec<&str>)> {
    const LINES_MAX: usize = 4;
    let mut lines = std::str::from_utf8(bytes).ok()?.split('\n');
    let first = lines.next()?;
    let rest: Vec<_> = lines.take(LINES_MAX).collect();
    let fits = |line: &str| line.len() <= STRING_BYTES_MAX;
    let all_fit = fits(first) && rest.iter().all(|line| fits(line));
    all_fit.then_some((first, rest))
}
