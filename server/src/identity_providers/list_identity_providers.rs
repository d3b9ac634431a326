//! GetIdentityProvider and ListIdentityProviders: reading without a lock.

use burgee_proto::admin::v1::{
    GetIdentityProviderRequest, GetIdentityProviderResponse, ListIdentityProvidersRequest,
    ListIdentityProvidersResponse,
};

use super::{Which, find, show};
use crate::access::Authorized;
use crate::app::App;
use crate::error::Error;
use crate::names::IdentityProviderName;
use crate::page::Page;
use crate::stored::Row;

/// Gives one provider.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get_identity_provider(
    app: &App,
    authorized: &Authorized,
    request: GetIdentityProviderRequest,
) -> Result<GetIdentityProviderResponse, Error> {
    let name = IdentityProviderName::parse("name", &request.name)?;
    let mut connection = app.pools.read.acquire().await?;
    let organization = authorized.organization();
    let stored = find(&mut connection, organization, Which::Named(&name)).await?;
    let stored = stored.ok_or_else(|| Error::not_found(&name))?;
    Ok(GetIdentityProviderResponse {
        identity_provider: Some(show(&stored)),
        ..GetIdentityProviderResponse::default()
    })
}

/// Lists providers, ordered by key.
///
/// # Errors
/// [`Error::Invalid`] for a bad page.
pub async fn list_identity_providers(
    app: &App,
    authorized: &Authorized,
    request: ListIdentityProvidersRequest,
) -> Result<ListIdentityProvidersResponse, Error> {
    let question = ["identityProviders"];
    let page = Page::parse(request.page_size, &request.page_token, &question)?;
    let rows = sqlx::query_as!(
        Row,
        "select id, version, body, changed_by, created_at, updated_at
         from identity_providers where organization_id = $1 and key > $2
         order by key limit $3",
        authorized.organization(),
        page.after_key(),
        page.rows(),
    )
    .fetch_all(&app.pools.read)
    .await?;
    let shown = rows.into_iter().map(|row| Ok(show(&row.decode()?)));
    let mut providers = shown.collect::<Result<Vec<_>, Error>>()?;
    let next_page_token = page.cut(&mut providers, |provider| provider.key.clone());
    Ok(ListIdentityProvidersResponse {
        identity_providers: providers,
        next_page_token,
    })
}
