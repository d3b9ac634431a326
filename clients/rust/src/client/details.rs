//! A value, and how it came about.

use burgee_evaluator::Evaluated;
use burgee_proto::types::v1::{ErrorCode, Position, Reason};

/// A flag's value for a context, and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Details<T> {
    /// The value: the caller's default where there was an error, or where the
    /// flag has none.
    pub value: T,
    /// The variant's key, where there is one.
    pub variant: Option<String>,
    /// Why it is this value.
    pub reason: Reason,
    /// The rule that served it, if a rule did.
    pub rule_id: Option<String>,
    /// What went wrong, where the reason is `Error`.
    pub error_code: Option<ErrorCode>,
    /// Where the ruleset stood that was evaluated; `None` without a ruleset, or
    /// with one that came from a file without a position.
    pub position: Option<Position>,
}

impl<T> Details<T> {
    /// What the evaluator found; `value` is the caller's default where it found
    /// none.
    pub(super) fn new(evaluated: &Evaluated<'_>, position: Option<Position>, value: T) -> Self {
        Self {
            value,
            variant: evaluated.variant.map(str::to_owned),
            reason: evaluated.reason,
            rule_id: evaluated.rule_id.map(str::to_owned),
            error_code: Some(evaluated.error_code).filter(|code| *code != ErrorCode::Unspecified),
            position,
        }
    }
}
