//! SetFlagEnabled.

use burgee_proto::admin::v1::operation::Part;
use burgee_proto::admin::v1::{EnabledChange, SetFlagEnabledRequest, SetFlagEnabledResponse};

use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::FlagConfigName;

#[tonic::async_trait]
impl Mutation for SetFlagEnabledRequest {
    mutation_fields!(SetFlagEnabledResponse, etag);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Environment(
            FlagConfigName::parse("name", &self.name)?.environment(),
        ))
    }

    async fn apply(&self, change: &mut Change) -> Result<SetFlagEnabledResponse, Error> {
        let name = FlagConfigName::parse("name", &self.name)?;
        let etag = change.common.etag.clone();
        let (_, stored) = change.load_config(&name).await?;
        stored.check_etag(&name, &etag)?;
        let operation = EnabledChange {
            before: Some(stored.message.enabled),
            after: Some(self.enabled),
        };
        change
            .apply_to_config(&name, Part::Enabled(operation))
            .await?;
        Ok(SetFlagEnabledResponse {
            flag_config: Some(change.show_config(&name)?),
            ..SetFlagEnabledResponse::default()
        })
    }
}
