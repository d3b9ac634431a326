//! UpdateEnvironment.

use burgee_proto::admin::v1::{UpdateEnvironmentRequest, UpdateEnvironmentResponse};
use prost::Message as _;

use super::{check, read, record, show};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::EnvironmentName;

const CHANGEABLE: &[&str] = &["display_name", "description", "protected"];

fn name(request: &UpdateEnvironmentRequest) -> Result<EnvironmentName, Error> {
    let name = request
        .environment
        .as_ref()
        .map_or("", |environment| &environment.name);
    EnvironmentName::parse("environment.name", name)
}

#[tonic::async_trait]
impl Mutation for UpdateEnvironmentRequest {
    mutation_fields!(UpdateEnvironmentResponse, etag in environment);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Environment(name(self)?))
    }

    async fn apply(&self, change: &mut Change) -> Result<UpdateEnvironmentResponse, Error> {
        let name = name(self)?;
        let authorized = change.authorized.clone();
        let (stored, position) = read(change.connection(), &authorized, &name).await?;
        stored.demand_etag(&name, &change.common.etag)?;
        let update = self.environment.clone().unwrap_or_default();
        let mask = self.update_mask.as_ref();
        let merged = change
            .app
            .descriptors
            .merge(&stored.message, &update, mask, CHANGEABLE)?;
        check(&merged)?;
        let mut after = stored.clone();
        if merged != stored.message {
            after.version += 1;
            after.changed_by = change.actor().to_owned();
            after.updated_at = change.now();
            after.message = merged;
            sqlx::query!(
                "update environments set version = $2, body = $3, updated_at = $4, changed_by = $5
                 where id = $1",
                after.id,
                after.version,
                after.message.encode_to_vec(),
                after.updated_at,
                after.changed_by,
            )
            .execute(change.connection())
            .await?;
            record(
                change,
                &name,
                Some(stored.message),
                Some(after.message.clone()),
            );
        }
        Ok(UpdateEnvironmentResponse {
            environment: Some(show(&name, &after, position)),
            ..UpdateEnvironmentResponse::default()
        })
    }
}
