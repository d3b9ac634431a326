//! CreateRoleBinding.

use burgee_proto::admin::v1::{CreateRoleBindingRequest, CreateRoleBindingResponse};

use super::demand_cover;
use super::give_role::{Fields, RoleAt, give};
use super::subject::find_subject;
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::SubjectName;

#[tonic::async_trait]
impl Mutation for CreateRoleBindingRequest {
    mutation_fields!(CreateRoleBindingResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<CreateRoleBindingResponse, Error> {
        const FIELDS: Fields = Fields {
            role: "role_binding.role",
            scope: "role_binding.scope",
        };
        let given = self.role_binding.as_ref();
        let given = given.ok_or_else(|| Error::invalid("role_binding", "give the binding"))?;
        let subject = SubjectName::parse("role_binding.subject", &given.subject)?;
        let role = RoleAt::find(change, FIELDS, (&given.role, &given.scope)).await?;
        let organization = change.authorized.organization();
        let found = find_subject(change.connection(), organization, &subject).await?;
        let id = found.ok_or_else(|| Error::not_found(&subject))?.id;
        demand_cover(change, role.place.place(), role.permissions)?;
        let binding = give(change, (subject, id), role).await?;
        Ok(CreateRoleBindingResponse {
            role_binding: Some(binding.show()),
            ..CreateRoleBindingResponse::default()
        })
    }
}
