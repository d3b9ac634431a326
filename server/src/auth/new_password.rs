//! A person's password becomes another, and what the old one opened ends.

use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::access::Origin;
use crate::audit::append::{Event, append};
use crate::error::Error;
use crate::names::MemberName;

/// What the audit log is told.
pub(super) struct Told<'a> {
    pub(super) organization: Uuid,
    pub(super) member: MemberName,
    pub(super) method: &'a str,
    pub(super) origin: &'a Origin,
}

/// Sets the password of a person, and ends their sessions but for one, and all links that would
/// set another.
pub(super) async fn set(
    connection: &mut PgConnection,
    (person, password_hash): (Uuid, &str),
    staying: Option<Uuid>,
    told: Told<'_>,
) -> Result<(), Error> {
    sqlx::query!(
        "update people set password_hash = $2 where id = $1",
        person,
        password_hash,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "update sessions s set ended_at = clock_timestamp()
         from members m
         where m.id = s.member_id and m.person_id = $1 and s.ended_at is null
           and s.id is distinct from $2",
        person,
        staying,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "update password_resets r set ended_at = clock_timestamp()
         from members m
         where m.id = r.member_id and m.person_id = $1 and r.ended_at is null",
        person,
    )
    .execute(&mut *connection)
    .await?;
    let member = told.member.to_string();
    let event = Event {
        organization: told.organization,
        actor: &member,
        method: told.method,
        resource: &member,
        part: "password",
        origin: told.origin,
        denied: false,
        detail: json!({"changed": true}),
    };
    append(connection, event).await
}
