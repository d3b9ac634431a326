//! Projects: a set of flags and segments, with the environments they are used
//! in.

pub mod create_project;
pub mod delete_project;
pub mod list_projects;
pub mod service;
pub mod update_project;

use burgee_proto::admin::v1::operation::Part;
use burgee_proto::admin::v1::{Operation, Project, ProjectChange};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::access::Authorized;
use crate::change::Change;
use crate::error::Error;
use crate::names::{self, ProjectName};
use crate::stored::{Row, Stored, timestamp};
use crate::texts::Violations;

/// The project's uid, if it is in the caller's organization.
///
/// # Errors
/// [`Error::PermissionDenied`] if the caller may not do there what the method does; those of
/// the database.
pub async fn id(
    connection: &mut PgConnection,
    authorized: &Authorized,
    name: &ProjectName,
) -> Result<Option<Uuid>, Error> {
    let id = sqlx::query_scalar!(
        "select id from projects where organization_id = $1 and key = $2",
        authorized.organization(),
        name.project,
    )
    .fetch_optional(connection)
    .await?;
    if id.is_some() {
        authorized.demand(name.place())?;
    }
    Ok(id)
}

/// Reads a project.
async fn read(
    connection: &mut PgConnection,
    authorized: &Authorized,
    name: &ProjectName,
) -> Result<Stored<Project>, Error> {
    let row = sqlx::query_as!(
        Row,
        "select id, version, body, changed_by, created_at, updated_at from projects
         where organization_id = $1 and key = $2",
        authorized.organization(),
        name.project,
    )
    .fetch_optional(connection)
    .await?
    .ok_or_else(|| Error::not_found(name))?;
    authorized.demand(name.place())?;
    row.decode()
}

/// A stored project as it is shown.
fn show(stored: &Stored<Project>) -> Project {
    let name = ProjectName {
        project: stored.message.key.clone(),
    };
    Project {
        name: name.to_string(),
        uid: stored.id.to_string(),
        etag: stored.etag(),
        create_time: Some(timestamp(stored.created_at)),
        update_time: Some(timestamp(stored.updated_at)),
        ..stored.message.clone()
    }
}

fn check(project: &Project) -> Result<(), Error> {
    let mut violations = Violations::default();
    violations.extend(names::check_slug("project.key", &project.key))?;
    violations.display_name("project.display_name", &project.display_name);
    violations.description("project.description", &project.description);
    violations.finish()
}

/// Takes a change of a project into the change set.
fn record(change: &mut Change, before: Option<Project>, after: Option<Project>) {
    let project = before.as_ref().or(after.as_ref());
    let key = project
        .map(|project| project.key.clone())
        .unwrap_or_default();
    change.record(Operation {
        resource: ProjectName { project: key }.to_string(),
        part: Some(Part::Project(ProjectChange { before, after })),
    });
}
