//! DeleteServiceAccount.

use burgee_proto::admin::v1::{DeleteServiceAccountRequest, DeleteServiceAccountResponse};

use super::{demand_cover, read, record, show};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::members;
use crate::names::ServiceAccountName;

#[tonic::async_trait]
impl Mutation for DeleteServiceAccountRequest {
    mutation_fields!(DeleteServiceAccountResponse, etag);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<DeleteServiceAccountResponse, Error> {
        let name = ServiceAccountName::parse("name", &self.name)?;
        let stored = read(change, &name).await?;
        let held = demand_cover(change, &name).await?;
        stored.demand_etag(&name, &change.common.etag)?;
        // Its tokens and bindings go with it.
        sqlx::query!("delete from service_accounts where id = $1", stored.id)
            .execute(change.connection())
            .await?;
        members::keep_an_owner(change, &name, &held).await?;
        record(change, Some(&stored.message), None)?;
        Ok(DeleteServiceAccountResponse {
            service_account: Some(show(&stored)),
            ..DeleteServiceAccountResponse::default()
        })
    }
}
