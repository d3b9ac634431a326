//! Who may do what: people, roles, and who has which of them where.
//!
//! Nothing here alters an evaluated value. It is changed through [`Change`] all the same, under
//! the organization's lock: what is checked cannot move, and the audit log tells of it.

pub mod acceptance;
pub mod create_password_reset;
pub mod create_role;
pub mod create_role_binding;
pub mod deactivate_member;
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
pub mod member;
pub mod revoke_invitation;
pub mod service;
mod subject;
pub mod update_member;
pub mod update_role;

use burgee_proto::admin::v1::{Role, RoleBinding};
use burgee_proto::types::v1::ErrorReason;
use sqlx::PgConnection;
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use crate::access::{BuiltIn, Grants, Permission, Permissions, Place};
use crate::change::Change;
use crate::change::commit::AuditEntry;
use crate::error::Error;
use crate::names::{MemberName, RoleBindingName, RoleName, ServiceAccountName, SubjectName};
use crate::stored::{Row, Stored, timestamp};

/// The names of the projects and environments that hold a binding, or neither.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BindingPlace {
    /// The project's key.
    pub project: Option<String>,
    /// The environment's key.
    pub environment: Option<String>,
}

/// A role that somebody has somewhere.
#[derive(Debug, Clone)]
pub struct Binding {
    id: Uuid,
    subject: SubjectName,
    /// Whether the subject is let in at all.
    active: bool,
    role: RoleName,
    /// What the role allows.
    pub permissions: Permissions,
    place: BindingPlace,
    created_at: OffsetDateTime,
    created_by: String,
}

impl BindingPlace {
    /// As grants know it.
    #[must_use]
    pub fn place(&self) -> Place<'_> {
        match (&self.project, &self.environment) {
            (Some(project), Some(environment)) => Place::Environment(project, environment),
            (Some(project), None) => Place::Project(project),
            (None, _) => Place::Organization,
        }
    }

    fn name(&self) -> String {
        match self.place() {
            Place::Organization => String::new(),
            Place::Project(project) => format!("projects/{project}"),
            Place::Environment(project, environment) => {
                format!("projects/{project}/environments/{environment}")
            }
        }
    }
}

impl Binding {
    /// Where it is held.
    #[must_use]
    pub fn place(&self) -> Place<'_> {
        self.place.place()
    }

    /// Whether it makes an owner of the organization.
    #[must_use]
    pub fn is_owner(&self) -> bool {
        self.place() == Place::Organization && self.role.role == BuiltIn::Owner.key()
    }

    fn name(&self) -> RoleBindingName {
        RoleBindingName { uid: self.id }
    }

    /// As answers show it.
    #[must_use]
    pub fn show(&self) -> RoleBinding {
        RoleBinding {
            name: self.name().to_string(),
            uid: self.id.to_string(),
            subject: self.subject.to_string(),
            role: self.role.to_string(),
            scope: self.place.name(),
            creator: self.created_by.clone(),
            create_time: Some(timestamp(self.created_at)),
        }
    }
}

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

/// A role as it is read with the credential of whoever has it. Whoever has none is read with
/// one row all the same, without a role.
#[derive(Debug)]
pub struct HeldRole {
    /// Its key.
    pub role: Option<String>,
    /// What it allows, if the organization made it.
    pub permissions: Option<Vec<String>>,
    /// Where it is held.
    pub place: BindingPlace,
}

/// What several roles allow together.
pub fn grants_of(roles: impl IntoIterator<Item = HeldRole>) -> Grants {
    let mut grants = Grants::default();
    for held in roles {
        let role = held.role.as_deref().unwrap_or_default();
        let permissions = allowed_by(role, held.permissions.as_deref());
        grants.add(held.place.place(), permissions);
    }
    grants
}

/// What several bindings allow together.
#[must_use]
pub fn grants(bindings: &[Binding]) -> Grants {
    let mut grants = Grants::default();
    for binding in bindings {
        grants.add(binding.place(), binding.permissions);
    }
    grants
}

/// Which bindings to read. All that is set must hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// Of this service account or member.
    pub subject: Option<&'a SubjectName>,
    /// Of this role, given by its key.
    pub role: Option<&'a str>,
    /// This one.
    pub id: Option<Uuid>,
    /// After this place in the order.
    pub after: Option<(OffsetDateTime, Uuid)>,
    /// At most so many. None: all.
    pub rows: Option<i64>,
}

/// Reads bindings, oldest first.
///
/// # Errors
/// Those of the database.
pub async fn bindings(
    connection: &mut PgConnection,
    organization: Uuid,
    wanted: Wanted<'_>,
) -> Result<Vec<Binding>, Error> {
    let (after_time, after_id) = wanted.after.unzip();
    let rows = sqlx::query!(
        r#"select b.id, a.key as "account?", b.member_id, b.role,
                  r.permissions as "permissions?",
                  not coalesce(a.disabled, m.deactivated, true) as "active!",
                  p.key as "project?", e.key as "environment?", b.created_at, b.created_by
           from role_bindings b
           left join service_accounts a on a.id = b.service_account_id
           left join members m on m.id = b.member_id
           left join roles r on r.organization_id = b.organization_id and r.key = b.role
           left join environments e on e.id = b.environment_id
           left join projects p on p.id = coalesce(b.project_id, e.project_id)
           where b.organization_id = $1
             and ($2::text is null or a.key = $2)
             and ($3::text is null or b.role = $3)
             and ($4::uuid is null or b.id = $4)
             and ($5::timestamptz is null or (b.created_at, b.id) > ($5, $6))
             and ($8::uuid is null or b.member_id = $8)
           order by b.created_at, b.id
           limit $7"#,
        organization,
        wanted.subject.and_then(SubjectName::account),
        wanted.role,
        wanted.id,
        after_time,
        after_id,
        wanted.rows,
        wanted.subject.and_then(SubjectName::member),
    )
    .fetch_all(connection)
    .await?;
    let bindings = rows.into_iter().map(|row| Binding {
        id: row.id,
        subject: match (row.member_id, row.account) {
            (Some(uid), _) => MemberName { uid }.into(),
            (None, account) => ServiceAccountName {
                account: account.unwrap_or_default(),
            }
            .into(),
        },
        active: row.active,
        permissions: allowed_by(&row.role, row.permissions.as_deref()),
        role: RoleName { role: row.role },
        place: BindingPlace {
            project: row.project,
            environment: row.environment,
        },
        created_at: row.created_at,
        created_by: row.created_by,
    });
    Ok(bindings.collect())
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

/// Refuses to hand out more than one holds.
fn demand_cover(change: &Change, place: Place<'_>, permissions: Permissions) -> Result<(), Error> {
    let mut wanted = Grants::default();
    wanted.add(place, permissions);
    change.authorized.demand_cover(&wanted)
}

/// An organization without an owner could never have one again: refuses to take away the last
/// binding that makes one. `stays` tells which bindings are left afterwards.
///
/// # Errors
/// [`ErrorReason::LastOwner`].
pub async fn keep_an_owner(
    change: &mut Change,
    leaving: impl ToString,
    stays: impl Fn(&Binding) -> bool,
) -> Result<(), Error> {
    let organization = change.authorized.organization();
    let wanted = Wanted {
        role: Some(BuiltIn::Owner.key()),
        ..Wanted::default()
    };
    let owners = bindings(change.connection(), organization, wanted).await?;
    // Whoever is kept out owns nothing.
    let mut owners = owners.iter().filter(|it| it.is_owner() && it.active);
    if owners.any(stays) {
        return Ok(());
    }
    let description = "the organization would be left without an owner; make another one first";
    Err(Error::precondition(
        ErrorReason::LastOwner,
        leaving,
        description,
    ))
}

/// As [`keep_an_owner`], for a subject who loses all roles or is kept out.
///
/// # Errors
/// [`ErrorReason::LastOwner`].
pub async fn keep_another_owner(change: &mut Change, leaving: &SubjectName) -> Result<(), Error> {
    let organization = change.authorized.organization();
    let wanted = Wanted {
        subject: Some(leaving),
        ..Wanted::default()
    };
    let held = bindings(change.connection(), organization, wanted).await?;
    if held.iter().any(|it| it.is_owner() && it.active) {
        keep_an_owner(change, leaving, |binding| binding.subject != *leaving).await?;
    }
    Ok(())
}

/// Refuses to touch a subject who may do more than the caller: with their credential one would
/// gain what they have.
///
/// # Errors
/// [`Error::PermissionDenied`].
pub async fn demand_cover_of(change: &mut Change, subject: &SubjectName) -> Result<(), Error> {
    let organization = change.authorized.organization();
    let wanted = Wanted {
        subject: Some(subject),
        ..Wanted::default()
    };
    let held = grants(&bindings(change.connection(), organization, wanted).await?);
    change.authorized.demand_cover(&held)
}

/// Tells the audit log of a role.
fn record_role(
    change: &mut Change,
    before: Option<&Role>,
    after: Option<&Role>,
) -> Result<(), Error> {
    let role = before.or(after);
    let resource = role
        .map(|role| format!("roles/{}", role.key))
        .unwrap_or_default();
    let descriptors = change.app.descriptors.clone();
    change.record_audit(AuditEntry {
        resource,
        part: "role".to_owned(),
        before: before.map(|role| descriptors.json(role)).transpose()?,
        after: after.map(|role| descriptors.json(role)).transpose()?,
        ..AuditEntry::default()
    });
    Ok(())
}
