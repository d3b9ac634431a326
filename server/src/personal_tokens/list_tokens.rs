//! ListPersonalTokens and ListMemberTokens: reading without a lock.

use burgee_proto::admin::v1::{
    ListMemberTokensRequest, ListMemberTokensResponse, ListPersonalTokensRequest,
    ListPersonalTokensResponse,
};

use super::caller;
use crate::access::Authorized;
use crate::app::App;
use crate::error::Error;
use crate::names::MemberName;
use crate::tokens::{Token, list_page};

/// Lists the caller's own tokens.
///
/// # Errors
/// [`Error::Invalid`] for a bad page.
pub async fn list_personal_tokens(
    app: &App,
    authorized: &Authorized,
    request: ListPersonalTokensRequest,
) -> Result<ListPersonalTokensResponse, Error> {
    let owner = (authorized.organization(), caller(authorized)?.into());
    let token = request.page_token.as_str();
    let page = (request.page_size, token, request.include_revoked);
    let mut connection = app.pools.read.acquire().await?;
    let tokens = list_page(&mut connection, owner, page, Token::show_personal).await?;
    let (personal_tokens, next_page_token) = tokens;
    Ok(ListPersonalTokensResponse {
        personal_tokens,
        next_page_token,
    })
}

/// Lists a member's tokens.
///
/// # Errors
/// [`Error::NotFound`] for the member, [`Error::Invalid`] for a bad page.
pub async fn list_member_tokens(
    app: &App,
    authorized: &Authorized,
    request: ListMemberTokensRequest,
) -> Result<ListMemberTokensResponse, Error> {
    let name = MemberName::parse("parent", &request.parent)?;
    let owner = (authorized.organization(), name.into());
    let token = request.page_token.as_str();
    let page = (request.page_size, token, request.include_revoked);
    let mut connection = app.pools.read.acquire().await?;
    let tokens = list_page(&mut connection, owner, page, Token::show_personal).await?;
    let (personal_tokens, next_page_token) = tokens;
    Ok(ListMemberTokensResponse {
        personal_tokens,
        next_page_token,
    })
}
