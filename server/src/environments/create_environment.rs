//! CreateEnvironment.

use burgee_proto::admin::v1::{CreateEnvironmentRequest, CreateEnvironmentResponse, Environment};
use burgee_proto::types::v1::Position;
use prost::Message as _;
use uuid::Uuid;

use super::{check, record, show};
use crate::change::scope::Scope;
use crate::change::{Change, Head, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::{EnvironmentName, ProjectName};
use crate::stored::Stored;
use crate::{api_keys, flags, segments};

/// The most environments of a project.
const ENVIRONMENTS_MAX: usize = 50;

#[tonic::async_trait]
impl Mutation for CreateEnvironmentRequest {
    mutation_fields!(CreateEnvironmentResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Environments(ProjectName::parse(
            "parent",
            &self.parent,
        )?))
    }

    async fn apply(&self, change: &mut Change) -> Result<CreateEnvironmentResponse, Error> {
        let project = ProjectName::parse("parent", &self.parent)?;
        let given = self
            .environment
            .clone()
            .ok_or_else(|| Error::invalid("environment", "give the environment"))?;
        let environment = Environment {
            key: given.key,
            display_name: given.display_name,
            description: given.description,
            protected: given.protected,
            ..Environment::default()
        };
        check(&environment)?;
        let name = project.environment(&environment.key);
        if change.environment(&name).is_ok() {
            return Err(Error::Exists {
                resource: name.to_string(),
            });
        }
        if change.heads().len() >= ENVIRONMENTS_MAX {
            let description =
                format!("the project has {ENVIRONMENTS_MAX} environments; delete one first");
            return Err(Error::limit(
                "environments",
                ENVIRONMENTS_MAX,
                project,
                description,
            ));
        }
        let from = source(change, &project, &self.copy_from)?;
        let stored = insert(change, environment).await?;
        let project_id = change.project()?;
        change.add_head(stored.id, Head::new(name.clone(), project_id));
        flags::copy::into_environment(change, stored.id, from).await?;
        segments::copy::into_environment(change, stored.id, from).await?;
        api_keys::open_new_environment(change, stored.id, &name).await?;
        record(change, &name, None, Some(stored.message.clone()));
        let position = Position {
            epoch: change.epoch(),
            revision: 1,
        };
        Ok(CreateEnvironmentResponse {
            environment: Some(show(&name, &stored, position)),
            ..CreateEnvironmentResponse::default()
        })
    }
}

/// The environment to copy. None: none.
fn source(change: &Change, project: &ProjectName, name: &str) -> Result<Option<Uuid>, Error> {
    if name.is_empty() {
        return Ok(None);
    }
    let name = EnvironmentName::parse("copy_from", name)?;
    if name.project() != *project {
        return Err(Error::invalid(
            "copy_from",
            format!("give an environment of {project}"),
        ));
    }
    change.environment(&name).map(Some)
}

async fn insert(
    change: &mut Change,
    environment: Environment,
) -> Result<Stored<Environment>, Error> {
    let stored = Stored::new(environment, change.actor(), change.now());
    let project = change.project()?;
    sqlx::query!(
        "insert into environments (id, project_id, key, version, body, created_at, updated_at, changed_by)
         values ($1, $2, $3, $4, $5, $6, $6, $7)",
        stored.id,
        project,
        stored.message.key,
        stored.version,
        stored.message.encode_to_vec(),
        stored.created_at,
        stored.changed_by,
    )
    .execute(change.connection())
    .await?;
    sqlx::query!(
        "insert into environment_heads (environment_id, revision) values ($1, 1)",
        stored.id,
    )
    .execute(change.connection())
    .await?;
    Ok(stored)
}
