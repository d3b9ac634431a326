//! Members, as rows.

use burgee_proto::admin::v1::Member;
use sqlx::PgConnection;
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use crate::change::Change;
use crate::error::Error;
use crate::names::MemberName;
use crate::page::TimePlace;
use crate::stored::{Stored, timestamp};

/// A member's row, with the person's e-mail address.
struct Row {
    id: Uuid,
    email: String,
    display_name: String,
    deactivated: bool,
    second_factor: bool,
    managed: bool,
    version: i64,
    changed_by: String,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

/// Which members to read. All that is set must hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// This one.
    pub id: Option<Uuid>,
    /// With this e-mail address.
    pub email: Option<&'a str>,
    /// In this group.
    pub group: Option<Uuid>,
    /// After this place in the order.
    pub after: Option<TimePlace>,
    /// At most so many. None: all.
    pub rows: Option<i64>,
}

/// Reads members of an organization, oldest first.
///
/// # Errors
/// Those of the database.
pub async fn list(
    connection: &mut PgConnection,
    organization: Uuid,
    wanted: Wanted<'_>,
) -> Result<Vec<Stored<Member>>, Error> {
    let (after_time, after_id) = wanted.after.map(|place| (place.time, place.id)).unzip();
    let rows = sqlx::query_as!(
        Row,
        r#"select m.id, p.email, m.display_name, m.deactivated,
                  f.confirmed_at is not null as "second_factor!",
                  p.organization_id is not null as "managed!", m.version, m.changed_by,
                  m.created_at, m.updated_at
           from members m
           join people p on p.id = m.person_id
           left join second_factors f on f.person_id = m.person_id
           where m.organization_id = $1
             and ($2::uuid is null or m.id = $2)
             and ($3::timestamptz is null or (m.created_at, m.id) > ($3, $4))
             and ($6::uuid is null or exists (
                  select from group_members i where i.group_id = $6 and i.member_id = m.id))
             and ($7::text is null or p.email = $7)
           order by m.created_at, m.id limit $5"#,
        organization,
        wanted.id,
        after_time,
        after_id,
        wanted.rows,
        wanted.group,
        wanted.email,
    )
    .fetch_all(connection)
    .await?;
    let members = rows.into_iter().map(|row| Stored {
        id: row.id,
        environment: None,
        version: row.version,
        changed_by: row.changed_by,
        created_at: row.created_at,
        updated_at: row.updated_at,
        message: Member {
            email: row.email,
            display_name: row.display_name,
            deactivated: row.deactivated,
            second_factor: row.second_factor,
            managed: row.managed,
            ..Member::default()
        },
    });
    Ok(members.collect())
}

/// Finds a member of an organization.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn find(
    connection: &mut PgConnection,
    organization: Uuid,
    name: MemberName,
) -> Result<Stored<Member>, Error> {
    let wanted = Wanted {
        id: Some(name.uid),
        ..Wanted::default()
    };
    let mut found = list(connection, organization, wanted).await?;
    found.pop().ok_or_else(|| Error::not_found(name))
}

/// Finds the member of an organization with an e-mail address, if there is one.
///
/// # Errors
/// Those of the database.
pub async fn find_by_email(
    connection: &mut PgConnection,
    organization: Uuid,
    email: &str,
) -> Result<Option<Stored<Member>>, Error> {
    let wanted = Wanted {
        email: Some(email),
        ..Wanted::default()
    };
    Ok(list(connection, organization, wanted).await?.pop())
}

/// A member's place in a list.
#[must_use]
pub fn place(stored: &Stored<Member>) -> TimePlace {
    TimePlace {
        time: stored.created_at,
        id: stored.id,
    }
}

/// As answers show a member.
#[must_use]
pub fn show(stored: &Stored<Member>) -> Member {
    Member {
        name: MemberName { uid: stored.id }.to_string(),
        uid: stored.id.to_string(),
        etag: stored.etag(),
        create_time: Some(timestamp(stored.created_at)),
        update_time: Some(timestamp(stored.updated_at)),
        ..stored.message.clone()
    }
}

/// Writes what differs, and tells the audit log; gives the member as it is afterwards.
pub(super) async fn update(
    change: &mut Change,
    before: Stored<Member>,
    message: Member,
) -> Result<Stored<Member>, Error> {
    if message == before.message {
        return Ok(before);
    }
    let after = Stored {
        version: before.version + 1,
        changed_by: change.actor().to_owned(),
        updated_at: change.now(),
        message,
        ..before.clone()
    };
    sqlx::query!(
        "update members
         set display_name = $2, deactivated = $3, version = $4, updated_at = $5, changed_by = $6
         where id = $1",
        after.id,
        after.message.display_name,
        after.message.deactivated,
        after.version,
        after.updated_at,
        after.changed_by,
    )
    .execute(change.connection())
    .await?;
    record(change, Some(&before), Some(&after))?;
    Ok(after)
}

/// Tells the audit log of a member.
pub(super) fn record(
    change: &mut Change,
    before: Option<&Stored<Member>>,
    after: Option<&Stored<Member>>,
) -> Result<(), Error> {
    let name = before.or(after).map(|it| MemberName { uid: it.id });
    let name = name.map(|name| name.to_string()).unwrap_or_default();
    let [before, after] = [before, after].map(|it| it.map(|it| &it.message));
    change.record_resource(name, "member", (before, after))
}
