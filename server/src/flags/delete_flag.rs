//! DeleteFlag.

use burgee_proto::admin::v1::{DeleteFlagRequest, DeleteFlagResponse, FlagChange};

use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::FlagName;

#[tonic::async_trait]
impl Mutation for DeleteFlagRequest {
    mutation_fields!(DeleteFlagResponse, etag);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Project(
            FlagName::parse("name", &self.name)?.project(),
        ))
    }

    async fn apply(&self, change: &mut Change) -> Result<DeleteFlagResponse, Error> {
        let name = FlagName::parse("name", &self.name)?;
        let etag = change.common.etag.clone();
        let entry = change.load_flag(&name.flag, &name).await?;
        let stored = entry
            .definition
            .before
            .as_ref()
            .ok_or_else(|| Error::not_found(&name))?;
        stored.demand_etag(&name, &etag)?;
        let operation = FlagChange {
            before: Some(stored.message.clone()),
            after: None,
        };
        change.apply_to_flag(&name, operation).await?;
        Ok(DeleteFlagResponse {
            flag: Some(change.show_flag(&name)?),
            ..DeleteFlagResponse::default()
        })
    }
}
