//! ListInvitations: reading without a lock.

use burgee_proto::admin::v1::{ListInvitationsRequest, ListInvitationsResponse};

use super::invitation::{self, Row, Wanted};
use crate::access::Authorized;
use crate::app::App;
use crate::error::Error;
use crate::page::Page;

/// Lists invitations that can still be accepted, oldest first.
///
/// # Errors
/// [`Error::Invalid`] for a bad page.
pub async fn list_invitations(
    app: &App,
    authorized: &Authorized,
    request: ListInvitationsRequest,
) -> Result<ListInvitationsResponse, Error> {
    let page = Page::parse(request.page_size, &request.page_token, &["invitations"])?;
    let wanted = Wanted {
        organization: Some(authorized.organization()),
        after: page.after()?,
        rows: Some(page.rows()),
        ..Wanted::default()
    };
    let mut connection = app.pools.read.acquire().await?;
    let mut found = invitation::list(&mut connection, wanted).await?;
    let next_page_token = page.cut(&mut found, |it| it.list_place().to_string());
    Ok(ListInvitationsResponse {
        invitations: found.iter().map(Row::show).collect(),
        next_page_token,
    })
}
