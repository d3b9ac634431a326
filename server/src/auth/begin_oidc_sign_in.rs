//! BeginOidcSignIn: where to send whoever signs in with an identity provider.

use burgee_proto::admin::v1::{BeginOidcSignInRequest, BeginOidcSignInResponse, IdentityProvider};

use crate::access::Origin;
use crate::app::App;
use crate::error::Error;
use crate::identity_providers::{self, Which};
use crate::names::{IdentityProviderName, check_slug};
use crate::oidc::Oidc;
use crate::oidc::exchange::Registration;
use crate::oidc::flow::Flow;
use crate::stored::{Stored, timestamp};
use crate::texts::Violations;

/// What is asked for, if the provider's set-up says nothing else.
const SCOPES: [&str; 2] = ["email", "profile"];

/// Begins to sign in.
///
/// # Errors
/// [`Error::Invalid`], [`Error::NotFound`], [`Error::Exhausted`], and what is wrong with the
/// provider.
pub(super) async fn begin_oidc_sign_in(
    app: &App,
    oidc: &Oidc,
    origin: &Origin,
    request: BeginOidcSignInRequest,
) -> Result<BeginOidcSignInResponse, Error> {
    let mut violations = Violations::default();
    violations.extend(check_slug("organization", &request.organization))?;
    violations.extend(check_slug("identity_provider", &request.identity_provider))?;
    violations.finish()?;
    let provider = find(app, &request).await?;
    // Nobody proves to be Burgee to say where people are sent.
    let registration = registration(&provider.message);
    let (flow, secret) = Flow::generate()?;
    let url = oidc.authorization_url(&registration, &flow).await;
    let name = identity_providers::name_of(&provider.message).to_string();
    let url = url.map_err(|problem| problem.told_of(&name))?;
    let expires_at = flow.begin(&app.pools.write, provider.id, origin).await?;
    Ok(BeginOidcSignInResponse {
        authorization_url: url.to_string(),
        flow_secret: secret.expose().to_owned(),
        expire_time: Some(timestamp(expires_at)),
    })
}

/// What Burgee is to a provider, without its secret.
pub(super) fn registration(provider: &IdentityProvider) -> Registration {
    let scopes = match provider.scopes.as_slice() {
        [] => SCOPES.map(str::to_owned).to_vec(),
        scopes => scopes.to_vec(),
    };
    Registration {
        issuer: provider.issuer.clone(),
        client_id: provider.client_id.clone(),
        client_secret: None,
        scopes,
        groups_claim: provider.groups_claim.clone(),
    }
}

/// Finds the provider. The same answer for an organization, or a provider, that does not exist,
/// and one that lets nobody in.
async fn find(
    app: &App,
    request: &BeginOidcSignInRequest,
) -> Result<Stored<IdentityProvider>, Error> {
    let organization = sqlx::query_scalar!(
        "select id from organizations where key = $1",
        request.organization
    )
    .fetch_optional(&app.pools.authentication)
    .await?;
    let name = IdentityProviderName {
        provider: request.identity_provider.clone(),
    };
    let absent = || Error::not_found(format!("organizations/{}/{name}", request.organization));
    // One that nobody has: so that an organization takes as long to be absent as a provider.
    let organization = organization.unwrap_or_default();
    let mut connection = app.pools.authentication.acquire().await?;
    let which = Which::Named(&name);
    let found = identity_providers::find(&mut connection, organization, which).await?;
    let found = found.filter(|provider| !provider.message.disabled);
    found.ok_or_else(absent)
}
