//! CreateGroup.

use burgee_proto::admin::v1::{CreateGroupRequest, CreateGroupResponse, Group};
use prost::Message as _;

use super::{check, name_of, record, show};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names;
use crate::stored::Stored;

/// The most groups of an organization.
const GROUPS_MAX: i64 = 1_000;

#[tonic::async_trait]
impl Mutation for CreateGroupRequest {
    mutation_fields!(CreateGroupResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<CreateGroupResponse, Error> {
        let given = self.group.clone();
        let given = given.ok_or_else(|| Error::invalid("group", "give the group"))?;
        let group = Group {
            key: given.key,
            display_name: given.display_name,
            description: given.description,
            ..Group::default()
        };
        names::check_slug("group.key", &group.key)?;
        check(&group)?;
        let stored = Stored::new(group, change.actor(), change.now());
        insert(change, &stored).await?;
        record(change, None, Some(&stored.message))?;
        Ok(CreateGroupResponse {
            group: Some(show(&stored)),
            ..CreateGroupResponse::default()
        })
    }
}

async fn insert(change: &mut Change, stored: &Stored<Group>) -> Result<(), Error> {
    let organization = change.authorized.organization();
    let name = name_of(&stored.message);
    let groups = sqlx::query_scalar!(
        r#"select count(*) as "groups!" from groups where organization_id = $1"#,
        organization,
    )
    .fetch_one(change.connection())
    .await?;
    if groups >= GROUPS_MAX {
        let description = format!("the organization has {GROUPS_MAX} groups; delete some first");
        return Err(Error::limit("groups", GROUPS_MAX, name, description));
    }
    let inserted = sqlx::query!(
        "insert into groups (id, organization_id, key, version, body, created_at, updated_at,
                             changed_by)
         values ($1, $2, $3, $4, $5, $6, $6, $7)",
        stored.id,
        organization,
        stored.message.key,
        stored.version,
        stored.message.encode_to_vec(),
        stored.created_at,
        stored.changed_by,
    )
    .execute(change.connection())
    .await;
    inserted.map(drop).map_err(Error::taken("groups_key", name))
}
