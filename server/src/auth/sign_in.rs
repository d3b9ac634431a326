//! SignIn: an e-mail address and a password for a session.

use burgee_proto::admin::v1::{SignInRequest, SignInResponse};
use serde_json::json;
use uuid::Uuid;

use super::password_again;
use super::second_factor::demand;
use super::signed_in::{self, Signed};
use super::told::Told;
use crate::access::Origin;
use crate::app::App;
use crate::error::Error;
use crate::members::email;
use crate::names::{MemberName, check_slug};
use crate::passwords::attempts::Attempt;
use crate::second_factor::Code;
use crate::sessions::{By, Proven};
use crate::texts::Violations;

const METHOD: &str = "/burgee.admin.v1.AuthService/SignIn";
/// The same for an unknown person, a wrong password, and whoever is kept out.
const REFUSED: &str = "the e-mail address and the password open no organization here";

/// A person, and what they are in the organization that they ask for.
struct Found {
    person: Uuid,
    password_hash: String,
    member: Option<Membership>,
}

struct Membership {
    id: Uuid,
    organization: Uuid,
    deactivated: bool,
}

/// Signs in.
///
/// # Errors
/// [`Error::Invalid`], [`Error::ProofInvalid`], [`Error::SecondFactorRequired`],
/// [`Error::SecondFactorInvalid`], [`Error::Exhausted`].
pub(super) async fn sign_in(
    app: &App,
    origin: &Origin,
    request: SignInRequest,
) -> Result<SignInResponse, Error> {
    let (email, code) = checked(&request)?;
    let turn = app.passwords.turn().await?;
    let attempt = Attempt::begin(&app.pools.write, &email, origin.address).await?;
    let found = find(app, &email, &request.organization).await?;
    let (hash, member) = found
        .map(|it| (it.password_hash, (it.person, it.member)))
        .unzip();
    let right = turn.verify(request.password, hash.clone()).await?;
    match member {
        Some((person, Some(member))) if right && !member.deactivated => {
            attempt.succeeded().await?;
            let told = member.told(origin);
            let second_factor = demand(app, person, code.as_ref(), told).await?;
            let proven = Proven {
                by: By::Password(hash.unwrap_or_default()),
                second_factor,
            };
            let who = (member.id, proven);
            Ok(response(
                signed_in::sign_in(app, METHOD, who, origin).await?,
            ))
        }
        other => {
            attempt.failed().await?;
            if let Some((_, Some(member))) = other {
                tell(app.clone(), member, origin.clone());
            }
            Err(Error::ProofInvalid {
                description: REFUSED,
            })
        }
    }
}

fn response(signed: Signed) -> SignInResponse {
    SignInResponse {
        session: Some(signed.session),
        member: Some(signed.member),
        secret: signed.secret.expose().to_owned(),
    }
}

/// The e-mail address and the code, of a request that is sound.
fn checked(request: &SignInRequest) -> Result<(String, Option<Code>), Error> {
    let mut violations = Violations::default();
    password_again::check(&mut violations, &request.password);
    let email = violations.take(email::parse("email", &request.email))?;
    if !request.organization.is_empty() {
        violations.extend(check_slug("organization", &request.organization))?;
    }
    let code = Code::given("second_factor_code", &request.second_factor_code);
    let code = violations.take(code)?;
    violations.finish()?;
    Ok((email.unwrap_or_default(), code.flatten()))
}

/// Finds a person, with what they are in the organization of that key, or in the one that they
/// joined first of those that let them in.
async fn find(app: &App, email: &str, organization: &str) -> Result<Option<Found>, Error> {
    let row = sqlx::query!(
        r#"select p.id as person, p.password_hash as "password_hash!", m.id as "member?",
                  m.organization_id as "organization?",
                  m.deactivated as "deactivated?"
           from people p
           left join (members m join organizations o on o.id = m.organization_id)
               on m.person_id = p.id and ($2 = '' or o.key = $2)
           where p.email = $1 and p.organization_id is null
           order by m.deactivated, m.created_at, m.id limit 1"#,
        email,
        organization,
    )
    .fetch_optional(&app.pools.authentication)
    .await?;
    Ok(row.map(|row| {
        let known = row.member.zip(row.organization).zip(row.deactivated);
        Found {
            person: row.person,
            password_hash: row.password_hash,
            member: known.map(|((id, organization), deactivated)| Membership {
                id,
                organization,
                deactivated,
            }),
        }
    }))
}

impl Membership {
    fn told<'a>(&self, origin: &'a Origin) -> Told<'a> {
        Told {
            organization: self.organization,
            member: MemberName { uid: self.id },
            method: METHOD,
            origin,
        }
    }
}

/// Tells the audit log that somebody could not sign in as a member. Nobody waits for it, or the
/// time that the answer takes would tell members from strangers.
fn tell(app: App, member: Membership, origin: Origin) {
    tokio::spawn(async move {
        let told = async {
            let mut connection = app.pools.write.acquire().await?;
            let told = member.told(&origin);
            told.tell_refused(&mut connection, "signIn", json!({}))
                .await
        };
        if let Err(error) = told.await {
            tracing::warn!(?error, "the audit log was not told of a refused sign-in");
        }
    });
}
