//! ExplainAccess: may they, and by which roles.

use burgee_proto::admin::v1::{ExplainAccessRequest, ExplainAccessResponse};

use super::role::PERMISSION_UNKNOWN;
use super::subject::find_subject;
use super::{Binding, grants, held};
use crate::access::{Authorized, Grants, Permission, Place, reach};
use crate::app::App;
use crate::error::Error;
use crate::names::{EnvironmentName, ProjectName, SubjectName};

/// Where it must be held, if not where it was asked for.
const OUTER: &str = "above, where alone it counts";

/// Tells whether somebody may do something somewhere, and by which roles.
///
/// # Errors
/// [`Error::NotFound`] for the subject, [`Error::Invalid`].
pub async fn explain_access(
    app: &App,
    authorized: &Authorized,
    request: ExplainAccessRequest,
) -> Result<ExplainAccessResponse, Error> {
    let subject = SubjectName::parse("subject", &request.subject)?;
    let permission = Permission::parse(&request.permission);
    let permission = permission.ok_or_else(|| Error::invalid("permission", PERMISSION_UNKNOWN))?;
    let (project, environment) = place_of(&request.resource)?;
    let place = match (&project, &environment) {
        (Some(project), Some(environment)) => Place::Environment(project, environment),
        (Some(project), None) => Place::Project(project),
        (None, _) => Place::Organization,
    };
    let asked = place;
    let place = asked.outwards(reach(permission));
    let organization = authorized.organization();
    let mut connection = app.pools.read.acquire().await?;
    let found = find_subject(&mut connection, organization, &subject).await?;
    let found = found.ok_or_else(|| Error::not_found(&subject))?;
    let held = held(&mut connection, found.id).await?;
    let allowed = found.active && grants(&held).allow(permission, place);
    let by = held.iter();
    let by: Vec<&Binding> = by
        .filter(|binding| allow(binding, permission, place))
        .collect();
    let explanation = match by.first() {
        _ if !found.active => format!("{subject} is kept out, so it may do nothing"),
        Some(first) if first.subject == subject => format!("{} allows it", first.held_as()),
        Some(first) => format!("{} by {} allows it", first.held_as(), first.subject),
        None => {
            let roles = held.len();
            let place = if place == asked { "there" } else { OUTER };
            format!("none of the {roles} roles of {subject} allows it {place}")
        }
    };
    Ok(ExplainAccessResponse {
        allowed,
        role_bindings: by.into_iter().map(Binding::show).collect(),
        explanation,
    })
}

/// Whether one binding alone allows it.
fn allow(binding: &Binding, permission: Permission, place: Place<'_>) -> bool {
    let mut alone = Grants::default();
    alone.add(binding.place(), binding.permissions);
    alone.allow(permission, place)
}

/// The project and environment that a resource is in, by its name.
fn place_of(resource: &str) -> Result<(Option<String>, Option<String>), Error> {
    let mut parts = resource.split('/');
    if resource.is_empty() || parts.next() != Some("projects") {
        return Ok((None, None));
    }
    let prefix = |parts: usize| {
        resource
            .splitn(parts + 1, '/')
            .take(parts)
            .collect::<Vec<_>>()
            .join("/")
    };
    if let Ok(name) = EnvironmentName::parse("resource", &prefix(4)) {
        return Ok((Some(name.project), Some(name.environment)));
    }
    let name = ProjectName::parse("resource", &prefix(2))?;
    Ok((Some(name.project), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_in_the_place_that_its_name_begins_with() {
        let shop = || Some("shop".to_owned());
        let staging = Some("staging".to_owned());
        assert_eq!(place_of("").unwrap(), (None, None));
        assert_eq!(place_of("serviceAccounts/ci").unwrap(), (None, None));
        assert_eq!(place_of("projects/shop").unwrap(), (shop(), None));
        assert_eq!(place_of("projects/shop/flags/a").unwrap(), (shop(), None));
        let config = "projects/shop/environments/staging/flags/a";
        assert_eq!(place_of(config).unwrap(), (shop(), staging));
        assert!(place_of("projects/NOT OK").is_err());
    }
}
