//! UpdateRole.

use burgee_proto::admin::v1::{UpdateRoleRequest, UpdateRoleResponse};
use prost::Message as _;

use super::{demand_cover, role};
use crate::access::Place;
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::RoleName;

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
        let stored = role::read(change, &name).await?;
        stored.demand_etag(&name, &change.common.etag)?;
        let mask = self.update_mask.as_ref();
        let descriptors = &change.app.descriptors;
        let merged = descriptors.merge(&stored.message, &update, mask, CHANGEABLE)?;
        let (merged, permissions) = role::checked(merged)?;
        if merged == stored.message {
            return Ok(UpdateRoleResponse {
                role: Some(role::show(&stored)),
                ..UpdateRoleResponse::default()
            });
        }
        // Nobody gives more than they have, nor takes it away.
        let before = role::allowed_by(&name.role, Some(&stored.message.permissions));
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
        role::record(change, Some(&stored.message), Some(&after.message))?;
        Ok(UpdateRoleResponse {
            role: Some(role::show(&after)),
            ..UpdateRoleResponse::default()
        })
    }
}
