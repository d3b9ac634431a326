//! CompleteOidcSignIn: whoever came back from their identity provider, for a session.

use burgee_proto::admin::v1::{
    CompleteOidcSignInRequest, CompleteOidcSignInResponse, IdentityProvider,
};
use serde_json::json;
use uuid::Uuid;

use super::begin_oidc_sign_in::registration;
use super::signed_in;
use crate::access::{Origin, vouch};
use crate::app::App;
use crate::audit::append::{Event, append};
use crate::change;
use crate::error::Error;
use crate::identity_providers::{self, Which};
use crate::members::arrival::Arrival;
use crate::names::MemberName;
use crate::oidc::Oidc;
use crate::oidc::claims::Person;
use crate::oidc::exchange::{Failed, Registration};
use crate::oidc::flow::{FLOW_INVALID, Flow};
use crate::sessions::{By, Proven};
use crate::stored::Stored;
use crate::texts::Violations;

const METHOD: &str = "/burgee.admin.v1.AuthService/CompleteOidcSignIn";
/// The longest code, state or issuer, in bytes.
const PARAMETER_MAX: usize = 4_096;
/// For a code that the provider does not take.
const CODE_REFUSED: &str = "the identity provider does not take the code; begin again";
/// For what the provider says, if that is not to be believed.
const TOKEN_REFUSED: &str = "what the identity provider says cannot be verified; begin again, and \
                             tell an owner if it stays so";
/// For a redirect that another provider answered.
const MIXED_UP: &str = "another issuer answered than the one that was asked; begin again";

/// Completes a sign-in, once.
///
/// # Errors
/// [`Error::Invalid`], [`Error::ProofInvalid`], and what is wrong with the provider.
pub(super) async fn complete_oidc_sign_in(
    app: &App,
    oidc: &Oidc,
    origin: &Origin,
    request: CompleteOidcSignInRequest,
) -> Result<CompleteOidcSignInResponse, Error> {
    check(&request)?;
    let flow = Flow::parse(&request.flow_secret)?;
    // Before the flow is used up: whoever guesses ends nobody's.
    flow.check_state(&request.state)?;
    let (organization, id) = flow.take(&app.pools.write).await?;
    let (provider, registration) = registered(app, organization, id).await?;
    let answer = (request.code, request.issuer.as_str());
    let person = oidc.person(&registration, &flow, answer).await;
    let person = person.map_err(|failed| told(failed, &provider.message))?;
    let name = MemberName {
        uid: Uuid::now_v7(),
    };
    let arrived = match person.admitted_by(&provider.message) {
        Ok(email) => arrive(app, origin, (&provider, organization, name), &person, email).await,
        Err(refused) => Err(Error::ProofInvalid {
            description: refused.description(),
        }),
    };
    let (member, identity) = match arrived {
        Ok(arrived) => arrived,
        Err(refused) => {
            if let Error::ProofInvalid { description } = &refused {
                let who = (&provider, organization);
                tell_refused(app, origin, who, &person, description).await?;
            }
            return Err(refused);
        }
    };
    let proven = Proven {
        by: By::Identity(identity),
        second_factor: false,
    };
    let signed = signed_in::sign_in(app, METHOD, (member, proven), origin).await?;
    Ok(CompleteOidcSignInResponse {
        session: Some(signed.session),
        member: Some(signed.member),
        secret: signed.secret.expose().to_owned(),
    })
}

fn check(request: &CompleteOidcSignInRequest) -> Result<(), Error> {
    let mut violations = Violations::default();
    for (field, text) in [("code", &request.code), ("state", &request.state)] {
        let good = (1..=PARAMETER_MAX).contains(&text.len());
        violations.require(good, field, "give it as it stands in the redirect");
    }
    violations.text("issuer", &request.issuer, PARAMETER_MAX);
    violations.finish()
}

/// The provider, as it is, and what Burgee is to it.
async fn registered(
    app: &App,
    organization: Uuid,
    id: Uuid,
) -> Result<(Stored<IdentityProvider>, Registration), Error> {
    let mut connection = app.pools.authentication.acquire().await?;
    let which = Which::Uid(id);
    let provider = identity_providers::find(&mut connection, organization, which).await?;
    // It was deleted a moment ago.
    let provider = provider.ok_or(Error::ProofInvalid {
        description: FLOW_INVALID,
    })?;
    let place = (organization, id);
    let registration = Registration {
        client_secret: identity_providers::open(app, &mut connection, place).await?,
        ..registration(&provider.message)
    };
    Ok((provider, registration))
}

/// What went wrong, as whoever signs in is told; what a token says is for the log.
fn told(failed: Failed, provider: &IdentityProvider) -> Error {
    let name = identity_providers::name_of(provider).to_string();
    let description = match failed {
        Failed::Provider(problem) => return problem.told_of(&name),
        Failed::MixedUp => MIXED_UP,
        Failed::CodeRefused => CODE_REFUSED,
        Failed::TokenRefused(why) => {
            tracing::warn!(provider = name, why, "an ID token was refused");
            TOKEN_REFUSED
        }
    };
    Error::ProofInvalid { description }
}

/// Lets them in, as a member that they are or become; gives the member and the identity.
async fn arrive(
    app: &App,
    origin: &Origin,
    (provider, organization, name): (&Stored<IdentityProvider>, Uuid, MemberName),
    person: &Person,
    email: String,
) -> Result<(Uuid, Uuid), Error> {
    let known = known(app, (provider, organization), person).await?;
    let actor = known.unwrap_or(name).to_string();
    let arrival = Arrival {
        provider: provider.id.to_string(),
        etag: provider.etag(),
        issuer: provider.message.issuer.clone(),
        subject: person.subject.clone(),
        display_name: person.display_name(&email),
        email,
        groups: person.groups.clone().unwrap_or_default(),
        member: name.to_string(),
    };
    let authorized = vouch(organization, &actor, METHOD).calling_from(origin.clone());
    let arrived = change::perform(app, authorized, arrival).await?;
    let member = MemberName::parse("member", &arrived.member)?;
    let identity = Uuid::parse_str(&arrived.identity).map_err(Error::internal)?;
    Ok((member.uid, identity))
}

/// The member whom the provider knows by this subject, or else the one with the address.
async fn known(
    app: &App,
    (provider, organization): (&Stored<IdentityProvider>, Uuid),
    person: &Person,
) -> Result<Option<MemberName>, Error> {
    let email = person.email.as_ref().map(|(email, _)| email.to_lowercase());
    let member = sqlx::query_scalar!(
        "select m.id from members m
         join people p on p.id = m.person_id
         left join identities i on i.member_id = m.id and i.identity_provider_id = $1
             and i.issuer = $2 and i.subject = $3
         where m.organization_id = $4 and (i.id is not null or p.email = $5)
         order by i.id nulls last limit 1",
        provider.id,
        provider.message.issuer,
        person.subject,
        organization,
        email,
    )
    .fetch_optional(&app.pools.authentication)
    .await?;
    Ok(member.map(|uid| MemberName { uid }))
}

/// Tells the audit log that a member could not sign in, or somebody in their name. Of others it
/// knows nothing.
async fn tell_refused(
    app: &App,
    origin: &Origin,
    (provider, organization): (&Stored<IdentityProvider>, Uuid),
    person: &Person,
    why: &str,
) -> Result<(), Error> {
    let Some(member) = known(app, (provider, organization), person).await? else {
        return Ok(());
    };
    let member = member.to_string();
    let name = identity_providers::name_of(&provider.message).to_string();
    let event = Event {
        organization,
        actor: &member,
        method: METHOD,
        resource: &member,
        part: "signIn",
        detail: json!({"identityProvider": name, "refused": why}),
        origin,
        denied: true,
    };
    let mut connection = app.pools.write.acquire().await?;
    append(&mut connection, event).await
}
