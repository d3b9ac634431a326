//! `burgee-server reset-second-factor`: for whoever lost theirs, when nobody else may help.

use serde_json::json;

use super::remove;
use crate::access::Origin;
use crate::app::App;
use crate::audit::append::{Event, append};
use crate::deployment::ACTOR;
use crate::error::Error;
use crate::members::email;
use crate::names::MemberName;
use crate::{sessions, tokens};

/// Takes away the second factor of the person with that e-mail address, and ends their sessions and tokens.
/// Each of their organizations is told.
///
/// # Errors
/// [`Error::NotFound`] for somebody who is not there or has none.
pub async fn reset(app: &App, email: &str) -> Result<(), Error> {
    let email = email::parse("email", email)?;
    let absent = || Error::not_found(format!("a second factor of {email}"));
    let mut transaction = app.begin().await?;
    let person = sqlx::query_scalar!("select id from people where email = $1", email)
        .fetch_optional(&mut *transaction)
        .await?;
    let person = person.ok_or_else(absent)?;
    if !remove(&mut transaction, person).await? {
        return Err(absent());
    }
    sessions::end_all(&mut transaction, person, None).await?;
    tokens::end_of_person(&mut transaction, person).await?;
    let members = sqlx::query!(
        "select id, organization_id from members where person_id = $1 order by id",
        person,
    )
    .fetch_all(&mut *transaction)
    .await?;
    for member in members {
        let event = Event {
            organization: member.organization_id,
            actor: ACTOR,
            method: "reset-second-factor",
            resource: &MemberName { uid: member.id }.to_string(),
            part: "secondFactor",
            origin: &Origin::default(),
            denied: false,
            detail: json!({"reset": true}),
        };
        append(&mut transaction, event).await?;
    }
    transaction.commit().await?;
    Ok(())
}
