//! Relay keys by pattern: what they open follows what there is. The patterns have rows of their
//! own beside the key's message, for whoever asks which keys open an environment that is made.

use std::collections::{BTreeMap, BTreeSet};

use burgee_proto::admin::v1::ApiKey;
use sqlx::PgConnection;
use uuid::Uuid;

use super::rules::ENVIRONMENTS_MAX;
use super::store;
use crate::access::{Authorized, Place};
use crate::change::Change;
use crate::error::Error;
use crate::names::{EnvironmentName, EnvironmentPattern};
use crate::projects;

/// The most relay keys with patterns that an organization has at a time: each is shipped anew in
/// all that it opens when it opens one environment more.
pub(super) const KEYS_MAX: usize = 100;
/// The same, with those that are replaced and have not ended yet.
pub(super) const ROTATED_KEYS_MAX: usize = 2 * KEYS_MAX;
/// Where they stand in requests.
const FIELD: &str = "api_key.environment_patterns";

/// The patterns of a key.
///
/// # Errors
/// [`Error::Invalid`] for a malformed one, or one that is given twice.
pub(super) fn parse(key: &ApiKey) -> Result<Vec<EnvironmentPattern>, Error> {
    let mut patterns = Vec::with_capacity(key.environment_patterns.len());
    for (at, text) in key.environment_patterns.iter().enumerate() {
        let field = format!("{FIELD}[{at}]");
        let pattern = EnvironmentPattern::parse(&field, text)?;
        if patterns.contains(&pattern) {
            return Err(Error::invalid(field, "given twice"));
        }
        patterns.push(pattern);
    }
    Ok(patterns)
}

/// Whether the caller may do what the method does in all that patterns may ever cover.
///
/// # Errors
/// [`Error::PermissionDenied`].
pub(super) fn demand(
    authorized: &Authorized,
    patterns: &[EnvironmentPattern],
) -> Result<(), Error> {
    let mut patterns = patterns.iter();
    patterns.try_for_each(|pattern| match &pattern.project {
        Some(project) if holds_whole(authorized, project) => Ok(()),
        _ => authorized.demand(Place::Organization),
    })
}

/// Whether the caller may do what the method does in all of a project: what is shown of one to
/// whoever sees an environment of it is not all.
pub(super) fn holds_whole(authorized: &Authorized, project: &str) -> bool {
    authorized.environments(project).is_none()
}

/// Finds what patterns cover now, under the organization's lock.
///
/// # Errors
/// [`Error::PermissionDenied`] for a pattern that covers a place in which the caller may not do
/// what the method does, [`Error::NotFound`] for the project of one, [`Error::Limit`].
pub(super) async fn find(
    change: &mut Change,
    patterns: &[EnvironmentPattern],
) -> Result<BTreeMap<Uuid, String>, Error> {
    let authorized = change.authorized.clone();
    for pattern in patterns {
        match pattern.project() {
            Some(project) => {
                let found = projects::id(change.connection(), &authorized, &project).await?;
                found.ok_or_else(|| Error::not_found(project))?;
            }
            None => authorized.demand(pattern.place())?,
        }
    }
    let (project_keys, environment_keys) = keys(patterns);
    let rows = sqlx::query!(
        r#"select e.id, p.key as project, e.key as environment
           from projects p
           join environments e on e.project_id = p.id
           where p.organization_id = $1 and exists (
               select from unnest($2::text[], $3::text[]) as w(project, environment)
               where coalesce(w.project, p.key) = p.key
                 and coalesce(w.environment, e.key) = e.key)"#,
        authorized.organization(),
        &project_keys as &[Option<String>],
        &environment_keys as &[Option<String>],
    )
    .fetch_all(change.connection())
    .await?;
    let found = rows.into_iter().map(|row| {
        let name = EnvironmentName {
            project: row.project,
            environment: row.environment,
        };
        (row.id, name.to_string())
    });
    let found: BTreeMap<Uuid, String> = found.collect();
    let subject = patterns.first().map(ToString::to_string);
    check_count(found.len(), &subject.unwrap_or_default())?;
    Ok(found)
}

/// Refuses another key with patterns where there are as many as may be.
///
/// # Errors
/// [`Error::Limit`].
pub(super) async fn check_room(change: &mut Change, maximum: usize) -> Result<(), Error> {
    let (organization, now) = (change.authorized.organization(), change.now());
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from api_keys k
           where k.organization_id = $1 and k.revoked_at is null
             and (k.expires_at is null or k.expires_at > $2)
             and exists (select from api_key_patterns p where p.api_key_id = k.id)"#,
        organization,
        now,
    )
    .fetch_one(change.connection())
    .await?;
    if usize::try_from(count).is_ok_and(|count| count < maximum) {
        return Ok(());
    }
    let description = format!("{maximum} relay keys have patterns; revoke one that is not used");
    Err(Error::limit(
        "pattern_keys",
        maximum,
        "apiKeys",
        description,
    ))
}

/// Gives an environment that the change makes to the keys whose patterns cover it. Each of them
/// is shipped in all that it opens: it names them.
///
/// # Errors
/// [`Error::Limit`] if one would open too many, those of the database.
pub async fn open_new_environment(
    change: &mut Change,
    environment: Uuid,
    name: &EnvironmentName,
) -> Result<(), Error> {
    let (organization, now) = (change.authorized.organization(), change.now());
    let ids = sqlx::query_scalar!(
        "select k.id from api_keys k
         where k.organization_id = $1 and k.revoked_at is null
           and (k.expires_at is null or k.expires_at > $2)
           and exists (
               select from api_key_patterns p
               where p.api_key_id = k.id
                 and coalesce(p.project, $3) = $3 and coalesce(p.environment, $4) = $4)",
        organization,
        now,
        name.project,
        name.environment,
    )
    .fetch_all(change.connection())
    .await?;
    let mut keys = store::read(change.connection(), organization, &ids).await?;
    let others: BTreeSet<Uuid> = keys
        .iter()
        .flat_map(|key| key.opened.keys())
        .copied()
        .collect();
    let others: Vec<Uuid> = others.into_iter().collect();
    change.lock_heads(&others).await?;
    for key in &mut keys {
        let mut opens = key.opens.clone();
        opens.insert(environment, name.to_string());
        check_count(opens.len(), &key.name().to_string())?;
        key.open(opens)?;
        change.put_key(key).await?;
    }
    Ok(())
}

/// Writes the patterns of a key.
///
/// # Errors
/// Those of the database.
pub(super) async fn write(
    connection: &mut PgConnection,
    key: Uuid,
    patterns: &[EnvironmentPattern],
) -> Result<(), Error> {
    sqlx::query!("delete from api_key_patterns where api_key_id = $1", key)
        .execute(&mut *connection)
        .await?;
    let (project_keys, environment_keys) = keys(patterns);
    sqlx::query!(
        "insert into api_key_patterns (api_key_id, project, environment)
         select $1, w.project, w.environment
         from unnest($2::text[], $3::text[]) as w(project, environment)",
        key,
        &project_keys as &[Option<String>],
        &environment_keys as &[Option<String>],
    )
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// The keys of projects and of environments in patterns.
fn keys(patterns: &[EnvironmentPattern]) -> (Vec<Option<String>>, Vec<Option<String>>) {
    let keys = patterns.iter();
    keys.map(|pattern| (pattern.project.clone(), pattern.environment.clone()))
        .unzip()
}

fn check_count(count: usize, subject: &str) -> Result<(), Error> {
    if count <= ENVIRONMENTS_MAX {
        return Ok(());
    }
    Err(Error::limit(
        "relay_key_environments",
        ENVIRONMENTS_MAX,
        subject,
        format!("a relay key opens at most {ENVIRONMENTS_MAX} environments; narrow its patterns"),
    ))
}
