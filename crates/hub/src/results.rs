//! What a caller is shown of a ruleset: for whom, which flags, and how much.

use std::collections::BTreeSet;
use std::sync::Arc;

use burgee_evaluator::hash::HASH_BYTES;
use burgee_evaluator::{Context, Digest, Evaluated, InvalidContext, Ruleset, explain};
use burgee_proto::types::v1::{
    ErrorCode, Evaluation, EvaluationContext, Explanation, Position, ValueType,
};
use prost::Message;

use crate::changes::FlagKeys;
use crate::refused::Refused;
use crate::state::EnvironmentState;

/// Flags that one call may name.
const FLAG_KEYS_MAX: usize = 5_000;

/// For whom flags are evaluated, and who is shown the results.
pub(crate) struct Viewer {
    context: Result<Context, InvalidContext>,
    /// A client key's: client-visible flags only, and nothing about rules.
    is_client: bool,
}

/// Whose results a caller wants, and of which flags.
pub(crate) struct Question {
    viewer: Viewer,
    /// `None`: all that the caller may see.
    flag_keys: Option<FlagKeys>,
}

impl Viewer {
    pub(crate) fn new(context: Option<EvaluationContext>, is_client: bool) -> Self {
        Self {
            context: Context::new(&context.unwrap_or_default()),
            is_client,
        }
    }

    /// A flag's result as it is shown.
    pub(crate) fn evaluate<'a>(
        &self,
        ruleset: &'a Ruleset,
        flag_key: &'a str,
        wanted: ValueType,
    ) -> Evaluated<'a> {
        let evaluated = match &self.context {
            Err(_) => Evaluated::error(flag_key, ErrorCode::InvalidContext),
            Ok(_) if !self.sees(ruleset, flag_key) => {
                Evaluated::error(flag_key, ErrorCode::FlagNotFound)
            }
            Ok(context) => ruleset.evaluate(flag_key, context, wanted),
        };
        if self.is_client {
            Evaluated {
                rule_id: None,
                metadata: None,
                ..evaluated
            }
        } else {
            evaluated
        }
    }

    /// A flag's result with every step.
    pub(crate) fn explain(
        &self,
        ruleset: &Ruleset,
        flag_key: &str,
        wanted: ValueType,
        position: Position,
    ) -> Explanation {
        match &self.context {
            Ok(context) => ruleset.explain(flag_key, context, wanted, position),
            Err(invalid) => {
                let code = ErrorCode::InvalidContext;
                explain::error(flag_key, code, invalid, Some(position))
            }
        }
    }

    /// Whether there is such a flag for the caller.
    fn sees(&self, ruleset: &Ruleset, flag_key: &str) -> bool {
        let client_visible = ruleset.is_client_visible(flag_key);
        client_visible.is_some_and(|visible| visible || !self.is_client)
    }

    /// What names the context. All that cannot be evaluated are alike.
    pub(crate) fn fingerprint(&self) -> [u8; HASH_BYTES] {
        let context = self.context.as_ref();
        context.map_or([0; HASH_BYTES], Context::fingerprint)
    }
}

impl Question {
    /// About these flags; none named: about all.
    ///
    /// # Errors
    ///
    /// Too many flags are named.
    pub(crate) fn new(viewer: Viewer, named: Vec<String>) -> Result<Self, Refused> {
        if named.len() > FLAG_KEYS_MAX {
            return Err(Refused::InvalidField("flag_keys", "at most 5,000 at once"));
        }
        let in_order: BTreeSet<Arc<str>> = named.into_iter().map(Into::into).collect();
        Ok(Self {
            viewer,
            flag_keys: (!in_order.is_empty()).then(|| in_order.into_iter().collect()),
        })
    }

    /// For whom.
    pub(crate) fn viewer(&self) -> &Viewer {
        &self.viewer
    }

    /// The flags that there may be results of, in order.
    pub(crate) fn flag_keys(&self, state: &EnvironmentState, ruleset: &Ruleset) -> FlagKeys {
        match &self.flag_keys {
            Some(named) => named.clone(),
            None => state.changes().all(ruleset),
        }
    }

    /// What is shown of a flag, if anything. A flag that is named always has a
    /// result.
    pub(crate) fn result<'a>(
        &self,
        ruleset: &'a Ruleset,
        flag_key: &'a str,
    ) -> Option<Evaluated<'a>> {
        let is_asked_for = match &self.flag_keys {
            Some(named) => named.binary_search_by(|key| (**key).cmp(flag_key)).is_ok(),
            None => self.viewer.sees(ruleset, flag_key),
        };
        is_asked_for.then(|| (self.viewer).evaluate(ruleset, flag_key, ValueType::Unspecified))
    }

    /// All that is shown of some flags, in their order.
    pub(crate) fn results<'a>(
        &'a self,
        ruleset: &'a Ruleset,
        flag_keys: &'a [Arc<str>],
    ) -> impl Iterator<Item = Evaluation> + 'a {
        let results = flag_keys.iter().filter_map(|key| self.result(ruleset, key));
        results.map(|evaluated| message(&evaluated))
    }
}

/// A result that leaves its position to the message around it.
pub(crate) fn message(evaluated: &Evaluated<'_>) -> Evaluation {
    Evaluation {
        position: None,
        ..evaluated.to_message(Position::default())
    }
}

/// Adds a result to a digest of results, or takes it away again. A digest tells
/// results from all others, so that what a receiver holds can be recognised
/// without being kept.
pub(crate) fn toggle(digest: &mut Digest, evaluation: &Evaluation) {
    digest.combine(&Digest::of_bytes(&evaluation.encode_to_vec()));
}

/// Whether two results are shown alike.
pub(crate) fn is_same(one: &Evaluated<'_>, other: &Evaluated<'_>) -> bool {
    // The evaluator tells −0 from 0; numbers do not.
    one == other
        && is_same_message(one.value, other.value)
        && is_same_message(one.metadata, other.metadata)
}

fn is_same_message<M: Message>(one: Option<&M>, other: Option<&M>) -> bool {
    match (one, other) {
        // Of a flag that was not compiled anew, which is the rule.
        (Some(one), Some(other)) if std::ptr::eq(one, other) => true,
        (Some(one), Some(other)) => one.encode_to_vec() == other.encode_to_vec(),
        (one, other) => one.is_none() && other.is_none(),
    }
}
