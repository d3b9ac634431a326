//! DeleteEnvironment.

use burgee_proto::admin::v1::{DeleteEnvironmentRequest, DeleteEnvironmentResponse};

use super::{read, record, show};
use crate::api_keys;
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::EnvironmentName;

#[tonic::async_trait]
impl Mutation for DeleteEnvironmentRequest {
    mutation_fields!(DeleteEnvironmentResponse, etag);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Environments(
            EnvironmentName::parse("name", &self.name)?.project(),
        ))
    }

    async fn apply(&self, change: &mut Change) -> Result<DeleteEnvironmentResponse, Error> {
        let name = EnvironmentName::parse("name", &self.name)?;
        let id = change.environment(&name)?;
        let authorized = change.authorized.clone();
        let (stored, position) = read(change.connection(), &authorized, &name).await?;
        stored.demand_etag(&name, &change.common.etag)?;
        // Keys that open it may open others too: those learn of it.
        let sharing = api_keys::environments_sharing_keys(change.connection(), id).await?;
        change.lock_heads(&sharing).await?;
        api_keys::revoke_for_deleted_environment(change, id).await?;
        sqlx::query!("delete from environments where id = $1", id)
            .execute(change.connection())
            .await?;
        change.delete_head(id);
        record(change, &name, Some(stored.message.clone()), None);
        Ok(DeleteEnvironmentResponse {
            environment: Some(show(&name, &stored, position)),
            ..DeleteEnvironmentResponse::default()
        })
    }
}
