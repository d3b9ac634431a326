//! SwitchOrganization: another session, in another organization of the same person.

use burgee_proto::admin::v1::{SwitchOrganizationRequest, SwitchOrganizationResponse};

use super::signed_in;
use crate::access::Authorized;
use crate::app::App;
use crate::error::Error;
use crate::names::check_slug;
use crate::sessions::{By, Proven};

/// Signs the caller in to another organization.
///
/// # Errors
/// [`Error::Invalid`], or [`Error::NotFound`] for an organization that does not let them in.
pub(super) async fn switch_organization(
    app: &App,
    authorized: &Authorized,
    request: SwitchOrganizationRequest,
) -> Result<SwitchOrganizationResponse, Error> {
    let session = authorized.session()?;
    check_slug("organization", &request.organization)?;
    // What they proved to begin their session, they have proven.
    let found = sqlx::query!(
        "select m.id, s.second_factor
         from members m
         join organizations o on o.id = m.organization_id
         join sessions s on s.id = $3
         where m.person_id = $1 and o.key = $2 and not m.deactivated",
        session.person,
        request.organization,
        session.id,
    )
    .fetch_optional(&app.pools.authentication)
    .await?;
    let name = format!("organizations/{}", request.organization);
    let found = found.ok_or_else(|| Error::not_found(name))?;
    let method = authorized.method();
    let proven = Proven {
        by: By::Session(session.id),
        second_factor: found.second_factor,
    };
    let signed = signed_in::sign_in(app, method, (found.id, proven), authorized.origin()).await?;
    Ok(SwitchOrganizationResponse {
        session: Some(signed.session),
        member: Some(signed.member),
        secret: signed.secret.expose().to_owned(),
    })
}
