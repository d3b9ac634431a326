//! For whom or what a flag is evaluated.

use burgee_evaluator::InvalidContext;
use burgee_proto::types::v1::EvaluationContext;

use crate::json::from_json;

/// For whom or what a flag is evaluated: a targeting key and attributes, checked
/// and flattened once. Make it once for each request or session, and evaluate
/// any number of flags with it.
///
/// A context beyond the limits (256 attributes, 64 KiB of text, …) makes every
/// evaluation the caller's default with `INVALID_CONTEXT`.
#[derive(Debug, Clone)]
pub struct Context(pub(super) Result<burgee_evaluator::Context, InvalidContext>);

/// A context in the making.
#[derive(Debug, Clone, Default)]
pub struct ContextBuilder(EvaluationContext);

impl Context {
    /// A context of a targeting key alone: what splits and targets look at.
    /// Empty: none.
    #[must_use]
    pub fn new(targeting_key: impl Into<String>) -> Self {
        Self::builder(targeting_key).build()
    }

    /// A context with attributes.
    #[must_use]
    pub fn builder(targeting_key: impl Into<String>) -> ContextBuilder {
        ContextBuilder(EvaluationContext {
            targeting_key: targeting_key.into(),
            attributes: None,
        })
    }

    /// What is wrong with it, if anything.
    #[must_use]
    pub fn problem(&self) -> Option<&InvalidContext> {
        self.0.as_ref().err()
    }
}

impl ContextBuilder {
    /// Sets an attribute: a string, number, boolean, a list of those, or an
    /// object, whose fields become dotted names. Null is as if it were not set.
    #[must_use]
    pub fn attribute(
        mut self,
        name: impl Into<String>,
        value: impl Into<serde_json::Value>,
    ) -> Self {
        self.0
            .attributes
            .get_or_insert_default()
            .fields
            .insert(name.into(), from_json(value.into()));
        self
    }

    /// Checks and flattens it.
    #[must_use]
    pub fn build(self) -> Context {
        Context::from(&self.0)
    }
}

impl From<&EvaluationContext> for Context {
    fn from(context: &EvaluationContext) -> Self {
        Self(burgee_evaluator::Context::new(context))
    }
}
