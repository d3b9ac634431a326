//! ListPermissions, ListRoles and GetRole: reading without a lock.

use burgee_proto::admin::v1::{
    GetRoleRequest, GetRoleResponse, ListPermissionsResponse, ListRolesRequest, ListRolesResponse,
    Permission as PermissionMessage,
};

use super::role::{self, show, show_built_in};
use crate::access::{Authorized, BuiltIn, Permission};
use crate::app::App;
use crate::error::Error;
use crate::names::RoleName;
use crate::page::Page;
use crate::stored::Row;

/// Everything that can be allowed.
#[must_use]
pub fn list_permissions() -> ListPermissionsResponse {
    let permissions = Permission::ALL.iter().map(|permission| PermissionMessage {
        name: permission.name().to_owned(),
        description: permission.description().to_owned(),
    });
    ListPermissionsResponse {
        permissions: permissions.collect(),
    }
}

/// Gives one role.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get_role(
    app: &App,
    authorized: &Authorized,
    request: GetRoleRequest,
) -> Result<GetRoleResponse, Error> {
    let name = RoleName::parse("name", &request.name)?;
    let role = match BuiltIn::parse(&name.role) {
        Some(role) => show_built_in(role),
        None => {
            let mut connection = app.pools.read.acquire().await?;
            let stored = role::find(&mut connection, authorized.organization(), &name).await?;
            show(&stored.ok_or_else(|| Error::not_found(&name))?)
        }
    };
    Ok(GetRoleResponse { role: Some(role) })
}

/// Lists roles: the built-in ones, then those that the organization made, by key.
///
/// # Errors
/// [`Error::Invalid`] for a bad page.
pub async fn list_roles(
    app: &App,
    authorized: &Authorized,
    request: ListRolesRequest,
) -> Result<ListRolesResponse, Error> {
    let page = Page::parse(request.page_size, &request.page_token, &["roles"])?;
    let rows = sqlx::query_as!(
        Row,
        "select id, version, body, changed_by, created_at, updated_at from roles
         where organization_id = $1 and key > $2
         order by key limit $3",
        authorized.organization(),
        page.after_key(),
        page.rows(),
    )
    .fetch_all(&app.pools.read)
    .await?;
    let shown = rows.into_iter().map(|row| Ok(show(&row.decode()?)));
    let mut made = shown.collect::<Result<Vec<_>, Error>>()?;
    let next_page_token = page.cut(&mut made, |role| role.key.clone());
    let mut roles = Vec::new();
    if page.is_first() {
        roles.extend(BuiltIn::ALL.iter().copied().map(show_built_in));
    }
    roles.extend(made);
    Ok(ListRolesResponse {
        roles,
        next_page_token,
    })
}
