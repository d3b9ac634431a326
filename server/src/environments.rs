//! Environments: where a project's flags have their own configuration.

pub mod create_environment;
pub mod delete_environment;
pub mod list_environments;
pub mod service;
pub mod update_environment;

use burgee_proto::admin::v1::operation::Part;
use burgee_proto::admin::v1::{Environment, EnvironmentChange, Operation};
use burgee_proto::types::v1::Position;
use prost::Message as _;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::access::Authorized;
use crate::change::Change;
use crate::error::Error;
use crate::names::{self, EnvironmentName};
use crate::stored::{Stored, timestamp};
use crate::texts::Violations;

/// The uids of the environment's project and of the environment, if it is in
/// the caller's organization.
///
/// # Errors
/// [`Error::PermissionDenied`] if the caller may not do there what the method does; those of
/// the database.
pub async fn id(
    connection: &mut PgConnection,
    authorized: &Authorized,
    name: &EnvironmentName,
) -> Result<Option<(Uuid, Uuid)>, Error> {
    let row = sqlx::query!(
        "select e.project_id, e.id from environments e join projects p on p.id = e.project_id
         where p.organization_id = $1 and p.key = $2 and e.key = $3",
        authorized.organization(),
        name.project,
        name.environment,
    )
    .fetch_optional(connection)
    .await?;
    if row.is_some() {
        authorized.demand(name.place())?;
    }
    Ok(row.map(|row| (row.project_id, row.id)))
}

/// Reads an environment with where it stands.
async fn read(
    connection: &mut PgConnection,
    authorized: &Authorized,
    name: &EnvironmentName,
) -> Result<(Stored<Environment>, Position), Error> {
    let row = sqlx::query!(
        "select e.id, e.version, e.body, e.changed_by, e.created_at, e.updated_at,
                h.revision, d.epoch
         from environments e
         join projects p on p.id = e.project_id
         join environment_heads h on h.environment_id = e.id
         cross join deployment d
         where p.organization_id = $1 and p.key = $2 and e.key = $3",
        authorized.organization(),
        name.project,
        name.environment,
    )
    .fetch_optional(connection)
    .await?
    .ok_or_else(|| Error::not_found(name))?;
    authorized.demand(name.place())?;
    let stored = Stored {
        id: row.id,
        environment: None,
        version: row.version,
        changed_by: row.changed_by,
        created_at: row.created_at,
        updated_at: row.updated_at,
        message: Environment::decode(row.body.as_slice())?,
    };
    Ok((stored, position(row.epoch, row.revision)))
}

fn position(epoch: i64, revision: i64) -> Position {
    Position {
        epoch: epoch.cast_unsigned(),
        revision: revision.cast_unsigned(),
    }
}

/// A stored environment as it is shown.
fn show(name: &EnvironmentName, stored: &Stored<Environment>, position: Position) -> Environment {
    Environment {
        name: name.to_string(),
        uid: stored.id.to_string(),
        etag: stored.etag(),
        position: Some(position),
        create_time: Some(timestamp(stored.created_at)),
        update_time: Some(timestamp(stored.updated_at)),
        ..stored.message.clone()
    }
}

fn check(environment: &Environment) -> Result<(), Error> {
    let mut violations = Violations::default();
    violations.extend(names::check_slug("environment.key", &environment.key))?;
    violations.display_name("environment.display_name", &environment.display_name);
    violations.description("environment.description", &environment.description);
    violations.finish()
}

/// Takes a change of an environment into the change set.
fn record(
    change: &mut Change,
    name: &EnvironmentName,
    before: Option<Environment>,
    after: Option<Environment>,
) {
    change.record(Operation {
        resource: name.to_string(),
        part: Some(Part::Environment(EnvironmentChange { before, after })),
    });
}
