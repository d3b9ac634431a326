//! Every step of an evaluation, told.

use burgee_proto::types::v1::{Explanation, Position, ValueType};

use crate::context::Context;
use crate::ruleset::Ruleset;

impl Ruleset {
    /// Evaluates a flag, and tells every step.
    pub fn explain(
        &self,
        flag_key: &str,
        context: &Context,
        wanted: ValueType,
        position: Position,
    ) -> Explanation {
        Explanation {
            evaluation: Some(
                self.evaluate(flag_key, context, wanted)
                    .to_message(position),
            ),
            ..Explanation::default()
        }
    }
}
