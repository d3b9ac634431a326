//! ChangePassword: for whoever knows the one that they have.

use burgee_proto::admin::v1::{ChangePasswordRequest, ChangePasswordResponse};

use super::new_password::{Staying, set};
use super::password_again::{self, Person};
use super::told::Told;
use crate::access::Authorized;
use crate::app::App;
use crate::error::Error;
use crate::passwords::Context;
use crate::sessions;
use crate::texts::Violations;

/// Changes the caller's password.
///
/// # Errors
/// [`Error::Invalid`], [`Error::ProofInvalid`], [`Error::Exhausted`].
pub(super) async fn change_password(
    app: &App,
    authorized: &Authorized,
    request: ChangePasswordRequest,
) -> Result<ChangePasswordResponse, Error> {
    let session = authorized.session()?;
    let mut violations = Violations::default();
    password_again::check(&mut violations, &request.password);
    violations.finish()?;
    let person = Person::of(app, authorized).await?;
    let context = Context::new("new_password", [&person.email, &person.display_name]);
    context.check_length(&request.new_password)?;
    person.demand(app, authorized, request.password).await?;
    let turn = app.passwords.turn().await?;
    let password_hash = turn.hash_new(request.new_password, context).await?;
    let told = Told::by(authorized, person.member);
    let mut transaction = app.begin().await?;
    // Another password since was set by whoever ended this session.
    sessions::demand_live(&mut transaction, session.person, session.id).await?;
    let changed = (session.person, password_hash.as_str());
    let staying = Staying {
        session: Some(session.id),
        tokens: !request.revoke_personal_tokens,
    };
    set(&mut transaction, changed, staying, told).await?;
    transaction.commit().await?;
    Ok(ChangePasswordResponse {})
}
