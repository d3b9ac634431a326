//! What a change locks, always in this order: organization, project, heads
//! ascending. No other row lock is waited for, so nobody waits in a circle;
//! and what is validated afterwards cannot move.
//!
//! Heads of several projects are locked under the organization's lock alone,
//! once, after those of the change's own project. That is not ascending among
//! all heads, and need not be: whoever else holds a head of another project
//! holds nothing but that project and heads of it, and waits for no head that
//! is not above those; and whoever holds heads of several projects is one.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use super::Head;
use crate::access::Authorized;
use crate::app::App;
use crate::error::Error;
use crate::names::{EnvironmentName, ProjectName};
use crate::{environments, projects};

/// What a change may touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// One environment: its head.
    Environment(EnvironmentName),
    /// What all environments of a project share: the project, then its heads.
    Project(ProjectName),
    /// Which environments a project has: the organization, then as
    /// [`Scope::Project`].
    Environments(ProjectName),
    /// New projects, and API keys: the organization. Heads are locked when it is
    /// known which, by [`super::Change::lock_heads`].
    Organization,
}

/// What was locked.
pub(super) struct Locked {
    pub(super) project: Option<Uuid>,
    /// The organization too.
    pub(super) organization: bool,
    pub(super) heads: BTreeMap<Uuid, Head>,
    /// The epoch, and the time on the database's clock.
    pub(super) epoch: i64,
    pub(super) now: OffsetDateTime,
}

impl Scope {
    /// Whether the caller may do there what the method does. Before anything is waited for or
    /// locked: who may not delays nobody.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], or [`Error::NotFound`] if there is no such place.
    pub(super) async fn check_access(
        &self,
        app: &App,
        authorized: &Authorized,
    ) -> Result<(), Error> {
        match self {
            // Checked with the method, or for each thing that is changed.
            Self::Organization => Ok(()),
            Self::Environment(name) if authorized.is_confined() => {
                let found = authorized.allows(name.place());
                found.then_some(()).ok_or_else(|| Error::not_found(name))
            }
            Self::Project(name) | Self::Environments(name) if !authorized.allows(name.place()) => {
                let mut connection = app.pools.read.acquire().await?;
                let found = projects::id(&mut connection, authorized, name).await?;
                found.map(drop).ok_or_else(|| Error::not_found(name))
            }
            Self::Environment(name) if !authorized.allows(name.place()) => {
                let mut connection = app.pools.read.acquire().await?;
                let found = environments::id(&mut connection, authorized, name).await?;
                found.map(drop).ok_or_else(|| Error::not_found(name))
            }
            Self::Project(_) | Self::Environments(_) | Self::Environment(_) => Ok(()),
        }
    }

    /// Where to queue before locking, in the order of locking.
    pub(super) async fn turns(&self, app: &App, organization: Uuid) -> Result<Vec<String>, Error> {
        let head = |name: &EnvironmentName| format!("{organization}/{name}");
        Ok(match self {
            Self::Environment(name) => vec![head(name)],
            // The organization's turn is the widest: it keeps those who lock
            // heads one after another apart.
            Self::Organization => vec![organization.to_string()],
            Self::Environments(_) => vec![organization.to_string()],
            Self::Project(name) => {
                let keys = sqlx::query_scalar!(
                    "select e.key from environments e join projects p on p.id = e.project_id
                     where p.organization_id = $1 and p.key = $2 order by e.key",
                    organization,
                    name.project,
                )
                .fetch_all(&app.pools.read)
                .await?;
                let mut turns = vec![format!("{organization}/{name}")];
                turns.extend(keys.iter().map(|key| head(&name.environment(key))));
                turns
            }
        })
    }

    pub(super) async fn lock(
        &self,
        connection: &mut PgConnection,
        organization: Uuid,
    ) -> Result<Locked, Error> {
        let (project, heads) = match self {
            // The one that is locked most: everything in one statement.
            Self::Environment(name) => {
                return lock_environment(connection, organization, name).await;
            }
            Self::Project(name) => lock_project(connection, organization, name).await?,
            Self::Environments(name) => {
                lock_organization(connection, organization).await?;
                lock_project(connection, organization, name).await?
            }
            Self::Organization => {
                lock_organization(connection, organization).await?;
                (None, BTreeMap::new())
            }
        };
        let row = sqlx::query!(r#"select epoch, clock_timestamp() as "now!" from deployment"#)
            .fetch_one(connection)
            .await?;
        Ok(Locked {
            project,
            organization: matches!(self, Self::Organization | Self::Environments(_)),
            heads,
            epoch: row.epoch,
            now: row.now,
        })
    }
}

async fn lock_environment(
    connection: &mut PgConnection,
    organization: Uuid,
    name: &EnvironmentName,
) -> Result<Locked, Error> {
    let row = sqlx::query!(
        r#"select h.environment_id, h.revision, h.item_count, h.item_bytes, e.project_id,
                  d.epoch, clock_timestamp() as "now!"
           from environment_heads h
           join environments e on e.id = h.environment_id
           join projects p on p.id = e.project_id
           cross join deployment d
           where p.organization_id = $1 and p.key = $2 and e.key = $3
           for no key update of h"#,
        organization,
        name.project,
        name.environment,
    )
    .fetch_optional(connection)
    .await?
    .ok_or_else(|| Error::not_found(name))?;
    let head = Head {
        name: name.clone(),
        project: row.project_id,
        revision: row.revision,
        item_count: row.item_count,
        item_bytes: row.item_bytes,
        created: false,
        deleted: false,
    };
    Ok(Locked {
        project: Some(row.project_id),
        organization: false,
        heads: BTreeMap::from([(row.environment_id, head)]),
        epoch: row.epoch,
        now: row.now,
    })
}

async fn lock_organization(connection: &mut PgConnection, organization: Uuid) -> Result<(), Error> {
    sqlx::query_scalar!(
        "select id from organizations where id = $1 for no key update",
        organization
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}

async fn lock_project(
    connection: &mut PgConnection,
    organization: Uuid,
    name: &ProjectName,
) -> Result<(Option<Uuid>, BTreeMap<Uuid, Head>), Error> {
    let project = sqlx::query_scalar!(
        "select id from projects where organization_id = $1 and key = $2 for no key update",
        organization,
        name.project,
    )
    .fetch_optional(&mut *connection)
    .await?
    .ok_or_else(|| Error::not_found(name))?;
    let environments =
        sqlx::query_scalar!("select id from environments where project_id = $1", project)
            .fetch_all(&mut *connection)
            .await?;
    let heads = lock_heads(connection, &environments).await?;
    Ok((Some(project), heads))
}

/// Locks heads in ascending order. One that is gone is left out.
pub(super) async fn lock_heads(
    connection: &mut PgConnection,
    environments: &[Uuid],
) -> Result<BTreeMap<Uuid, Head>, Error> {
    let rows = sqlx::query!(
        "select h.environment_id, h.revision, h.item_count, h.item_bytes, e.project_id,
                e.key, p.key as project
         from environment_heads h
         join environments e on e.id = h.environment_id
         join projects p on p.id = e.project_id
         where h.environment_id = any($1)
         order by h.environment_id
         for no key update of h",
        environments,
    )
    .fetch_all(connection)
    .await?;
    let heads = rows.into_iter().map(|row| {
        let name = EnvironmentName {
            project: row.project,
            environment: row.key,
        };
        let head = Head {
            name,
            project: row.project_id,
            revision: row.revision,
            item_count: row.item_count,
            item_bytes: row.item_bytes,
            created: false,
            deleted: false,
        };
        (row.environment_id, head)
    });
    Ok(heads.collect())
}
