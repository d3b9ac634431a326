//! Second factors: what people prove beside their password.
//!
//! An app makes a code every 30 s from a seed that it shares with the server ([`totp`]). Whoever
//! loses the app has recovery codes ([`recovery`]). Both are good once. The factor belongs to the
//! person, in all of their organizations; a session says whether it began with one.

mod code;
mod recovery;
pub mod reset;
mod totp;

use data_encoding::BASE32_NOPAD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use sqlx::types::time::OffsetDateTime;
use sqlx::{PgConnection, PgExecutor};
use time::Duration;
use uuid::Uuid;

use crate::error::Error;
use crate::random;
use crate::sealing::{Column, Sealing};

pub use code::Code;

/// Where seeds are.
pub const SEED: Column = Column {
    table: "second_factors",
    column: "seed",
    row: "person_id",
    organization: None,
};
/// How long a seed waits to be confirmed.
const ENROLLMENT: Duration = Duration::hours(1);
/// What apps show beside the e-mail address.
const ISSUER: &str = "Burgee";

/// A seed that nobody has confirmed yet.
#[derive(Debug)]
pub struct Enrollment {
    seed: SecretSlice<u8>,
    /// When it is void.
    pub expires_at: OffsetDateTime,
}

/// How a code was found good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// The app made it.
    App,
    /// It is a recovery code.
    Recovery {
        /// How many are left.
        left: i64,
    },
}

/// What became of a confirmation.
#[derive(Debug)]
pub enum Confirmation {
    /// From now on codes are asked for. These are the recovery codes.
    Confirmed(Vec<SecretString>),
    /// The code is wrong.
    Wrong,
    /// Nothing waits to be confirmed.
    NothingBegun,
    /// It was confirmed before.
    Set,
}

impl Enrollment {
    /// The seed as people type it.
    #[must_use]
    pub fn secret(&self) -> String {
        BASE32_NOPAD.encode(self.seed.expose_secret())
    }

    /// The seed as apps read it from a QR code:
    /// <https://github.com/google/google-authenticator/wiki/Key-Uri-Format>.
    #[must_use]
    pub fn uri(&self, email: &str) -> String {
        let email = utf8_percent_encode(email, NON_ALPHANUMERIC);
        let (secret, digits, period) = (self.secret(), totp::DIGITS, totp::STEP_SECONDS);
        format!(
            "otpauth://totp/{ISSUER}:{email}?secret={secret}&issuer={ISSUER}&algorithm=SHA1\
             &digits={digits}&period={period}"
        )
    }
}

/// Whether a person has a second factor.
///
/// # Errors
/// Those of the database.
pub async fn is_set(executor: impl PgExecutor<'_>, person: Uuid) -> Result<bool, Error> {
    let is_set = sqlx::query_scalar!(
        r#"select exists (
               select from second_factors where person_id = $1 and confirmed_at is not null
           ) as "is_set!""#,
        person,
    )
    .fetch_one(executor)
    .await?;
    Ok(is_set)
}

/// How many recovery codes a person has left.
///
/// # Errors
/// Those of the database.
pub async fn recovery_codes_left(
    executor: impl PgExecutor<'_>,
    person: Uuid,
) -> Result<i64, Error> {
    let left = sqlx::query_scalar!(
        r#"select count(*) as "left!" from recovery_codes
           where person_id = $1 and used_at is null"#,
        person,
    )
    .fetch_one(executor)
    .await?;
    Ok(left)
}

/// Begins to give a person a second factor. None: they have one.
///
/// # Errors
/// Those of sealing and of the database.
pub async fn enroll(
    connection: &mut PgConnection,
    sealing: &Sealing,
    person: Uuid,
) -> Result<Option<Enrollment>, Error> {
    let seed = totp::seed(random::bytes()?);
    let sealed = sealing.seal(&SEED.of(person), seed.expose_secret())?;
    let began = sqlx::query_scalar!(
        "insert into second_factors as f (person_id, seed) values ($1, $2::bytea)
         on conflict (person_id) do update
         set seed = excluded.seed, created_at = clock_timestamp()
         where f.confirmed_at is null
         returning created_at",
        person,
        sealed,
    )
    .fetch_optional(connection)
    .await?;
    Ok(began.map(|at| Enrollment {
        seed,
        expires_at: at + ENROLLMENT,
    }))
}

/// Completes what [`enroll`] began, with the app's code of about `now`.
///
/// # Errors
/// Those of sealing and of the database.
pub async fn confirm(
    connection: &mut PgConnection,
    sealing: &Sealing,
    (person, code): (Uuid, &Code),
    now: OffsetDateTime,
) -> Result<Confirmation, Error> {
    let found = sqlx::query!(
        r#"select seed::bytea as "seed!", confirmed_at, created_at from second_factors
           where person_id = $1 for update"#,
        person,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(found) = found else {
        return Ok(Confirmation::NothingBegun);
    };
    if found.confirmed_at.is_some() {
        return Ok(Confirmation::Set);
    }
    if found.created_at + ENROLLMENT < now {
        return Ok(Confirmation::NothingBegun);
    }
    let seed = sealing.open(&SEED.of(person), &found.seed)?;
    let step = match code {
        Code::App(digits) => totp::step_of(&seed, digits, now, None)?,
        Code::Recovery(_) => None,
    };
    let Some(step) = step else {
        return Ok(Confirmation::Wrong);
    };
    sqlx::query!(
        "update second_factors set confirmed_at = clock_timestamp(), last_step = $2
         where person_id = $1",
        person,
        step,
    )
    .execute(&mut *connection)
    .await?;
    let codes = new_recovery_codes(connection, person).await?;
    Ok(codes.map_or(Confirmation::NothingBegun, Confirmation::Confirmed))
}

/// Accepts a code of about `now`, which is good for nothing afterwards. None: it is wrong, was
/// used, or the person has no second factor.
///
/// # Errors
/// Those of sealing and of the database.
pub async fn accept(
    connection: &mut PgConnection,
    sealing: &Sealing,
    (person, code): (Uuid, &Code),
    now: OffsetDateTime,
) -> Result<Option<Accepted>, Error> {
    match code {
        Code::App(digits) => {
            let accepted = accept_app(connection, sealing, (person, digits), now).await?;
            Ok(accepted.then_some(Accepted::App))
        }
        Code::Recovery(code) => accept_recovery(connection, person, code).await,
    }
}

async fn accept_app(
    connection: &mut PgConnection,
    sealing: &Sealing,
    (person, digits): (Uuid, &SecretString),
    now: OffsetDateTime,
) -> Result<bool, Error> {
    let found = sqlx::query!(
        r#"select seed::bytea as "seed!", last_step from second_factors
           where person_id = $1 and confirmed_at is not null"#,
        person,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(found) = found else {
        return Ok(false);
    };
    let seed = sealing.open(&SEED.of(person), &found.seed)?;
    let Some(step) = totp::step_of(&seed, digits, now, Some(found.last_step))? else {
        return Ok(false);
    };
    // Of two who give the same code at once, one finds it used.
    let used = sqlx::query!(
        "update second_factors set last_step = $2
         where person_id = $1 and last_step < $2 and confirmed_at is not null",
        person,
        step,
    )
    .execute(connection)
    .await?;
    Ok(used.rows_affected() == 1)
}

async fn accept_recovery(
    connection: &mut PgConnection,
    person: Uuid,
    code: &SecretString,
) -> Result<Option<Accepted>, Error> {
    let hash = recovery::hash(person, code);
    let used = sqlx::query!(
        "update recovery_codes set used_at = clock_timestamp()
         where person_id = $1 and hash = $2 and used_at is null",
        person,
        hash.as_slice(),
    )
    .execute(&mut *connection)
    .await?;
    if used.rows_affected() == 0 {
        return Ok(None);
    }
    let left = recovery_codes_left(connection, person).await?;
    Ok(Some(Accepted::Recovery { left }))
}

/// Gives a person new recovery codes instead of those that they have. None: they have no second
/// factor.
///
/// # Errors
/// Those of the database.
pub async fn new_recovery_codes(
    connection: &mut PgConnection,
    person: Uuid,
) -> Result<Option<Vec<SecretString>>, Error> {
    // Two at once would give twice as many.
    let locked = sqlx::query!(
        "select from second_factors where person_id = $1 and confirmed_at is not null for update",
        person,
    )
    .fetch_optional(&mut *connection)
    .await?;
    if locked.is_none() {
        return Ok(None);
    }
    let codes = recovery::codes()?;
    let hashes: Vec<Vec<u8>> = codes
        .iter()
        .map(|code| recovery::hash(person, code).to_vec())
        .collect();
    sqlx::query!("delete from recovery_codes where person_id = $1", person)
        .execute(&mut *connection)
        .await?;
    sqlx::query!(
        "insert into recovery_codes (person_id, hash)
         select $1, hash from unnest($2::bytea[]) as new(hash)",
        person,
        &hashes,
    )
    .execute(connection)
    .await?;
    Ok(Some(codes.iter().map(recovery::shown).collect()))
}

/// Takes a person's second factor away, with the recovery codes. False: they had none.
///
/// # Errors
/// Those of the database.
pub async fn remove(connection: &mut PgConnection, person: Uuid) -> Result<bool, Error> {
    let removed = sqlx::query!(
        "delete from second_factors where person_id = $1 and confirmed_at is not null",
        person,
    )
    .execute(&mut *connection)
    .await?;
    // What a session says of it is true as long as there is one.
    sqlx::query!(
        "update sessions s set second_factor = false
         from members m
         where m.id = s.member_id and m.person_id = $1 and s.second_factor",
        person,
    )
    .execute(connection)
    .await?;
    Ok(removed.rows_affected() == 1)
}
