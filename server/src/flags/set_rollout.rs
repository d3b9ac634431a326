//! SetRollout.

use burgee_proto::admin::v1::operation::Part;
use burgee_proto::admin::v1::{FlagConfig, ServeChange, SetRolloutRequest, SetRolloutResponse};
use burgee_proto::types::v1::{Serve, Split, serve};

use super::operation::serve_of;
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::FlagConfigName;

#[tonic::async_trait]
impl Mutation for SetRolloutRequest {
    mutation_fields!(SetRolloutResponse, etag);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Environment(
            FlagConfigName::parse("name", &self.name)?.environment(),
        ))
    }

    async fn apply(&self, change: &mut Change) -> Result<SetRolloutResponse, Error> {
        let name = FlagConfigName::parse("name", &self.name)?;
        let etag = change.common.etag.clone();
        let (entry, stored) = change.load_config(&name).await?;
        stored.check_etag(&name, &etag)?;
        let salt = entry
            .definition
            .after
            .as_ref()
            .map(|flag| flag.salt.clone());
        let before = serve_before(&stored.message, &self.rule_id)?;
        // The same salt, attributes and hash: who moves is decided by the
        // weights alone.
        let split = match before.as_ref().and_then(|serve| serve.kind.as_ref()) {
            Some(serve::Kind::Split(split)) => split.clone(),
            Some(serve::Kind::Variant(_)) | None => Split {
                salt: salt.unwrap_or_default(),
                ..Split::default()
            },
        };
        let operation = ServeChange {
            rule_id: self.rule_id.clone(),
            before: before.clone(),
            after: Some(Serve {
                kind: Some(serve::Kind::Split(Split {
                    parts: self.parts.clone(),
                    ..split
                })),
            }),
        };
        let applied = change.apply_to_config(&name, Part::Serve(operation)).await;
        applied.map_err(in_terms_of_the_request)?;
        Ok(SetRolloutResponse {
            flag_config: Some(change.show_config(&name)?),
            ..SetRolloutResponse::default()
        })
    }
}

/// What the rule that a request names, or without a name the fallthrough, serves now.
///
/// # Errors
/// [`Error::Invalid`] if there is no such rule.
pub(super) fn serve_before(config: &FlagConfig, rule_id: &str) -> Result<Option<Serve>, Error> {
    let serve = serve_of(&mut config.clone(), rule_id).cloned();
    serve.ok_or_else(|| {
        let description = format!("the flag has no rule {rule_id:?} in this environment");
        Error::invalid("rule_id", description)
    })
}

/// `flag_config.….split.parts[1].weight` is the request's `parts[1].weight`.
fn in_terms_of_the_request(error: Error) -> Error {
    let Error::Invalid(mut violations) = error else {
        return error;
    };
    for violation in &mut violations {
        if let Some((_, rest)) = violation.field.split_once(".split.") {
            violation.field = rest.to_owned();
        }
    }
    Error::Invalid(violations)
}
