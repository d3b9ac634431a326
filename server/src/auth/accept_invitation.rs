//! AcceptInvitation: whoever has the secret of a link becomes a member, and is signed in.

use burgee_hub::credential;
use burgee_proto::admin::v1::{AcceptInvitationRequest, AcceptInvitationResponse};
use uuid::Uuid;

use super::password_again;
use super::second_factor::demand;
use super::signed_in;
use super::told::Told;
use crate::access::{Origin, vouch};
use crate::app::App;
use crate::change;
use crate::error::Error;
use crate::members::acceptance::{Acceptance, LINK_INVALID};
use crate::members::email;
use crate::members::invitation::{self, Row, Wanted};
use crate::names::MemberName;
use crate::passwords::Context;
use crate::passwords::attempts::Attempt;
use crate::second_factor::Code;
use crate::sessions::{By, Proven};
use crate::texts::Violations;

const METHOD: &str = "/burgee.admin.v1.AuthService/AcceptInvitation";
/// For whoever has a password here already, and gave another.
const PASSWORD_WRONG: &str =
    "somebody with this e-mail address signs in here already; give the password that they have";

/// Makes a member of whoever has the secret, and signs them in.
///
/// # Errors
/// [`Error::Invalid`], [`Error::ProofInvalid`], [`Error::SecondFactorRequired`],
/// [`Error::SecondFactorInvalid`], [`Error::Exhausted`].
pub(super) async fn accept_invitation(
    app: &App,
    origin: &Origin,
    request: AcceptInvitationRequest,
) -> Result<AcceptInvitationResponse, Error> {
    let code = check(&request)?;
    let invitation = find(app, &request.secret).await?;
    let email = email_of(&invitation, &request.email)?;
    let known = sqlx::query!(
        r#"select p.id, p.password_hash as "password_hash!", m.id as "member?"
           from people p
           left join members m on m.person_id = p.id and m.organization_id = $2
           where p.email = $1 and p.organization_id is null"#,
        email,
        invitation.organization,
    )
    .fetch_optional(&app.pools.authentication)
    .await?;
    // They may be one already, by another invitation.
    let member = known.as_ref().and_then(|known| known.member);
    let uid = member.unwrap_or_else(Uuid::now_v7);
    let mut second_factor = false;
    let (proven_hash, password_hash) = match known {
        Some(known) => {
            let hash = known.password_hash;
            prove(app, (&email, hash.clone()), request.password, origin).await?;
            let told = Told {
                organization: invitation.organization,
                member: MemberName { uid },
                method: METHOD,
                origin,
            };
            second_factor = demand(app, known.id, code.as_ref(), told).await?;
            (hash, String::new())
        }
        None => {
            let hash = hash_new(app, &email, &request).await?;
            (hash.clone(), hash)
        }
    };
    let acceptance = Acceptance {
        invitation: invitation.name().to_string(),
        email,
        display_name: request.display_name,
        member: MemberName { uid }.to_string(),
        password_hash,
    };
    let actor = acceptance.member.clone();
    let authorized = vouch(invitation.organization, &actor, METHOD).calling_from(origin.clone());
    let accepted = change::perform(app, authorized, acceptance).await?;
    let member = accepted.member.unwrap_or_default();
    let MemberName { uid } = MemberName::parse("member", &member.name)?;
    let proven = Proven {
        by: By::Password(proven_hash),
        second_factor,
    };
    let signed = signed_in::sign_in(app, METHOD, (uid, proven), origin).await?;
    Ok(AcceptInvitationResponse {
        session: Some(signed.session),
        member: Some(signed.member),
        secret: signed.secret.expose().to_owned(),
    })
}

/// The code, of a request that is sound.
fn check(request: &AcceptInvitationRequest) -> Result<Option<Code>, Error> {
    let mut violations = Violations::default();
    super::check_link(&mut violations, &request.secret);
    violations.display_name("display_name", &request.display_name);
    password_again::check(&mut violations, &request.password);
    let code = Code::given("second_factor_code", &request.second_factor_code);
    let code = violations.take(code)?;
    violations.finish()?;
    Ok(code.flatten())
}

async fn find(app: &App, secret: &str) -> Result<Row, Error> {
    let hash = credential::hash(secret);
    let wanted = Wanted {
        hash: Some(&hash),
        ..Wanted::default()
    };
    let mut connection = app.pools.authentication.acquire().await?;
    let mut found = invitation::list(&mut connection, wanted).await?;
    found.pop().ok_or(Error::ProofInvalid {
        description: LINK_INVALID,
    })
}

/// Whose invitation it is: an invitation that names somebody is theirs alone.
fn email_of(invitation: &Row, given: &str) -> Result<String, Error> {
    match &invitation.email {
        None => email::parse("email", given),
        Some(email) if given.is_empty() || email::parse("email", given)? == *email => {
            Ok(email.clone())
        }
        Some(_) => {
            let description = "the invitation is for another e-mail address; give none";
            Err(Error::invalid("email", description))
        }
    }
}

/// Whoever has a password here proves that it is they who become a member elsewhere.
async fn prove(
    app: &App,
    (email, hash): (&str, String),
    password: String,
    origin: &Origin,
) -> Result<(), Error> {
    let turn = app.passwords.turn().await?;
    let attempt = Attempt::begin(&app.pools.write, email, origin.address).await?;
    if turn.verify(password, Some(hash)).await? {
        return attempt.succeeded().await;
    }
    attempt.failed().await?;
    Err(Error::ProofInvalid {
        description: PASSWORD_WRONG,
    })
}

async fn hash_new(
    app: &App,
    email: &str,
    request: &AcceptInvitationRequest,
) -> Result<String, Error> {
    let context = Context::new("password", [email, &request.display_name]);
    context.check_length(&request.password)?;
    let turn = app.passwords.turn().await?;
    turn.hash_new(request.password.clone(), context).await
}
