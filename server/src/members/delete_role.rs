//! DeleteRole.

use burgee_proto::admin::v1::{DeleteRoleRequest, DeleteRoleResponse};
use burgee_proto::types::v1::ErrorReason;

use super::{Wanted, bindings, role};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::identity_providers;
use crate::names::RoleName;

#[tonic::async_trait]
impl Mutation for DeleteRoleRequest {
    mutation_fields!(DeleteRoleResponse, etag);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<DeleteRoleResponse, Error> {
        let name = RoleName::parse("name", &self.name)?;
        let stored = role::read(change, &name).await?;
        stored.demand_etag(&name, &change.common.etag)?;
        let organization = change.authorized.organization();
        let wanted = Wanted {
            role: Some(&name.role),
            rows: Some(1),
            ..Wanted::default()
        };
        let held = bindings(change.connection(), organization, wanted).await?;
        if let Some(binding) = held.first() {
            let subject = &binding.subject;
            let description = format!("{subject} still has the role; take it away first");
            return Err(Error::precondition(
                ErrorReason::RoleInUse,
                name,
                description,
            ));
        }
        identity_providers::refuse_mapped(change, &name).await?;
        sqlx::query!("delete from roles where id = $1", stored.id)
            .execute(change.connection())
            .await?;
        role::record(change, Some(&stored.message), None)?;
        Ok(DeleteRoleResponse {
            role: Some(role::show(&stored)),
            ..DeleteRoleResponse::default()
        })
    }
}
