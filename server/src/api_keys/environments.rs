//! From the names of environments to their uids.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::access::{Authorized, Place};
use crate::change::Change;
use crate::error::Error;
use crate::names::EnvironmentName;

/// Finds environments of the caller's organization, under its lock.
///
/// # Errors
/// [`Error::Invalid`] for a malformed name or one given twice,
/// [`Error::NotFound`] for one that does not exist, [`Error::PermissionDenied`] for one in
/// which the caller may not do what the method does.
pub(super) async fn find(
    change: &mut Change,
    names: &[String],
) -> Result<BTreeMap<Uuid, String>, Error> {
    let mut wanted: Vec<EnvironmentName> = Vec::with_capacity(names.len());
    for (at, name) in names.iter().enumerate() {
        let field = format!("api_key.environments[{at}]");
        let name = EnvironmentName::parse(&field, name)?;
        if wanted.contains(&name) {
            return Err(Error::invalid(field, "given twice"));
        }
        wanted.push(name);
    }
    let organization = change.authorized.organization();
    let rows = sqlx::query!(
        r#"select e.id, p.key as project, e.key as environment
           from unnest($2::text[], $3::text[]) as w(project, environment)
           join projects p on p.organization_id = $1 and p.key = w.project
           join environments e on e.project_id = p.id and e.key = w.environment"#,
        organization,
        &wanted
            .iter()
            .map(|name| name.project.clone())
            .collect::<Vec<_>>(),
        &wanted
            .iter()
            .map(|name| name.environment.clone())
            .collect::<Vec<_>>(),
    )
    .fetch_all(change.connection())
    .await?;
    let mut found = BTreeMap::new();
    for row in rows {
        let name = EnvironmentName {
            project: row.project,
            environment: row.environment,
        };
        wanted.retain(|wanted| *wanted != name);
        change.authorized.demand(name.place())?;
        found.insert(row.id, name.to_string());
    }
    match wanted.first() {
        None => Ok(found),
        Some(missing) => Err(Error::not_found(missing)),
    }
}

/// Whether the caller may do what the method does in all environments of a key. One that opens
/// none is the organization's.
///
/// # Errors
/// [`Error::PermissionDenied`].
pub(super) fn demand(
    authorized: &Authorized,
    opened: &BTreeMap<Uuid, String>,
) -> Result<(), Error> {
    if opened.is_empty() {
        return authorized.demand(Place::Organization);
    }
    opened.values().try_for_each(|name| {
        let name = EnvironmentName::parse("environments", name)?;
        authorized.demand(name.place())
    })
}

/// The environments in which the caller may do what the method does. None: in every one.
///
/// # Errors
/// Those of the database.
pub(super) async fn allowed(
    connection: &mut PgConnection,
    authorized: &Authorized,
) -> Result<Option<Vec<Uuid>>, Error> {
    if authorized.allows(Place::Organization) {
        return Ok(None);
    }
    let rows = sqlx::query!(
        "select e.id, p.key as project, e.key from environments e
         join projects p on p.id = e.project_id
         where p.organization_id = $1 and p.key = any($2)",
        authorized.organization(),
        &authorized.projects().unwrap_or_default(),
    )
    .fetch_all(connection)
    .await?;
    let allowed = |project: &str, key: &str| authorized.allows(Place::Environment(project, key));
    let rows = rows
        .into_iter()
        .filter(|row| allowed(&row.project, &row.key));
    Ok(Some(rows.map(|row| row.id).collect()))
}
