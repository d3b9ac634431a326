//! UpdateRole.

use burgee_proto::admin::v1::{UpdateRoleRequest, UpdateRoleResponse};
use burgee_proto::types::v1::ErrorReason;
use prost::Message as _;

use super::create_role::checked;
use super::{allowed_by, demand_cover, read_role, record_role, show};
use crate::access::{BuiltIn, Place};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::RoleName;
use crate::stored::Stored;

const CHANGEABLE: &[&str] = &["display_name", "description", "permissions"];

#[tonic::async_trait]
impl Mutation for UpdateRoleRequest {
    mutation_fields!(UpdateRoleResponse, etag in role);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<UpdateRoleResponse, Error> {
        let update = self.role.clone().unwrap_or_default();
        let name = RoleName::parse("role.name", &update.name)?;
        let stored = stored(change, &name).await?;
        stored.demand_etag(&name, &change.common.etag)?;
        let mask = self.update_mask.as_ref();
        let merged = change
            .app
            .descriptors
            .merge(&stored.message, &update, mask, CHANGEABLE)?;
        let (merged, permissions) = checked(merged)?;
        if merged == stored.message {
            return Ok(UpdateRoleResponse {
                role: Some(show(&stored)),
                ..UpdateRoleResponse::default()
            });
        }
        // Nobody gives more than they have, nor takes it away.
        let before = allowed_by(&name.role, Some(&stored.message.permissions));
        demand_cover(change, Place::Organization, permissions.union(before))?;
        let after = stored.next(merged, change.actor(), change.now());
        sqlx::query!(
            "update roles
             set permissions = $2, version = $3, body = $4, updated_at = $5, changed_by = $6
             where id = $1",
            after.id,
            &after.message.permissions,
            after.version,
            after.message.encode_to_vec(),
            after.updated_at,
            after.changed_by,
        )
        .execute(change.connection())
        .await?;
        record_role(change, Some(&stored.message), Some(&after.message))?;
        Ok(UpdateRoleResponse {
            role: Some(show(&after)),
            ..UpdateRoleResponse::default()
        })
    }
}

/// A role that can be changed.
///
/// # Errors
/// [`Error::NotFound`], or that every organization has it.
pub(super) async fn stored(
    change: &mut Change,
    name: &RoleName,
) -> Result<Stored<burgee_proto::admin::v1::Role>, Error> {
    if BuiltIn::parse(&name.role).is_some() {
        let description = "every organization has this role; make one of your own";
        return Err(Error::precondition(
            ErrorReason::RoleBuiltIn,
            name,
            description,
        ));
    }
    let organization = change.authorized.organization();
    let stored = read_role(change.connection(), organization, name).await?;
    stored.ok_or_else(|| Error::not_found(name))
}
