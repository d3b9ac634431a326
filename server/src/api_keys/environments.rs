//! From the names of environments to their uids.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::change::Change;
use crate::error::Error;
use crate::names::EnvironmentName;

/// Finds environments of the caller's organization, under its lock.
///
/// # Errors
/// [`Error::Invalid`] for a malformed name or one given twice,
/// [`Error::NotFound`] for one that does not exist.
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
        found.insert(row.id, name.to_string());
    }
    match wanted.first() {
        None => Ok(found),
        Some(missing) => Err(Error::not_found(missing)),
    }
}
