//! DisableSecondFactor and RegenerateRecoveryCodes: what people do with the second factor that
//! they have.

use burgee_proto::admin::v1::{
    DisableSecondFactorRequest, DisableSecondFactorResponse, RegenerateRecoveryCodesRequest,
    RegenerateRecoveryCodesResponse,
};
use burgee_proto::types::v1::ErrorReason;
use serde_json::json;
use sqlx::{Postgres, Transaction};

use super::enroll_second_factor::exposed;
use super::password_again::{self, Person};
use super::second_factor::{PART, demand};
use super::told::Told;
use crate::access::Authorized;
use crate::app::App;
use crate::error::Error;
use crate::second_factor::{self, Code};
use crate::sessions;
use crate::texts::Violations;

/// Takes the caller's second factor away.
///
/// # Errors
/// [`Error::Invalid`], [`Error::ProofInvalid`], [`Error::SecondFactorInvalid`],
/// [`Error::Exhausted`]; [`Error::Precondition`] if they have none.
pub(super) async fn disable(
    app: &App,
    authorized: &Authorized,
    request: DisableSecondFactorRequest,
) -> Result<DisableSecondFactorResponse, Error> {
    let person = prove(app, authorized, (request.password, &request.code)).await?;
    let mut transaction = begin(app, authorized).await?;
    if !second_factor::remove(&mut transaction, person.id).await? {
        return Err(is_not_set(&person));
    }
    let told = Told::by(authorized, person.member);
    told.tell(&mut transaction, PART, json!({"set": false}))
        .await?;
    transaction.commit().await?;
    Ok(DisableSecondFactorResponse {})
}

/// Gives the caller new recovery codes.
///
/// # Errors
/// As [`disable`].
pub(super) async fn regenerate_recovery_codes(
    app: &App,
    authorized: &Authorized,
    request: RegenerateRecoveryCodesRequest,
) -> Result<RegenerateRecoveryCodesResponse, Error> {
    let person = prove(app, authorized, (request.password, &request.code)).await?;
    let mut transaction = begin(app, authorized).await?;
    let codes = second_factor::new_recovery_codes(&mut transaction, person.id).await?;
    let codes = codes.ok_or_else(|| is_not_set(&person))?;
    let told = Told::by(authorized, person.member);
    told.tell(&mut transaction, PART, json!({"recoveryCodes": "new"}))
        .await?;
    transaction.commit().await?;
    Ok(RegenerateRecoveryCodesResponse {
        recovery_codes: exposed(&codes),
    })
}

/// The caller, who knows their password and gives a code.
async fn prove(
    app: &App,
    authorized: &Authorized,
    (password, code): (String, &str),
) -> Result<Person, Error> {
    let mut violations = Violations::default();
    password_again::check(&mut violations, &password);
    let code = violations.take(Code::parse("code", code))?;
    violations.finish()?;
    let person = Person::of(app, authorized).await?;
    person.demand(app, authorized, password).await?;
    let told = Told::by(authorized, person.member);
    match demand(app, person.id, code.as_ref(), told).await? {
        true => Ok(person),
        false => Err(is_not_set(&person)),
    }
}

/// Opens a transaction in which the session of the call does not end.
async fn begin(
    app: &App,
    authorized: &Authorized,
) -> Result<Transaction<'static, Postgres>, Error> {
    let session = authorized.session()?;
    let mut transaction = app.begin().await?;
    sessions::demand_live(&mut transaction, session.person, session.id).await?;
    Ok(transaction)
}

fn is_not_set(person: &Person) -> Error {
    let description = "you have no second factor; EnrollSecondFactor gives you one";
    Error::precondition(ErrorReason::SecondFactorNotSet, person.member, description)
}
