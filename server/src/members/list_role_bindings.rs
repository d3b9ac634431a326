//! ListRoleBindings: reading without a lock.

use burgee_proto::admin::v1::{ListRoleBindingsRequest, ListRoleBindingsResponse};

use super::{Binding, Wanted, bindings};
use crate::access::Authorized;
use crate::app::App;
use crate::error::Error;
use crate::names::SubjectName;
use crate::page::Page;

/// Lists who has which role, oldest first.
///
/// # Errors
/// [`Error::Invalid`].
pub async fn list_role_bindings(
    app: &App,
    authorized: &Authorized,
    request: ListRoleBindingsRequest,
) -> Result<ListRoleBindingsResponse, Error> {
    let subject = match request.subject.as_str() {
        "" => None,
        name => Some(SubjectName::parse("subject", name)?),
    };
    let include_groups = request.include_groups;
    let question = [
        "roleBindings",
        &request.subject,
        &include_groups.to_string(),
    ];
    let page = Page::parse(request.page_size, &request.page_token, &question)?;
    let after = page.after()?;
    let wanted = Wanted {
        subject: subject.as_ref(),
        include_groups,
        after,
        rows: Some(page.rows()),
        ..Wanted::default()
    };
    let mut connection = app.pools.read.acquire().await?;
    let mut found = bindings(&mut connection, authorized.organization(), wanted).await?;
    let next_page_token = page.cut(&mut found, |binding| binding.list_place().to_string());
    Ok(ListRoleBindingsResponse {
        role_bindings: found.iter().map(Binding::show).collect(),
        next_page_token,
    })
}
