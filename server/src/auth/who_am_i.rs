//! WhoAmI: what callers are told of themselves.

use burgee_proto::admin::v1::{ScopePermissions, WhoAmIResponse};
use sqlx::PgConnection;

use crate::access::{Authorized, Session};
use crate::app::App;
use crate::error::Error;
use crate::members::{Binding, find_subject, held, member};
use crate::names::SubjectName;
use crate::second_factor;

/// Tells who calls, and what they may do.
///
/// # Errors
/// [`Error::CredentialInvalid`] for whoever was deleted a moment ago.
pub(super) async fn who_am_i(app: &App, authorized: &Authorized) -> Result<WhoAmIResponse, Error> {
    let principal = authorized.principal();
    let mut connection = app.pools.read.acquire().await?;
    let organization = sqlx::query_scalar!(
        "select key from organizations where id = $1",
        principal.organization,
    )
    .fetch_one(&mut *connection)
    .await?;
    let held = match &principal.subject {
        Some(name) => {
            let found = find_subject(&mut connection, principal.organization, name).await?;
            held(&mut connection, found.ok_or(Error::CredentialInvalid)?.id).await?
        }
        None => Vec::new(),
    };
    let member = match principal.subject {
        Some(SubjectName::Member(name)) => {
            let found = member::find(&mut connection, principal.organization, name).await?;
            Some(member::show(&found))
        }
        _ => None,
    };
    let (mut organizations, mut recovery_codes_left) = (Vec::new(), 0);
    if let Some(session) = principal.session {
        organizations = organizations_of(&mut connection, session).await?;
        // A second factor is the person's, whom their password alone proves.
        if session.bound_to.is_none() {
            let left = second_factor::recovery_codes_left(&mut *connection, session.person).await?;
            recovery_codes_left = i32::try_from(left).unwrap_or(i32::MAX);
        }
    }
    let token = principal.token.as_ref();
    let given = principal.grants.given().into_iter();
    let permissions = given.map(|(scope, permissions)| ScopePermissions {
        scope,
        permissions: permissions.iter().map(|it| it.name().to_owned()).collect(),
    });
    Ok(WhoAmIResponse {
        subject: principal.actor.clone(),
        organization,
        role_bindings: held.iter().map(Binding::show).collect(),
        permissions: permissions.collect(),
        member,
        organizations,
        recovery_codes_left,
        token: token.map(|it| it.name.to_string()).unwrap_or_default(),
        token_display_name: token.map(|it| it.display_name.clone()).unwrap_or_default(),
    })
}

/// The keys of the organizations that let a person in, in the order in which they joined them;
/// as far as the session may see.
async fn organizations_of(
    connection: &mut PgConnection,
    session: Session,
) -> Result<Vec<String>, Error> {
    let keys = sqlx::query_scalar!(
        "select o.key from members m join organizations o on o.id = m.organization_id
         where m.person_id = $1 and not m.deactivated and ($2::uuid is null or o.id = $2)
         order by m.created_at, m.id",
        session.person,
        session.bound_to,
    )
    .fetch_all(connection)
    .await?;
    Ok(keys)
}
