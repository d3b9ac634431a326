//! Roles: those that every organization has, and those that this one made, as rows.

use burgee_proto::admin::v1::Role;
use burgee_proto::types::v1::ErrorReason;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::access::{BuiltIn, Permission, Permissions};
use crate::change::Change;
use crate::error::Error;
use crate::names::RoleName;
use crate::stored::{Row, Stored, timestamp};
use crate::texts::Violations;

/// What is wrong with the name of a permission.
pub(super) const PERMISSION_UNKNOWN: &str =
    "there is no such permission; ListPermissions names them";

/// What a role allows: one that every organization has, or else the permissions of one that
/// this organization made. What a newer server stored and this one does not know allows
/// nothing here.
pub(super) fn allowed_by(role: &str, permissions: Option<&[String]>) -> Permissions {
    match BuiltIn::parse(role) {
        Some(role) => role.permissions(),
        None => {
            let names = permissions.unwrap_or_default().iter();
            names.filter_map(|name| Permission::parse(name)).collect()
        }
    }
}

/// The permissions that a request names.
pub fn parse_permissions(
    violations: &mut Violations,
    field: &str,
    names: &[String],
) -> Permissions {
    // More than there are name some twice, and each would be complained about.
    let maximum = Permission::ALL.len();
    violations.require(names.len() <= maximum, field, format!("at most {maximum}"));
    for (at, name) in names.iter().enumerate().take(maximum) {
        violations.require(
            Permission::parse(name).is_some(),
            format!("{field}[{at}]"),
            PERMISSION_UNKNOWN,
        );
    }
    let named = names.iter();
    named.filter_map(|name| Permission::parse(name)).collect()
}

/// The name of a role.
pub(super) fn name_of(role: &Role) -> RoleName {
    RoleName {
        role: role.key.clone(),
    }
}

/// A role that every organization has, as answers show it.
pub(super) fn show_built_in(role: BuiltIn) -> Role {
    let permissions = role.permissions().iter();
    let key = role.key().to_owned();
    Role {
        name: RoleName { role: key.clone() }.to_string(),
        key,
        display_name: role.display_name().to_owned(),
        description: role.description().to_owned(),
        permissions: permissions.map(|it| it.name().to_owned()).collect(),
        built_in: true,
        ..Role::default()
    }
}

/// A role that the organization made, as answers show it.
pub(super) fn show(stored: &Stored<Role>) -> Role {
    Role {
        name: name_of(&stored.message).to_string(),
        uid: stored.id.to_string(),
        etag: stored.etag(),
        create_time: Some(timestamp(stored.created_at)),
        update_time: Some(timestamp(stored.updated_at)),
        ..stored.message.clone()
    }
}

/// Finds a role that the organization made.
pub(super) async fn find(
    connection: &mut PgConnection,
    organization: Uuid,
    name: &RoleName,
) -> Result<Option<Stored<Role>>, Error> {
    let row = sqlx::query_as!(
        Row,
        "select id, version, body, changed_by, created_at, updated_at from roles
         where organization_id = $1 and key = $2",
        organization,
        name.role,
    )
    .fetch_optional(connection)
    .await?;
    row.map(Row::decode).transpose()
}

/// Reads a role that can be changed.
///
/// # Errors
/// [`Error::NotFound`], or that every organization has it.
pub(super) async fn read(change: &mut Change, name: &RoleName) -> Result<Stored<Role>, Error> {
    if BuiltIn::parse(&name.role).is_some() {
        let description = "every organization has this role; make one of your own";
        return Err(Error::precondition(
            ErrorReason::RoleBuiltIn,
            name,
            description,
        ));
    }
    let organization = change.authorized.organization();
    let found = find(change.connection(), organization, name).await?;
    found.ok_or_else(|| Error::not_found(name))
}

/// What a role allows today.
///
/// # Errors
/// [`Error::NotFound`] for the role.
pub(super) async fn permissions_of(
    change: &mut Change,
    role: &RoleName,
) -> Result<Permissions, Error> {
    let organization = change.authorized.organization();
    let made = find(change.connection(), organization, role).await?;
    if made.is_none() && BuiltIn::parse(&role.role).is_none() {
        return Err(Error::not_found(role));
    }
    let names = made.as_ref().map(|it| it.message.permissions.as_slice());
    Ok(allowed_by(&role.role, names))
}

/// A role that is sound, with its permissions in the order in which they are published, each
/// once.
///
/// # Errors
/// [`Error::Invalid`].
pub(super) fn checked(role: Role) -> Result<(Role, Permissions), Error> {
    let mut violations = Violations::default();
    violations.display_name("role.display_name", &role.display_name);
    violations.description("role.description", &role.description);
    let given = &role.permissions;
    let permissions = parse_permissions(&mut violations, "role.permissions", given);
    violations.finish()?;
    let in_order = permissions.iter().map(|it| it.name().to_owned());
    let role = Role {
        permissions: in_order.collect(),
        ..role
    };
    Ok((role, permissions))
}

/// Tells the audit log of a role.
pub(super) fn record(
    change: &mut Change,
    before: Option<&Role>,
    after: Option<&Role>,
) -> Result<(), Error> {
    let name = before.or(after).map(|role| name_of(role).to_string());
    change.record_resource(name.unwrap_or_default(), "role", (before, after))
}
