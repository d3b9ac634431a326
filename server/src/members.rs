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
mod role;
pub mod service;
mod subject;
pub mod update_member;
pub mod update_role;

use burgee_proto::types::v1::ErrorReason;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::access::{Grants, Permissions, Place};
use crate::change::Change;
use crate::error::Error;
use crate::names::{MemberName, SubjectName};

pub use binding::{Binding, BindingPlace, Wanted, bindings, grants, grants_of, held};
pub use give_role::find_place;
pub use owners::keep_an_owner;
pub use role::parse_permissions;
pub use subject::{Subject, find_subject};

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
