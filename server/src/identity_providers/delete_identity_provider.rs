//! DeleteIdentityProvider.

use burgee_proto::admin::v1::{DeleteIdentityProviderRequest, DeleteIdentityProviderResponse};

use super::{demand_everything, mapper, read, record, show};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::members::mapped_roles;
use crate::names::IdentityProviderName;

#[tonic::async_trait]
impl Mutation for DeleteIdentityProviderRequest {
    mutation_fields!(DeleteIdentityProviderResponse, etag);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<DeleteIdentityProviderResponse, Error> {
        let name = IdentityProviderName::parse("name", &self.name)?;
        let stored = read(change, &name).await?;
        demand_everything(change)?;
        stored.demand_etag(&name, &change.common.etag)?;
        mapped_roles::withdraw(change, &mapper(&stored), None, &[]).await?;
        // Its identities, their sessions and sign-ins under way go with it.
        sqlx::query!("delete from identity_providers where id = $1", stored.id)
            .execute(change.connection())
            .await?;
        record(change, (Some(&stored.message), None), false)?;
        Ok(DeleteIdentityProviderResponse {
            identity_provider: Some(show(&stored)),
            ..DeleteIdentityProviderResponse::default()
        })
    }
}
