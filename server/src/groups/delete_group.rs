//! DeleteGroup.

use burgee_proto::admin::v1::{DeleteGroupRequest, DeleteGroupResponse};
use burgee_proto::types::v1::ErrorReason;

use super::{read, record, show};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::members::held;
use crate::names::GroupName;

#[tonic::async_trait]
impl Mutation for DeleteGroupRequest {
    mutation_fields!(DeleteGroupResponse, etag);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<DeleteGroupResponse, Error> {
        let name = GroupName::parse("name", &self.name)?;
        let stored = read(change, &name).await?;
        stored.demand_etag(&name, &change.common.etag)?;
        // Taking a role away is DeleteRoleBinding's to ask and to tell of, for each.
        if let Some(binding) = held(change.connection(), stored.id).await?.first() {
            let role = binding.held_as();
            let description = format!("the group has {role}; take its roles away first");
            return Err(Error::precondition(
                ErrorReason::GroupInUse,
                name,
                description,
            ));
        }
        sqlx::query!("delete from groups where id = $1", stored.id)
            .execute(change.connection())
            .await?;
        record(change, Some(&stored.message), None)?;
        Ok(DeleteGroupResponse {
            group: Some(show(&stored)),
            ..DeleteGroupResponse::default()
        })
    }
}
