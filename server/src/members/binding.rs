//! Who has which role where: role bindings, as rows.

use burgee_proto::admin::v1::RoleBinding;
use sqlx::PgConnection;
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use super::mapped_roles::Mapper;
use super::role::allowed_by;
use crate::access::{BuiltIn, Grants, Permissions, Place};
use crate::error::Error;
use crate::names::{
    GroupName, IdentityProviderName, MemberName, RoleBindingName, RoleName, ServiceAccountName,
    SubjectName,
};
use crate::page::TimePlace;
use crate::stored::timestamp;

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
    pub(super) id: Uuid,
    /// Whose it is.
    pub subject: SubjectName,
    pub(super) role: RoleName,
    /// What the role allows.
    pub permissions: Permissions,
    pub(super) place: BindingPlace,
    pub(super) created_at: OffsetDateTime,
    pub(super) created_by: String,
    /// The identity provider whose groups gave it. None: somebody gave it by hand.
    pub(super) mapped_by: Option<Mapper>,
}

impl From<(Option<String>, Option<String>)> for BindingPlace {
    /// From the keys of a project and an environment.
    fn from((project, environment): (Option<String>, Option<String>)) -> Self {
        Self {
            project,
            environment,
        }
    }
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

    /// The name of the project or environment. Empty: the organization.
    #[must_use]
    pub fn name(&self) -> String {
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

    pub(super) fn name(&self) -> RoleBindingName {
        RoleBindingName { uid: self.id }
    }

    /// Which role it is and where, in words.
    #[must_use]
    pub fn held_as(&self) -> String {
        let scope = match self.place() {
            Place::Organization => "the organization".to_owned(),
            _ => self.place.name(),
        };
        format!("{} held in {scope}", self.role)
    }

    /// Its place in a list.
    #[must_use]
    pub fn list_place(&self) -> TimePlace {
        TimePlace {
            time: self.created_at,
            id: self.id,
        }
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
            identity_provider: self
                .mapped_by
                .as_ref()
                .map(|mapper| mapper.name.to_string())
                .unwrap_or_default(),
        }
    }
}

/// A binding, as queries read it.
struct Row {
    id: Uuid,
    account: Option<String>,
    member: Option<Uuid>,
    group: Option<String>,
    role: String,
    permissions: Option<Vec<String>>,
    project: Option<String>,
    environment: Option<String>,
    created_at: OffsetDateTime,
    created_by: String,
    identity_provider_id: Option<Uuid>,
    identity_provider: Option<String>,
}

/// Reads rows of `b`, which the rest of the query begins with, with what they refer to.
macro_rules! rows {
    ($connection:expr, $from:literal, $rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"select b.id as "id!", a.key as "account?", b.member_id as "member?",
                      g.key as "group?", b.role as "role!", r.permissions as "permissions?",
                      p.key as "project?", e.key as "environment?",
                      b.created_at as "created_at!", b.created_by as "created_by!",
                      b.identity_provider_id as "identity_provider_id?",
                      ip.key as "identity_provider?" "#
                + $from
                + r#"
               left join service_accounts a on a.id = b.service_account_id
               left join groups g on g.id = b.group_id
               left join roles r on r.organization_id = b.organization_id and r.key = b.role
               left join identity_providers ip on ip.id = b.identity_provider_id
               left join environments e on e.id = b.environment_id
               left join projects p on p.id = coalesce(b.project_id, e.project_id) "#
                + $rest
            $(, $argument)*
        )
        .fetch_all($connection)
    };
}

impl From<Row> for Binding {
    fn from(row: Row) -> Self {
        let subject = match (row.member, row.group, row.account) {
            (Some(uid), ..) => MemberName { uid }.into(),
            (None, Some(group), _) => GroupName { group }.into(),
            (None, None, account) => ServiceAccountName {
                account: account.unwrap_or_default(),
            }
            .into(),
        };
        let mapper = row.identity_provider_id.zip(row.identity_provider);
        Self {
            id: row.id,
            subject,
            permissions: allowed_by(&row.role, row.permissions.as_deref()),
            role: RoleName { role: row.role },
            place: (row.project, row.environment).into(),
            created_at: row.created_at,
            created_by: row.created_by,
            mapped_by: mapper.map(|(id, provider)| Mapper {
                id,
                name: IdentityProviderName { provider },
            }),
        }
    }
}

/// Reads the roles that a subject, given by its uid, has: its own, and those of the groups that
/// it is in. Oldest first.
///
/// # Errors
/// Those of the database.
pub async fn held(connection: &mut PgConnection, subject: Uuid) -> Result<Vec<Binding>, Error> {
    // One index each: this is asked for every credential, once a second.
    let rows = rows!(
        connection,
        "from (
             select * from role_bindings where service_account_id = $1
             union all
             select * from role_bindings where member_id = $1
             union all
             select * from role_bindings where group_id = $1
             union all
             select of_group.* from group_members m
             join role_bindings of_group on of_group.group_id = m.group_id
             where m.member_id = $1
         ) b",
        "order by b.created_at, b.id",
        subject,
    )
    .await?;
    Ok(rows.into_iter().map(Binding::from).collect())
}

/// What a subject, given by its uid, may do.
///
/// # Errors
/// Those of the database.
pub async fn grants_of(connection: &mut PgConnection, subject: Uuid) -> Result<Grants, Error> {
    Ok(grants(&held(connection, subject).await?))
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
    /// Of this service account, member or group.
    pub subject: Option<&'a SubjectName>,
    /// If the subject is a member, of their groups too.
    pub include_groups: bool,
    /// Of this role, given by its key.
    pub role: Option<&'a str>,
    /// This one.
    pub id: Option<Uuid>,
    /// Given by the groups of this identity provider.
    pub identity_provider: Option<Uuid>,
    /// After this place in the order.
    pub after: Option<TimePlace>,
    /// At most so many. None: all.
    pub rows: Option<i64>,
}

/// Reads bindings of an organization, oldest first.
///
/// # Errors
/// Those of the database.
pub async fn bindings(
    connection: &mut PgConnection,
    organization: Uuid,
    wanted: Wanted<'_>,
) -> Result<Vec<Binding>, Error> {
    let after = wanted.after.map(|place| (place.time, place.id));
    let (after_time, after_id) = after.unzip();
    let subject = wanted.subject;
    let rows = rows!(
        connection,
        "from role_bindings b",
        "where b.organization_id = $1
           and ($2::text is null or a.key = $2)
           and ($3::uuid is null or b.member_id = $3
                or ($4 and b.group_id in (
                        select m.group_id from group_members m where m.member_id = $3)))
           and ($5::text is null or g.key = $5)
           and ($6::text is null or b.role = $6)
           and ($7::uuid is null or b.id = $7)
           and ($8::timestamptz is null or (b.created_at, b.id) > ($8, $9))
           and ($11::uuid is null or b.identity_provider_id = $11)
         order by b.created_at, b.id
         limit $10",
        organization,
        subject.and_then(SubjectName::account),
        subject.and_then(SubjectName::member),
        wanted.include_groups,
        subject.and_then(SubjectName::group),
        wanted.role,
        wanted.id,
        after_time,
        after_id,
        wanted.rows,
        wanted.identity_provider,
    )
    .await?;
    Ok(rows.into_iter().map(Binding::from).collect())
}
