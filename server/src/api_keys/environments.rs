//! From the names of environments to their uids.

use std::collections::BTreeMap;

use burgee_proto::admin::v1::ApiKey;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{KeyEntry, patterns, rules};
use crate::access::{Authorized, Place};
use crate::change::Change;
use crate::error::Error;
use crate::names::EnvironmentName;

/// The environments that a new key opens.
///
/// # Errors
/// Those of [`find`] and of [`patterns::find`]; [`Error::Invalid`] for a key with environments
/// and patterns.
pub(super) async fn of_new(
    change: &mut Change,
    key: &ApiKey,
) -> Result<BTreeMap<Uuid, String>, Error> {
    if key.environment_patterns.is_empty() {
        return find(change, &key.environments).await;
    }
    if !key.environments.is_empty() {
        return Err(both());
    }
    let patterns = patterns::parse(key)?;
    let opens = patterns::find(change, &patterns).await?;
    patterns::check_room(change, patterns::KEYS_MAX).await?;
    Ok(opens)
}

/// The environments that a changed key opens. None: those that it did.
///
/// # Errors
/// As [`of_new`]; [`Error::Invalid`] if it may not open others.
pub(super) async fn of_changed(
    change: &mut Change,
    before: &ApiKey,
    after: &ApiKey,
) -> Result<Option<BTreeMap<Uuid, String>>, Error> {
    let other_names = after.environments != before.environments;
    let other_patterns = after.environment_patterns != before.environment_patterns;
    if !other_names && !other_patterns {
        return Ok(None);
    }
    rules::check_other_environments(after)?;
    if after.environment_patterns.is_empty() {
        return find(change, &after.environments).await.map(Some);
    }
    if other_names {
        return Err(both());
    }
    if before.environment_patterns.is_empty() {
        patterns::check_room(change, patterns::KEYS_MAX).await?;
    }
    let patterns = patterns::parse(after)?;
    patterns::find(change, &patterns).await.map(Some)
}

fn both() -> Error {
    let description =
        "a key has environments or patterns of them: what patterns cover is worked out";
    Error::invalid("api_key.environments", description)
}

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

/// Whether the caller may do what the method does in all environments of a key, and in all that
/// its patterns may ever cover. One that has neither is the organization's.
///
/// # Errors
/// [`Error::PermissionDenied`].
pub(super) fn demand(authorized: &Authorized, key: &KeyEntry) -> Result<(), Error> {
    let patterns = patterns::parse(&key.stored()?.message)?;
    if key.opened.is_empty() && patterns.is_empty() {
        return authorized.demand(Place::Organization);
    }
    patterns::demand(authorized, &patterns)?;
    key.opened.values().try_for_each(|name| {
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
