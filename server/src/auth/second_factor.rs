//! What is asked of whoever has a second factor, once their password was right.

use serde_json::json;
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use super::told::Told;
use crate::app::App;
use crate::error::Error;
use crate::passwords::attempts::Attempt;
use crate::second_factor::{self, Accepted, Code};

/// What the audit log calls it.
pub(super) const PART: &str = "secondFactor";

/// Demands a good code of a person who has a second factor. Whether they have one.
///
/// # Errors
/// [`Error::SecondFactorRequired`], [`Error::SecondFactorInvalid`], [`Error::Exhausted`].
pub(super) async fn demand(
    app: &App,
    person: Uuid,
    code: Option<&Code>,
    told: Told<'_>,
) -> Result<bool, Error> {
    if !second_factor::is_set(&app.pools.authentication, person).await? {
        return Ok(false);
    }
    let code = code.ok_or(Error::SecondFactorRequired)?;
    let attempt = attempt(app, person, code, told).await?;
    let mut transaction = app.begin().await?;
    let now = OffsetDateTime::now_utc();
    let accepted = second_factor::accept(&mut transaction, &app.sealing, (person, code), now);
    match accepted.await? {
        Some(Accepted::App) => {}
        Some(Accepted::Recovery { left }) => {
            let detail = json!({"recoveryCode": "used", "left": left});
            told.tell(&mut transaction, PART, detail).await?;
        }
        None => {
            drop(transaction);
            return Err(refused(app, attempt, told).await?);
        }
    }
    transaction.commit().await?;
    attempt.succeeded().await?;
    Ok(true)
}

/// Counts an attempt on the codes of an app. Nobody guesses a recovery code, and whoever has one
/// need not wait until others have given up.
pub(super) async fn attempt<'a>(
    app: &'a App,
    person: Uuid,
    code: &Code,
    told: Told<'_>,
) -> Result<Attempt<'a>, Error> {
    let address = told.origin.address;
    let pool = &app.pools.write;
    match code {
        Code::App(_) => Attempt::begin_code(pool, person, address).await,
        Code::Recovery(_) => Ok(Attempt::beyond_guessing(pool, address)),
    }
}

/// Counts and tells of a wrong code; gives what whoever tried it is told.
pub(super) async fn refused(
    app: &App,
    attempt: Attempt<'_>,
    told: Told<'_>,
) -> Result<Error, Error> {
    attempt.failed().await?;
    let mut connection = app.pools.write.acquire().await?;
    let detail = json!({"code": "wrong"});
    told.tell_refused(&mut connection, PART, detail).await?;
    Ok(Error::SecondFactorInvalid)
}
