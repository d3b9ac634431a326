//! Why a flag has its value.

use burgee_evaluator::explain;
use burgee_proto::types::v1::{ErrorCode, Explanation, ValueType};

use super::{Client, Context};

impl Client {
    /// Evaluates a flag, and tells every step: prerequisites, targets, each rule
    /// with each clause and what it saw, buckets with their salts and
    /// thresholds. The result is the one that the accessors give, in whatever
    /// type the flag has; displayed, it reads line by line.
    ///
    /// For finding out, not for serving: it costs many times an evaluation.
    #[must_use]
    pub fn explain(&self, flag: &str, context: &Context) -> Explanation {
        let loaded = self.0.store.load();
        let Some(loaded) = loaded.as_ref() else {
            let code = ErrorCode::ProviderNotReady;
            return explain::error(flag, code, "there is no ruleset yet", None);
        };
        let context = match &context.0 {
            Ok(context) => context,
            Err(invalid) => {
                let code = ErrorCode::InvalidContext;
                return explain::error(flag, code, invalid, loaded.position);
            }
        };
        let position = loaded.position.unwrap_or_default();
        let wanted = ValueType::Unspecified;
        let mut explanation = loaded.ruleset.explain(flag, context, wanted, position);
        if let Some(evaluation) = &mut explanation.evaluation {
            evaluation.position = loaded.position;
        }
        explanation
    }
}
