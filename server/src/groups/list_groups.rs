//! GetGroup, ListGroups and ListGroupMembers: reading without a lock.

use burgee_proto::admin::v1::{
    GetGroupRequest, GetGroupResponse, ListGroupMembersRequest, ListGroupMembersResponse,
    ListGroupsRequest, ListGroupsResponse,
};

use super::{find, show};
use crate::access::Authorized;
use crate::app::App;
use crate::error::Error;
use crate::members::member;
use crate::names::{GroupName, MemberName};
use crate::page::Page;
use crate::stored::Row;

/// Gives one group.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get_group(
    app: &App,
    authorized: &Authorized,
    request: GetGroupRequest,
) -> Result<GetGroupResponse, Error> {
    let name = GroupName::parse("name", &request.name)?;
    let mut connection = app.pools.read.acquire().await?;
    let stored = find(&mut connection, authorized.organization(), &name).await?;
    let stored = stored.ok_or_else(|| Error::not_found(&name))?;
    Ok(GetGroupResponse {
        group: Some(show(&stored)),
    })
}

/// Lists groups, ordered by key.
///
/// # Errors
/// [`Error::Invalid`].
pub async fn list_groups(
    app: &App,
    authorized: &Authorized,
    request: ListGroupsRequest,
) -> Result<ListGroupsResponse, Error> {
    let member = match request.member.as_str() {
        "" => None,
        name => Some(MemberName::parse("member", name)?.uid),
    };
    let question = ["groups", &request.member];
    let page = Page::parse(request.page_size, &request.page_token, &question)?;
    let rows = sqlx::query_as!(
        Row,
        "select id, version, body, changed_by, created_at, updated_at
         from groups g
         where organization_id = $1 and key > $2
           and ($3::uuid is null or exists (
                select from group_members m where m.group_id = g.id and m.member_id = $3))
         order by key limit $4",
        authorized.organization(),
        page.after_key(),
        member,
        page.rows(),
    )
    .fetch_all(&app.pools.read)
    .await?;
    let shown = rows.into_iter().map(|row| Ok(show(&row.decode()?)));
    let mut groups = shown.collect::<Result<Vec<_>, Error>>()?;
    let next_page_token = page.cut(&mut groups, |group| group.key.clone());
    Ok(ListGroupsResponse {
        groups,
        next_page_token,
    })
}

/// Lists who is in a group, in the order of all members.
///
/// # Errors
/// [`Error::NotFound`] for the group, [`Error::Invalid`] for a bad page.
pub async fn list_group_members(
    app: &App,
    authorized: &Authorized,
    request: ListGroupMembersRequest,
) -> Result<ListGroupMembersResponse, Error> {
    let name = GroupName::parse("name", &request.name)?;
    let page = Page::parse(request.page_size, &request.page_token, &[&request.name])?;
    let after = page.after()?;
    let organization = authorized.organization();
    let mut connection = app.pools.read.acquire().await?;
    let group = find(&mut connection, organization, &name).await?;
    let wanted = member::Wanted {
        group: Some(group.ok_or_else(|| Error::not_found(&name))?.id),
        after,
        rows: Some(page.rows()),
        ..member::Wanted::default()
    };
    let mut found = member::list(&mut connection, organization, wanted).await?;
    let next_page_token = page.cut(&mut found, |stored| member::place(stored).to_string());
    Ok(ListGroupMembersResponse {
        members: found.iter().map(member::show).collect(),
        next_page_token,
    })
}
