//! Giving a role: what CreateRoleBinding and accepted invitations have in common.

use uuid::Uuid;

use super::mapped_roles::Mapper;
use super::role::permissions_of;
use super::{Binding, BindingPlace, Wanted, bindings};
use crate::access::Permissions;
use crate::change::Change;
use crate::error::Error;
use crate::names::{EnvironmentName, ProjectName, RoleName, SubjectName};
use crate::{environments, projects};

/// The most roles that a member or a service account has beside those of groups: all of them are
/// read whenever they call.
const BINDINGS_MAX: i64 = 1_000;
/// The same of a group, of which a member is in many.
const BINDINGS_OF_GROUP_MAX: i64 = 100;

/// A role somewhere, which nobody has yet.
#[derive(Debug, Clone)]
pub(super) struct RoleAt {
    pub(super) role: RoleName,
    /// What it allows.
    pub(super) permissions: Permissions,
    pub(super) place: BindingPlace,
    /// The uid of the project, if it is held in one.
    pub(super) project: Option<Uuid>,
    /// The uid of the environment, if it is held in one.
    pub(super) environment: Option<Uuid>,
    /// The identity provider whose groups give it. None: somebody gives it by hand.
    pub(super) mapped_by: Option<Mapper>,
}

/// Where in a request a role and its scope stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    pub(super) role: &'static str,
    pub(super) scope: &'static str,
}

impl RoleAt {
    /// Finds a role and the place where it shall be held.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`].
    pub(super) async fn find(
        change: &mut Change,
        fields: Fields,
        (role, scope): (&str, &str),
    ) -> Result<Self, Error> {
        let role = RoleName::parse(fields.role, role)?;
        let (place, project, environment) = find_place(change, fields.scope, scope).await?;
        Ok(Self {
            permissions: permissions_of(change, &role).await?,
            role,
            place,
            project,
            environment,
            mapped_by: None,
        })
    }

    /// The same, given by the groups of an identity provider.
    pub(super) fn mapped_by(mut self, mapper: &Mapper) -> Self {
        self.mapped_by = Some(mapper.clone());
        self
    }
}

/// Finds a place, given by its name, and asks whether the caller may do there what the method
/// does. Gives it with the uids of a project or an environment.
///
/// # Errors
/// [`Error::Invalid`], [`Error::NotFound`], [`Error::PermissionDenied`].
pub async fn find_place(
    change: &mut Change,
    field: &str,
    scope: &str,
) -> Result<(BindingPlace, Option<Uuid>, Option<Uuid>), Error> {
    let authorized = change.authorized.clone();
    let mut place = BindingPlace::default();
    if scope.is_empty() {
        authorized.demand(place.place())?;
        return Ok((place, None, None));
    }
    if let Ok(name) = ProjectName::parse(field, scope) {
        let found = projects::id(change.connection(), &authorized, &name).await?;
        let id = found.ok_or_else(|| Error::not_found(&name))?;
        place.project = Some(name.project);
        return Ok((place, Some(id), None));
    }
    let name = EnvironmentName::parse(field, scope).map_err(|_| {
        Error::invalid(
            field,
            "give the name of a project or an environment, or nothing",
        )
    })?;
    let found = environments::id(change.connection(), &authorized, &name).await?;
    let (_, id) = found.ok_or_else(|| Error::not_found(&name))?;
    place.project = Some(name.project);
    place.environment = Some(name.environment);
    Ok((place, None, Some(id)))
}

/// Gives a subject a role, and tells the audit log; gives back what is there, if they have it
/// already: asking for that is no fault.
pub(super) async fn give(
    change: &mut Change,
    (subject, id): (SubjectName, Uuid),
    given: RoleAt,
) -> Result<Binding, Error> {
    let binding = Binding {
        id: Uuid::now_v7(),
        subject,
        permissions: given.permissions,
        role: given.role,
        place: given.place,
        created_at: change.now(),
        created_by: change.actor().to_owned(),
        mapped_by: given.mapped_by,
    };
    let places = (given.project, given.environment);
    if insert(change, &binding, id, places).await? {
        keep_limit(change, &binding.subject, id).await?;
        record(change, None, Some(&binding))?;
        return Ok(binding);
    }
    existing(change, &binding).await
}

/// False: the subject has the role there already.
async fn insert(
    change: &mut Change,
    binding: &Binding,
    subject: Uuid,
    (project, environment): (Option<Uuid>, Option<Uuid>),
) -> Result<bool, Error> {
    let organization = change.authorized.organization();
    let account = binding.subject.account().map(|_| subject);
    let group = binding.subject.group().map(|_| subject);
    let inserted = sqlx::query!(
        "insert into role_bindings (id, organization_id, service_account_id, member_id, role,
                                    project_id, environment_id, created_at, created_by, group_id,
                                    identity_provider_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         on conflict on constraint role_bindings_once do nothing",
        binding.id,
        organization,
        account,
        binding.subject.member(),
        binding.role.role,
        project,
        environment,
        binding.created_at,
        binding.created_by,
        group,
        binding.mapped_by.as_ref().map(|mapper| mapper.id),
    )
    .execute(change.connection())
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Refuses one role more than a subject may have.
async fn keep_limit(change: &mut Change, subject: &SubjectName, id: Uuid) -> Result<(), Error> {
    let maximum = match subject {
        SubjectName::Group(_) => BINDINGS_OF_GROUP_MAX,
        SubjectName::Member(_) | SubjectName::ServiceAccount(_) => BINDINGS_MAX,
    };
    let held = sqlx::query_scalar!(
        r#"select count(*) as "held!" from role_bindings
           where service_account_id = $1 or member_id = $1 or group_id = $1"#,
        id,
    )
    .fetch_one(change.connection())
    .await?;
    if held <= maximum {
        return Ok(());
    }
    let description = format!("{subject} has {maximum} roles; take some away, or use wider ones");
    Err(Error::limit("role_bindings", maximum, subject, description))
}

/// Gives back what was taken away a moment ago, of the organization as a whole.
pub(super) async fn put_back(change: &mut Change, binding: &Binding) -> Result<(), Error> {
    let subject = binding.subject.member().unwrap_or_default();
    insert(change, binding, subject, (None, None))
        .await
        .map(drop)
}

async fn existing(change: &mut Change, like: &Binding) -> Result<Binding, Error> {
    let organization = change.authorized.organization();
    let wanted = Wanted {
        subject: Some(&like.subject),
        role: Some(&like.role.role),
        ..Wanted::default()
    };
    let found = bindings(change.connection(), organization, wanted).await?;
    let mut found = found.into_iter();
    let found =
        found.find(|binding| binding.place == like.place && binding.mapped_by == like.mapped_by);
    found.ok_or_else(|| Error::internal("a binding that conflicts is not there"))
}

/// Tells the audit log of a binding.
pub(super) fn record(
    change: &mut Change,
    before: Option<&Binding>,
    after: Option<&Binding>,
) -> Result<(), Error> {
    let name = before.or(after).map(|it| it.name().to_string());
    let [before, after] = [before, after].map(|it| it.map(Binding::show));
    let parts = (before.as_ref(), after.as_ref());
    change.record_resource(name.unwrap_or_default(), "roleBinding", parts)
}
