//! Invitations, as rows.

use burgee_proto::admin::v1::Invitation;
use sqlx::PgConnection;
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use super::BindingPlace;
use crate::change::Change;
use crate::error::Error;
use crate::names::{InvitationName, MemberName, RoleName};
use crate::page::TimePlace;
use crate::stored::timestamp;

/// An invitation that can still be accepted, without its secret.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its uid.
    pub id: Uuid,
    /// Whose members it makes.
    pub organization: Uuid,
    /// Whom it is for. None: whoever has the link says.
    pub email: Option<String>,
    /// The key of the role.
    pub role: String,
    project: Option<String>,
    environment: Option<String>,
    /// The uid of the project, if the role will be held in one.
    pub project_id: Option<Uuid>,
    /// The uid of the environment, if the role will be held in one.
    pub environment_id: Option<Uuid>,
    created_at: OffsetDateTime,
    /// Who invites.
    pub created_by: String,
    expires_at: OffsetDateTime,
}

/// Which invitations to read. All that is set must hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// Of this organization.
    pub organization: Option<Uuid>,
    /// This one.
    pub id: Option<Uuid>,
    /// For this e-mail address.
    pub email: Option<&'a str>,
    /// The one whose secret has this hash.
    pub hash: Option<&'a [u8]>,
    /// After this place in the order.
    pub after: Option<TimePlace>,
    /// At most so many. None: all.
    pub rows: Option<i64>,
}

impl Row {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> InvitationName {
        InvitationName { uid: self.id }
    }

    /// Its place in a list.
    #[must_use]
    pub fn list_place(&self) -> TimePlace {
        TimePlace {
            time: self.created_at,
            id: self.id,
        }
    }

    /// Where the role will be held.
    #[must_use]
    pub fn place(&self) -> BindingPlace {
        BindingPlace {
            project: self.project.clone(),
            environment: self.environment.clone(),
        }
    }

    /// As answers show it.
    #[must_use]
    pub fn show(&self) -> Invitation {
        Invitation {
            name: self.name().to_string(),
            uid: self.id.to_string(),
            email: self.email.clone().unwrap_or_default(),
            role: RoleName {
                role: self.role.clone(),
            }
            .to_string(),
            scope: self.place().name(),
            creator: self.created_by.clone(),
            create_time: Some(timestamp(self.created_at)),
            expire_time: Some(timestamp(self.expires_at)),
        }
    }
}

/// Reads invitations that can still be accepted, oldest first.
///
/// # Errors
/// Those of the database.
pub async fn list(connection: &mut PgConnection, wanted: Wanted<'_>) -> Result<Vec<Row>, Error> {
    let after = wanted.after.map(|place| (place.time, place.id));
    let (after_time, after_id) = after.unzip();
    let rows = sqlx::query_as!(
        Row,
        r#"select i.id, i.organization_id as organization, i.email, i.role, p.key as "project?",
                  e.key as "environment?", i.project_id, i.environment_id, i.created_at,
                  i.created_by, i.expires_at
           from invitations i
           left join environments e on e.id = i.environment_id
           left join projects p on p.id = coalesce(i.project_id, e.project_id)
           where ($1::uuid is null or i.organization_id = $1)
             and ($2::uuid is null or i.id = $2)
             and ($3::bytea is null or i.hash = $3)
             and ($4::timestamptz is null or (i.created_at, i.id) > ($4, $5))
             and ($7::text is null or i.email = $7)
             and i.accepted_at is null and i.revoked_at is null
             and i.expires_at > clock_timestamp()
             and not (i.first_owner and exists (
                 select from members m where m.organization_id = i.organization_id))
           order by i.created_at, i.id limit $6"#,
        wanted.organization,
        wanted.id,
        wanted.hash,
        after_time,
        after_id,
        wanted.rows,
        wanted.email,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Reads one that can still be accepted.
///
/// # Errors
/// [`Error::NotFound`].
pub(super) async fn read(change: &mut Change, name: InvitationName) -> Result<Row, Error> {
    let wanted = Wanted {
        organization: Some(change.authorized.organization()),
        id: Some(name.uid),
        ..Wanted::default()
    };
    let mut found = list(change.connection(), wanted).await?;
    found.pop().ok_or_else(|| Error::not_found(name))
}

/// It was accepted: ends it, and tells the audit log.
pub(super) async fn accept(change: &mut Change, invitation: &Row) -> Result<(), Error> {
    sqlx::query!(
        "update invitations set accepted_at = clock_timestamp() where id = $1",
        invitation.id,
    )
    .execute(change.connection())
    .await?;
    record(change, Some(invitation), None)
}

/// Ends an invitation, and tells the audit log.
pub(super) async fn revoke(change: &mut Change, invitation: &Row) -> Result<(), Error> {
    sqlx::query!(
        "update invitations set revoked_at = clock_timestamp() where id = $1",
        invitation.id,
    )
    .execute(change.connection())
    .await?;
    record(change, Some(invitation), None)
}

/// Ends the invitations that a member made, and those that would let the person in.
pub(super) async fn revoke_of(
    change: &mut Change,
    member: MemberName,
    email: &str,
) -> Result<(), Error> {
    let wanted = Wanted {
        organization: Some(change.authorized.organization()),
        ..Wanted::default()
    };
    let actor = member.to_string();
    for invitation in list(change.connection(), wanted).await? {
        if invitation.created_by == actor || invitation.email.as_deref() == Some(email) {
            revoke(change, &invitation).await?;
        }
    }
    Ok(())
}

/// Tells the audit log of an invitation.
pub(super) fn record(
    change: &mut Change,
    before: Option<&Row>,
    after: Option<&Row>,
) -> Result<(), Error> {
    let name = before.or(after).map(|it| it.name().to_string());
    let [before, after] = [before, after].map(|it| it.map(Row::show));
    let parts = (before.as_ref(), after.as_ref());
    change.record_resource(name.unwrap_or_default(), "invitation", parts)
}
