//! UpdateProject.

use burgee_proto::admin::v1::{UpdateProjectRequest, UpdateProjectResponse};
use prost::Message as _;

use super::{check, read, record, show};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::ProjectName;
use crate::stored::Stored;

const CHANGEABLE: &[&str] = &["display_name", "description"];

fn name(request: &UpdateProjectRequest) -> Result<ProjectName, Error> {
    let name = request.project.as_ref().map_or("", |project| &project.name);
    ProjectName::parse("project.name", name)
}

#[tonic::async_trait]
impl Mutation for UpdateProjectRequest {
    mutation_fields!(UpdateProjectResponse, etag in project);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Project(name(self)?))
    }

    async fn apply(&self, change: &mut Change) -> Result<UpdateProjectResponse, Error> {
        let name = name(self)?;
        let authorized = change.authorized.clone();
        let stored = read(change.connection(), &authorized, &name).await?;
        stored.demand_etag(&name, &change.common.etag)?;
        let update = self.project.clone().unwrap_or_default();
        let mask = self.update_mask.as_ref();
        let merged = change
            .app
            .descriptors
            .merge(&stored.message, &update, mask, CHANGEABLE)?;
        check(&merged)?;
        if merged == stored.message {
            return Ok(answer(&stored));
        }
        let after = stored.next(merged, change.actor(), change.now());
        sqlx::query!(
            "update projects set version = $2, body = $3, updated_at = $4, changed_by = $5 where id = $1",
            after.id,
            after.version,
            after.message.encode_to_vec(),
            after.updated_at,
            after.changed_by,
        )
        .execute(change.connection())
        .await?;
        record(change, Some(stored.message), Some(after.message.clone()));
        Ok(answer(&after))
    }
}

fn answer(stored: &Stored<burgee_proto::admin::v1::Project>) -> UpdateProjectResponse {
    UpdateProjectResponse {
        project: Some(show(stored)),
        ..UpdateProjectResponse::default()
    }
}
