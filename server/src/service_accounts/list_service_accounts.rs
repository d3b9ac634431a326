//! GetServiceAccount, ListServiceAccounts and ListServiceAccountTokens: reading without a lock.

use burgee_proto::admin::v1::{
    GetServiceAccountRequest, GetServiceAccountResponse, ListServiceAccountTokensRequest,
    ListServiceAccountTokensResponse, ListServiceAccountsRequest, ListServiceAccountsResponse,
};

use super::{find, show};
use crate::access::Authorized;
use crate::app::App;
use crate::error::Error;
use crate::names::ServiceAccountName;
use crate::page::Page;
use crate::stored::Row;
use crate::tokens::{Token, list_page};

/// Gives one account.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get_service_account(
    app: &App,
    authorized: &Authorized,
    request: GetServiceAccountRequest,
) -> Result<GetServiceAccountResponse, Error> {
    let name = ServiceAccountName::parse("name", &request.name)?;
    let mut connection = app.pools.read.acquire().await?;
    let stored = find(&mut connection, authorized.organization(), &name).await?;
    let stored = stored.ok_or_else(|| Error::not_found(&name))?;
    Ok(GetServiceAccountResponse {
        service_account: Some(show(&stored)),
    })
}

/// Lists accounts, ordered by key.
///
/// # Errors
/// [`Error::Invalid`] for a bad page.
pub async fn list_service_accounts(
    app: &App,
    authorized: &Authorized,
    request: ListServiceAccountsRequest,
) -> Result<ListServiceAccountsResponse, Error> {
    let page = Page::parse(request.page_size, &request.page_token, &["serviceAccounts"])?;
    let rows = sqlx::query_as!(
        Row,
        "select id, version, body, changed_by, created_at, updated_at
         from service_accounts where organization_id = $1 and key > $2
         order by key limit $3",
        authorized.organization(),
        page.after_key(),
        page.rows(),
    )
    .fetch_all(&app.pools.read)
    .await?;
    let shown = rows.into_iter().map(|row| Ok(show(&row.decode()?)));
    let mut accounts = shown.collect::<Result<Vec<_>, Error>>()?;
    let next_page_token = page.cut(&mut accounts, |account| account.key.clone());
    Ok(ListServiceAccountsResponse {
        service_accounts: accounts,
        next_page_token,
    })
}

/// Lists an account's tokens, oldest first, without their secrets.
///
/// # Errors
/// [`Error::NotFound`] for the account, [`Error::Invalid`] for a bad page.
pub async fn list_tokens(
    app: &App,
    authorized: &Authorized,
    request: ListServiceAccountTokensRequest,
) -> Result<ListServiceAccountTokensResponse, Error> {
    let name = ServiceAccountName::parse("parent", &request.parent)?;
    let owner = (authorized.organization(), name.into());
    let token = request.page_token.as_str();
    let page = (request.page_size, token, request.include_revoked);
    let mut connection = app.pools.read.acquire().await?;
    let tokens = list_page(&mut connection, owner, page, Token::show).await?;
    let (service_account_tokens, next_page_token) = tokens;
    Ok(ListServiceAccountTokensResponse {
        service_account_tokens,
        next_page_token,
    })
}
