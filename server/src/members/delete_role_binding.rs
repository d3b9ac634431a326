//! DeleteRoleBinding.

use burgee_proto::admin::v1::{DeleteRoleBindingRequest, DeleteRoleBindingResponse};

use super::give_role::record;
use super::mapped_roles::refuse_mapped;
use super::{Wanted, bindings, demand_cover, keep_an_owner};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::RoleBindingName;

#[tonic::async_trait]
impl Mutation for DeleteRoleBindingRequest {
    mutation_fields!(DeleteRoleBindingResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<DeleteRoleBindingResponse, Error> {
        let name = RoleBindingName::parse("name", &self.name)?;
        let organization = change.authorized.organization();
        let wanted = Wanted {
            id: Some(name.uid),
            ..Wanted::default()
        };
        let mut found = bindings(change.connection(), organization, wanted).await?;
        let binding = found.pop().ok_or_else(|| Error::not_found(name))?;
        change.authorized.demand(binding.place())?;
        demand_cover(change, binding.place(), binding.permissions)?;
        refuse_mapped(&binding)?;
        sqlx::query!("delete from role_bindings where id = $1", binding.id)
            .execute(change.connection())
            .await?;
        keep_an_owner(change, name, std::slice::from_ref(&binding)).await?;
        record(change, Some(&binding), None)?;
        Ok(DeleteRoleBindingResponse {
            role_binding: Some(binding.show()),
            ..DeleteRoleBindingResponse::default()
        })
    }
}
