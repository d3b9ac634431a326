//! UpdateGroup.

use burgee_proto::admin::v1::{UpdateGroupRequest, UpdateGroupResponse};
use prost::Message as _;

use super::{check, read, record, show};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::members::demand_cover_of;
use crate::names::GroupName;

const CHANGEABLE: &[&str] = &["display_name", "description"];

#[tonic::async_trait]
impl Mutation for UpdateGroupRequest {
    mutation_fields!(UpdateGroupResponse, etag in group);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<UpdateGroupResponse, Error> {
        let update = self.group.clone().unwrap_or_default();
        let name = GroupName::parse("group.name", &update.name)?;
        let stored = read(change, &name).await?;
        demand_cover_of(change, &name.clone().into()).await?;
        stored.demand_etag(&name, &change.common.etag)?;
        let mask = self.update_mask.as_ref();
        let descriptors = &change.app.descriptors;
        let merged = descriptors.merge(&stored.message, &update, mask, CHANGEABLE)?;
        check(&merged)?;
        let mut after = stored.clone();
        if merged != stored.message {
            after = stored.next(merged, change.actor(), change.now());
            sqlx::query!(
                "update groups set version = $2, body = $3, updated_at = $4, changed_by = $5
                 where id = $1",
                after.id,
                after.version,
                after.message.encode_to_vec(),
                after.updated_at,
                after.changed_by,
            )
            .execute(change.connection())
            .await?;
            record(change, Some(&stored.message), Some(&after.message))?;
        }
        Ok(UpdateGroupResponse {
            group: Some(show(&after)),
            ..UpdateGroupResponse::default()
        })
    }
}
