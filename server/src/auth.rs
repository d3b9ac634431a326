//! Who is calling: the layer in front of every gRPC service.
//!
//! For methods that take a credential of the control plane it finds whose the
//! caller's is, and puts a [`Caller`] into the request's extensions, from which alone
//! [`crate::access::authorize`] makes a proof. Data-plane methods pass: the hub
//! checks their keys. A method without a row in [`crate::access::METHODS`] does
//! not reach a handler. What a known caller is refused goes to the audit log. Who calls
//! too often, or guesses, is told so before anything is looked up for them.

mod accept_invitation;
mod begin_oidc_sign_in;
mod browser;
mod cache;
mod change_password;
mod complete_oidc_sign_in;
mod cookie;
mod enroll_second_factor;
mod list_sign_in_options;
mod new_password;
mod own_second_factor;
mod own_sessions;
mod password_again;
mod principals;
mod reset_password;
mod second_factor;
pub mod service;
mod sessions;
mod sign_in;
mod signed_in;
mod streams;
mod switch_organization;
mod test_keys;
mod told;
mod uses;
mod who_am_i;

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use burgee_hub::credential::{self, Kind, TEST_KEY_METHODS};
use burgee_hub::reason_name;
use burgee_proto::types::v1::ErrorReason;
use burgee_runtime::ClientAddress;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::access::{self, Caller, Credential, Origin, Principal, Rule, Session};
use crate::audit::denials::Denials;
use crate::error::Error;
use crate::texts::Violations;

pub use browser::admit_cookies;
pub use principals::{Principals, find};
pub use uses::Uses;

/// For a session that was made with an identity provider, where a person must have signed in.
const BOUND: &str = "the session was made with an identity provider, and is good for its \
                     organization alone; sign in with your password";

/// What the audit log says was lacking where it was no permission: a session, or one by a
/// password; and a second factor.
const SESSION: &str = "session";
const SECOND_FACTOR: &str = "secondFactor";

/// Refuses what is no secret of a link, such as the link itself.
fn check_link(violations: &mut Violations, secret: &str) {
    let good = credential::parse(secret) == Ok(Kind::Link);
    let description = "give what follows the # of the link, all of it: burgee_lnk_…";
    violations.require(good, "secret", description);
}

/// The layer, for axum's `from_fn_with_state`. Belongs inside the gRPC-web
/// layer, which turns its statuses into what browsers read.
pub async fn authenticate(
    State((principals, denials)): State<(Principals, Denials)>,
    mut request: Request,
    next: Next,
) -> Response {
    let site = ClientAddress::site_of(request.extensions());
    match recognise(&principals, request.uri().path(), request.headers(), site).await {
        Ok(Recognised::Known(credential, principal, method, rule)) => {
            let caller = Caller {
                principal,
                credential: Some(credential),
                method,
                needs: rule.needs(),
                origin: Origin::of(&request),
            };
            if let Err(error) = check_session(rule, caller.principal.session) {
                denials.note(&caller, SESSION);
                return Status::from(error).into_http();
            }
            request.extensions_mut().insert(caller.clone());
            let response = next.run(request).await;
            if let Some(lacking) = lacking(response.headers()) {
                denials.note(&caller, &lacking);
            }
            let opener = streams::Opener {
                principals,
                credential,
                caller,
            };
            streams::end_with(opener, response)
        }
        Ok(Recognised::Unproven) => {
            let origin = Origin::of(&request);
            request.extensions_mut().insert(origin);
            let response = next.run(request).await;
            let refusal = refusal(response.headers());
            if refusal.is_some_and(|status| status.code() == Code::Unauthenticated) {
                denials.note_anonymous();
            }
            response
        }
        Ok(Recognised::NotOurs) => next.run(request).await,
        Err(status) => {
            if status.code() == Code::Unauthenticated {
                denials.note_anonymous();
            }
            status.into_http()
        }
    }
}

/// What a call was refused with: that is where others have the beginning of their answer.
fn refusal(headers: &HeaderMap) -> Option<Status> {
    Status::from_header_map(headers)
}

/// What a call was refused for want of, by somebody who is known: a permission, or a second
/// factor.
fn lacking(headers: &HeaderMap) -> Option<String> {
    let status = refusal(headers)?;
    let details = status.get_error_details();
    let info = details.error_info()?;
    match status.code() {
        Code::PermissionDenied => info.metadata.get("permission").cloned(),
        _ if info.reason == reason_name(ErrorReason::SecondFactorWanted) => {
            Some(SECOND_FACTOR.to_owned())
        }
        _ => None,
    }
}

/// Who calls.
enum Recognised {
    /// Somebody whom it is not ours to know.
    NotOurs,
    /// Somebody who says in the request who they are. The handler gets their [`Origin`].
    Unproven,
    /// Somebody whose credential is good, who calls this method.
    Known(Credential, Arc<Principal>, &'static str, Rule),
}

async fn recognise(
    principals: &Principals,
    path: &str,
    headers: &HeaderMap,
    site: Option<IpAddr>,
) -> Result<Recognised, Status> {
    let Some((method, rule)) = access::rule(path) else {
        return Err(Status::unimplemented(format!("there is no method {path}")));
    };
    match rule {
        Rule::Public | Rule::DataPlane => Ok(Recognised::NotOurs),
        Rule::Unproven => {
            principals.stranger(site)?;
            Ok(Recognised::Unproven)
        }
        Rule::Known | Rule::Session | Rule::Person | Rule::Permission(..) => {
            let credential = match presented(headers) {
                Ok((Kind::Test, _)) if !TEST_KEY_METHODS.contains(&method) => {
                    Err(Error::CredentialInvalid)
                }
                presented => presented,
            };
            let credential = match credential {
                Ok(credential) => credential,
                Err(error) => {
                    principals.stranger(site)?;
                    return Err(error.into());
                }
            };
            let principal = principals.principal(credential, site).await?;
            Ok(Recognised::Known(credential, principal, method, rule))
        }
    }
}

/// Refuses a session where there must be one, and is none, or one of another kind.
fn check_session(rule: Rule, session: Option<Session>) -> Result<(), Error> {
    match (rule, session) {
        (Rule::Session | Rule::Person, None) => Err(Error::CredentialInvalid),
        (Rule::Person, Some(session)) if session.bound_to.is_some() => {
            Err(Error::ProofInvalid { description: BOUND })
        }
        _ => Ok(()),
    }
}

/// The credential that a request carries.
fn presented(headers: &HeaderMap) -> Result<Credential, Error> {
    let token = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or(Error::CredentialMissing)?;
    match credential::parse(token) {
        Ok(kind @ (Kind::ServiceAccount | Kind::Personal | Kind::Session | Kind::Test)) => {
            Ok((kind, credential::hash(token)))
        }
        Ok(_) => Err(Error::CredentialInvalid),
        Err(_) => Err(Error::CredentialMissing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())])
    }

    #[test]
    fn a_well_formed_credential_is_hashed_whole() {
        for kind in [
            Kind::ServiceAccount,
            Kind::Personal,
            Kind::Session,
            Kind::Test,
        ] {
            let secret = credential::generate(kind, [7; 32]);
            for scheme in ["Bearer", "bearer"] {
                let headers = with(&format!("{scheme} {}", secret.expose()));
                assert_eq!(presented(&headers).unwrap(), (kind, secret.hash()));
            }
        }
    }

    #[test]
    fn without_a_well_formed_credential_it_is_missing() {
        for headers in [
            HeaderMap::new(),
            with("burgee_svc_"),
            with("Bearer x"),
            with("Basic YTpi"),
            with("Bearer"),
        ] {
            assert!(
                matches!(presented(&headers), Err(Error::CredentialMissing)),
                "{headers:?}"
            );
        }
    }

    #[test]
    fn a_credential_for_something_else_is_invalid_here() {
        for kind in [Kind::Server, Kind::Client, Kind::Relay, Kind::Link] {
            let secret = credential::generate(kind, [7; 32]);
            let headers = with(&format!("Bearer {}", secret.expose()));
            assert!(
                matches!(presented(&headers), Err(Error::CredentialInvalid)),
                "{kind:?}"
            );
        }
    }
}
