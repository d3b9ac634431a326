//! GetMember and ListMembers: reading without a lock.

use burgee_proto::admin::v1::{
    GetMemberRequest, GetMemberResponse, ListMembersRequest, ListMembersResponse,
};

use super::member;
use crate::access::Authorized;
use crate::app::App;
use crate::error::Error;
use crate::names::MemberName;
use crate::page::Page;

/// Gives one member.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get_member(
    app: &App,
    authorized: &Authorized,
    request: GetMemberRequest,
) -> Result<GetMemberResponse, Error> {
    let name = MemberName::parse("name", &request.name)?;
    let mut connection = app.pools.read.acquire().await?;
    let stored = member::find(&mut connection, authorized.organization(), name).await?;
    Ok(GetMemberResponse {
        member: Some(member::show(&stored)),
    })
}

/// Lists members, oldest first.
///
/// # Errors
/// [`Error::Invalid`] for a bad page.
pub async fn list_members(
    app: &App,
    authorized: &Authorized,
    request: ListMembersRequest,
) -> Result<ListMembersResponse, Error> {
    let page = Page::parse(request.page_size, &request.page_token, &["members"])?;
    let after = page.after()?;
    let organization = authorized.organization();
    let mut connection = app.pools.read.acquire().await?;
    let wanted = member::Wanted {
        after,
        rows: Some(page.rows()),
        ..member::Wanted::default()
    };
    let mut found = member::list(&mut connection, organization, wanted).await?;
    let next_page_token = page.cut(&mut found, |stored| member::place(stored).to_string());
    Ok(ListMembersResponse {
        members: found.iter().map(member::show).collect(),
        next_page_token,
    })
}
