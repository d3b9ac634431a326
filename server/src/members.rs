//! Who may do what: people, groups, roles, and who has which of them where.
//!
//! Nothing here alters an evaluated value. It is changed through [`Change`] all the same, under
//! the organization's lock: what is checked cannot move, and the audit log tells of it.

pub mod acceptance;
pub mod arrival;
mod binding;
pub mod create_password_reset;
pub mod create_role;
pub mod create_role_binding;
pub mod deactivate_member;
pub mod delete_member;
pub mod delete_role;
pub mod delete_role_binding;
pub mod email;
pub mod explain_access;
mod give_role;
pub mod invitation;
pub mod invite_member;
pub mod list_invitations;
pub mod list_members;
pub mod list_role_bindings;
pub mod list_roles;
pub mod mapped_roles;
pub mod member;
mod owners;
pub mod reset_second_factor;
pub mod revoke_invitation;
pub mod service;
mod subject;
pub mod update_member;
pub mod update_role;

use burgee_proto::admin::v1::Role;
use burgee_proto::types::v1::ErrorReason;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::access::{BuiltIn, Grants, Permission, Permissions, Place};
use crate::change::Change;
use crate::error::Error;
use crate::names::{MemberName, RoleName, SubjectName};
use crate::stored::{Row, Stored, timestamp};
use crate::texts::Violations;

pub use binding::{Binding, BindingPlace, Wanted, bindings, grants, grants_of, held};
pub use give_role::find_place;
pub use owners::keep_an_owner;
pub use subject::{Subject, find_subject};

/// What is wrong with the name of a permission.
const PERMISSION_UNKNOWN: &str = "there is no such permission; ListPermissions names them";

/// What a role allows: one that every organization has, or else the permissions of one that
/// this organization made. What a newer server stored and this one does not know allows
/// nothing here.
#[must_use]
pub fn allowed_by(role: &str, permissions: Option<&[String]>) -> Permissions {
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

/// A role that every organization has, as answers show it.
fn show_built_in(role: BuiltIn) -> Role {
    let permissions = role.permissions().iter();
    Role {
        name: format!("roles/{}", role.key()),
        key: role.key().to_owned(),
        display_name: role.display_name().to_owned(),
        description: role.description().to_owned(),
        permissions: permissions.map(|it| it.name().to_owned()).collect(),
        built_in: true,
        ..Role::default()
    }
}

/// A role that the organization made, as answers show it.
fn show(stored: &Stored<Role>) -> Role {
    Role {
        name: format!("roles/{}", stored.message.key),
        uid: stored.id.to_string(),
        etag: stored.etag(),
        create_time: Some(timestamp(stored.created_at)),
        update_time: Some(timestamp(stored.updated_at)),
        ..stored.message.clone()
    }
}

/// Reads a role that the organization made.
async fn read_role(
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

/// What a subject may do, who is known by name: nothing, once they are kept out or gone.
///
/// # Errors
/// Those of the database.
pub async fn held_by(
    connection: &mut PgConnection,
    organization: Uuid,
    subject: &SubjectName,
) -> Result<Grants, Error> {
    let found = find_subject(connection, organization, subject).await?;
    match found.filter(|subject| subject.active) {
        Some(subject) => grants_of(connection, subject.id).await,
        None => Ok(Grants::default()),
    }
}

/// Refuses to hand out more than one holds.
fn demand_cover(change: &Change, place: Place<'_>, permissions: Permissions) -> Result<(), Error> {
    let mut wanted = Grants::default();
    wanted.add(place, permissions);
    change.authorized.demand_cover(&wanted)
}

/// Refuses to touch a subject who may do more than the caller: with their credential one would
/// gain what they have. Gives what it has.
///
/// # Errors
/// [`Error::NotFound`], [`Error::PermissionDenied`].
pub async fn demand_cover_of(
    change: &mut Change,
    subject: &SubjectName,
) -> Result<Vec<Binding>, Error> {
    let organization = change.authorized.organization();
    let found = find_subject(change.connection(), organization, subject).await?;
    let id = found.ok_or_else(|| Error::not_found(subject))?.id;
    let held = held(change.connection(), id).await?;
    change.authorized.demand_cover(&grants(&held))?;
    Ok(held)
}

/// Refuses what would open, to whoever holds it, another organization that the member belongs to.
async fn refuse_elsewhere(
    change: &mut Change,
    name: MemberName,
    description: &str,
) -> Result<(), Error> {
    let elsewhere = sqlx::query_scalar!(
        r#"select exists (
               select from members m join members other on other.person_id = m.person_id
               where m.id = $1 and other.organization_id <> m.organization_id) as "elsewhere!""#,
        name.uid,
    )
    .fetch_one(change.connection())
    .await?;
    if elsewhere {
        let reason = ErrorReason::PersonElsewhere;
        return Err(Error::precondition(reason, name, description));
    }
    Ok(())
}

/// Tells the audit log of a role.
fn record_role(
    change: &mut Change,
    before: Option<&Role>,
    after: Option<&Role>,
) -> Result<(), Error> {
    let key = before.or(after).map(|role| role.key.clone());
    let name = RoleName {
        role: key.unwrap_or_default(),
    };
    change.record_resource(name, "role", (before, after))
}
