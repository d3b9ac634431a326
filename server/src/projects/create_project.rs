//! CreateProject.

use burgee_proto::admin::v1::{CreateProjectRequest, CreateProjectResponse, Project};
use prost::Message as _;

use super::{check, record, show};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::ProjectName;
use crate::stored::Stored;

#[tonic::async_trait]
impl Mutation for CreateProjectRequest {
    mutation_fields!(CreateProjectResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<CreateProjectResponse, Error> {
        let given = self
            .project
            .clone()
            .ok_or_else(|| Error::invalid("project", "give the project"))?;
        let project = Project {
            key: given.key,
            display_name: given.display_name,
            description: given.description,
            ..Project::default()
        };
        check(&project)?;
        let stored = Stored::new(project, change.actor(), change.now());
        insert(change, &stored).await?;
        record(change, None, Some(stored.message.clone()));
        Ok(CreateProjectResponse {
            project: Some(show(&stored)),
            ..CreateProjectResponse::default()
        })
    }
}

async fn insert(change: &mut Change, stored: &Stored<Project>) -> Result<(), Error> {
    let organization = change.authorized.organization();
    let name = ProjectName {
        project: stored.message.key.clone(),
    };
    sqlx::query!(
        "insert into projects (id, organization_id, key, version, body, created_at, updated_at, changed_by)
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
    .await
    .map_err(Error::taken("projects_key", name))?;
    Ok(())
}
