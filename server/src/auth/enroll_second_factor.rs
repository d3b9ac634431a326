//! EnrollSecondFactor and ConfirmSecondFactor: a person gets a second factor.

use burgee_proto::admin::v1::{
    ConfirmSecondFactorRequest, ConfirmSecondFactorResponse, EnrollSecondFactorRequest,
    EnrollSecondFactorResponse,
};
use burgee_proto::types::v1::ErrorReason;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sqlx::types::time::OffsetDateTime;

use super::password_again::{self, Person};
use super::second_factor::{PART, attempt, refused};
use super::told::Told;
use crate::access::Authorized;
use crate::app::App;
use crate::error::Error;
use crate::names::MemberName;
use crate::second_factor::{self, Code, Confirmation};
use crate::sessions;
use crate::stored::timestamp;
use crate::texts::Violations;

/// Gives the caller a seed, which counts for nothing until it is confirmed.
///
/// # Errors
/// [`Error::Invalid`], [`Error::ProofInvalid`], [`Error::Exhausted`]; [`Error::Precondition`] if
/// they have a second factor, or the server has no key to seal it with.
pub(super) async fn enroll(
    app: &App,
    authorized: &Authorized,
    request: EnrollSecondFactorRequest,
) -> Result<EnrollSecondFactorResponse, Error> {
    let mut violations = Violations::default();
    password_again::check(&mut violations, &request.password);
    violations.finish()?;
    app.sealing.ready()?;
    let person = Person::of(app, authorized).await?;
    person.demand(app, authorized, request.password).await?;
    let mut transaction = app.begin().await?;
    let session = authorized.session()?;
    sessions::demand_live(&mut transaction, person.id, session.id).await?;
    let enrolled = second_factor::enroll(&mut transaction, &app.sealing, person.id).await?;
    let enrolled = enrolled.ok_or_else(|| is_set(person.member))?;
    transaction.commit().await?;
    Ok(EnrollSecondFactorResponse {
        secret: enrolled.secret(),
        uri: enrolled.uri(&person.email),
        expire_time: Some(timestamp(enrolled.expires_at)),
    })
}

/// Asks for codes from now on, once the caller gave one.
///
/// # Errors
/// [`Error::Invalid`], [`Error::SecondFactorInvalid`], [`Error::Exhausted`];
/// [`Error::Precondition`] if nothing waits to be confirmed.
pub(super) async fn confirm(
    app: &App,
    authorized: &Authorized,
    request: ConfirmSecondFactorRequest,
) -> Result<ConfirmSecondFactorResponse, Error> {
    let session = authorized.session()?;
    let code = Code::parse("code", &request.code)?;
    let member = Person::of(app, authorized).await?.member;
    let told = Told::by(authorized, member);
    let attempt = attempt(app, session.person, &code, told).await?;
    let mut transaction = app.begin().await?;
    // Whoever was shut out a moment ago sets nothing that keeps their owner out.
    sessions::demand_live(&mut transaction, session.person, session.id).await?;
    let (given, now) = ((session.person, &code), OffsetDateTime::now_utc());
    let confirmation = second_factor::confirm(&mut transaction, &app.sealing, given, now).await?;
    let codes = match confirmation {
        Confirmation::Confirmed(codes) => codes,
        Confirmation::NothingBegun => return Err(is_not_set(member)),
        Confirmation::Set => return Err(is_set(member)),
        Confirmation::Wrong => {
            drop(transaction);
            return Err(refused(app, attempt, told).await?);
        }
    };
    // Whoever has the password alone is out.
    sessions::end_all(&mut transaction, session.person, Some(session.id)).await?;
    sessions::prove_second_factor(&mut transaction, session.id).await?;
    told.tell(&mut transaction, PART, json!({"set": true}))
        .await?;
    transaction.commit().await?;
    attempt.succeeded().await?;
    Ok(ConfirmSecondFactorResponse {
        recovery_codes: exposed(&codes),
    })
}

/// Recovery codes, for the answer that shows them once.
pub(super) fn exposed(codes: &[SecretString]) -> Vec<String> {
    let codes = codes.iter().map(ExposeSecret::expose_secret);
    codes.map(str::to_owned).collect()
}

fn is_set(member: MemberName) -> Error {
    let description = "you have a second factor; for another one, call DisableSecondFactor first";
    Error::precondition(ErrorReason::SecondFactorSet, member, description)
}

fn is_not_set(member: MemberName) -> Error {
    let description = "nothing waits to be confirmed; call EnrollSecondFactor first";
    Error::precondition(ErrorReason::SecondFactorNotSet, member, description)
}
