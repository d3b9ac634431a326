//! CreateRole.

use burgee_proto::admin::v1::{CreateRoleRequest, CreateRoleResponse, Role};
use prost::Message as _;

use super::{demand_cover, role};
use crate::access::{BuiltIn, Place};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names;
use crate::stored::Stored;

#[tonic::async_trait]
impl Mutation for CreateRoleRequest {
    mutation_fields!(CreateRoleResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<CreateRoleResponse, Error> {
        let given = self.role.clone();
        let given = given.ok_or_else(|| Error::invalid("role", "give the role"))?;
        let role = Role {
            key: given.key,
            display_name: given.display_name,
            description: given.description,
            permissions: given.permissions,
            ..Role::default()
        };
        names::check_slug("role.key", &role.key)?;
        let (role, permissions) = role::checked(role)?;
        demand_cover(change, Place::Organization, permissions)?;
        if BuiltIn::parse(&role.key).is_some() {
            return Err(Error::Exists {
                resource: role::name_of(&role).to_string(),
            });
        }
        let stored = Stored::new(role, change.actor(), change.now());
        insert(change, &stored).await?;
        role::record(change, None, Some(&stored.message))?;
        Ok(CreateRoleResponse {
            role: Some(role::show(&stored)),
            ..CreateRoleResponse::default()
        })
    }
}

async fn insert(change: &mut Change, stored: &Stored<Role>) -> Result<(), Error> {
    let organization = change.authorized.organization();
    let inserted = sqlx::query!(
        "insert into roles (id, organization_id, key, permissions, version, body,
                            created_at, updated_at, changed_by)
         values ($1, $2, $3, $4, $5, $6, $7, $7, $8)",
        stored.id,
        organization,
        stored.message.key,
        &stored.message.permissions,
        stored.version,
        stored.message.encode_to_vec(),
        stored.created_at,
        stored.changed_by,
    )
    .execute(change.connection())
    .await;
    let name = role::name_of(&stored.message);
    inserted.map(drop).map_err(Error::taken("roles_key", name))
}
