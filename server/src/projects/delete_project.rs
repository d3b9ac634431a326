//! DeleteProject.

use burgee_proto::admin::v1::{DeleteProjectRequest, DeleteProjectResponse};
use burgee_proto::types::v1::ErrorReason;

use super::{read, record, show};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::ProjectName;

#[tonic::async_trait]
impl Mutation for DeleteProjectRequest {
    mutation_fields!(DeleteProjectResponse, etag);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Environments(ProjectName::parse("name", &self.name)?))
    }

    async fn apply(&self, change: &mut Change) -> Result<DeleteProjectResponse, Error> {
        let name = ProjectName::parse("name", &self.name)?;
        let authorized = change.authorized.clone();
        let stored = read(change.connection(), &authorized, &name).await?;
        stored.demand_etag(&name, &change.common.etag)?;
        if let Some(head) = change.heads().values().next() {
            let description = format!(
                "the project still has {}; delete its environments first",
                head.name
            );
            return Err(Error::precondition(
                ErrorReason::ProjectNotEmpty,
                name,
                description,
            ));
        }
        // Its flags and segments ship nowhere: nothing that is evaluated goes.
        sqlx::query!("delete from flags where project_id = $1", stored.id)
            .execute(change.connection())
            .await?;
        sqlx::query!("delete from segments where project_id = $1", stored.id)
            .execute(change.connection())
            .await?;
        sqlx::query!("delete from projects where id = $1", stored.id)
            .execute(change.connection())
            .await?;
        record(change, Some(stored.message.clone()), None);
        Ok(DeleteProjectResponse {
            project: Some(show(&stored)),
            ..DeleteProjectResponse::default()
        })
    }
}
