//! A person's password becomes another, and what the old one opened ends.

use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::told::Told;
use crate::error::Error;
use crate::{sessions, tokens};

/// What of a person's stays when their password becomes another.
pub(super) struct Staying {
    /// This session of theirs.
    pub session: Option<Uuid>,
    /// Their personal tokens.
    pub tokens: bool,
}

/// Sets the password of a person, and ends all links that would set another, and their sessions
/// and tokens but for those that stay.
pub(super) async fn set(
    connection: &mut PgConnection,
    (person, password_hash): (Uuid, &str),
    staying: Staying,
    told: Told<'_>,
) -> Result<(), Error> {
    sqlx::query!(
        "update people set password_hash = $2 where id = $1",
        person,
        password_hash,
    )
    .execute(&mut *connection)
    .await?;
    sessions::end_all(connection, person, staying.session).await?;
    if !staying.tokens {
        tokens::end_of_person(connection, person).await?;
    }
    sqlx::query!(
        "update password_resets r set ended_at = clock_timestamp()
         from members m
         where m.id = r.member_id and m.person_id = $1 and r.ended_at is null",
        person,
    )
    .execute(&mut *connection)
    .await?;
    let after = json!({"changed": true, "tokensRevoked": !staying.tokens});
    told.tell(connection, "password", after).await
}
