//! A person's password becomes another, and what the old one opened ends.

use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::told::Told;
use crate::error::Error;
use crate::sessions;

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
    sessions::end_all(connection, person, staying).await?;
    sqlx::query!(
        "update password_resets r set ended_at = clock_timestamp()
         from members m
         where m.id = r.member_id and m.person_id = $1 and r.ended_at is null",
        person,
    )
    .execute(&mut *connection)
    .await?;
    told.tell(connection, "password", json!({"changed": true}))
        .await
}
