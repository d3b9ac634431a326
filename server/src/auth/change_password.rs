//! ChangePassword: for whoever knows the one that they have.

use burgee_proto::admin::v1::{ChangePasswordRequest, ChangePasswordResponse};

use super::new_password::{Told, set};
use crate::access::Authorized;
use crate::app::App;
use crate::error::Error;
use crate::names::MemberName;
use crate::passwords::attempts::Attempt;
use crate::passwords::{Context, PASSWORD_MAX};
use crate::texts::Violations;

/// What is wrong with a password that is not the caller's.
const PASSWORD_WRONG: &str = "the password is not the one that you have";

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
    let good = (1..=PASSWORD_MAX).contains(&request.password.len());
    violations.require(good, "password", format!("1 to {PASSWORD_MAX} bytes"));
    violations.finish()?;
    let person = sqlx::query!(
        "select p.email, p.password_hash, m.id as member, m.display_name
         from sessions s
         join members m on m.id = s.member_id
         join people p on p.id = m.person_id
         where s.id = $1",
        session.id,
    )
    .fetch_one(&app.pools.authentication)
    .await?;
    let context = Context::new("new_password", [&person.email, &person.display_name]);
    context.check_length(&request.new_password)?;

    let origin = authorized.origin();
    let turn = app.passwords.turn().await?;
    let attempt = Attempt::begin(&app.pools.write, &person.email, origin.address).await?;
    let old_hash = person.password_hash;
    if !turn.verify(request.password, Some(old_hash)).await? {
        attempt.failed().await?;
        return Err(Error::ProofInvalid {
            description: PASSWORD_WRONG,
        });
    }
    attempt.succeeded().await?;
    let turn = app.passwords.turn().await?;
    let password_hash = turn.hash_new(request.new_password, context).await?;
    let told = Told {
        organization: authorized.organization(),
        member: MemberName { uid: person.member },
        method: authorized.method(),
        origin,
    };
    let mut transaction = app.begin().await?;
    let changed = (session.person, password_hash.as_str());
    set(&mut transaction, changed, Some(session.id), told).await?;
    transaction.commit().await?;
    Ok(ChangePasswordResponse {})
}
