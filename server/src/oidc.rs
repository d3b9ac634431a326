//! Signing in with an identity provider: OpenID Connect's authorization code flow with PKCE.
//!
//! Who may be hostile here, and what keeps them from more than is theirs:
//!
//! - **A stranger's page** makes a browser complete a sign-in that somebody else began, so that
//!   its user works in another's account unknowingly. A flow is tied to the browser that began
//!   it by a secret ([`flow`]), from which `state`, the nonce and PKCE's verifier follow.
//! - **Whoever sees a code** (a log, a history, another provider whom a user was led to) gives it
//!   to Burgee or to the provider. The verifier is missing; a flow is used once; it belongs to
//!   one provider, and a code goes to no other. If the provider says who it is in the redirect
//!   (RFC 9207), that must be true.
//! - **Whoever makes ID tokens** signs with nothing, with a public key as a shared secret, with
//!   another key, for another client. [`exchange`] takes signatures by the provider's public keys
//!   alone, and tokens of its issuer, for this client, this flow and this minute.
//! - **An owner of one organization** runs an issuer of their own, and lets it say that they are
//!   an owner of another. An identity belongs to a *member*, a person in the one organization
//!   whose provider it is; it is matched with members of that organization alone; a session that
//!   comes of it opens that organization alone, and shows and ends nothing of the person's
//!   elsewhere ([`crate::access::Session`]). People whom a provider brought are persons of that
//!   organization: an invitation to another one makes another person, with a password of their
//!   own, even if the address is the same.
//! - **An identity provider** is away, slow, enormous, or leads elsewhere: see
//!   [`crate::outbound`], and [`directory`], which asks seldom however often it is asked.
//!
//! What is left to trust: whoever controls the provider of an organization can be any of its
//! members whose address is in a domain that the provider is set up for. So only those who may do
//! everything set one up.

pub mod claims;
pub mod directory;
pub mod exchange;
pub mod flow;
pub mod options;

use std::fmt;
use std::sync::Arc;

use burgee_proto::types::v1::ErrorReason;
use openidconnect::RedirectUrl;

use crate::error::Error;
use crate::outbound::{Outbound, Refusal};
use directory::Directory;

/// What signing in with identity providers needs. Cheap to clone.
#[derive(Clone)]
pub struct Oidc {
    /// Where providers send people back to.
    pub redirect_uri: Arc<RedirectUrl>,
    directory: Directory,
    outbound: Outbound,
}

impl Oidc {
    /// For people whom providers send back to `redirect_uri`.
    #[must_use]
    pub fn new(outbound: Outbound, redirect_uri: RedirectUrl) -> Self {
        Self {
            redirect_uri: Arc::new(redirect_uri),
            directory: Directory::new(outbound.clone()),
            outbound,
        }
    }
}

/// What was asked of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Its configuration.
    Configuration,
    /// The keys that it signs with.
    Keys,
    /// Its token endpoint.
    Tokens,
    /// What it says of somebody.
    UserInfo,
}

/// Why there is no answer, or none that can be used. Says nothing of what was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// It was not called, or has no answer.
    #[error("{0}")]
    Refused(Refusal),
    /// It answered with another status.
    #[error("answered with status {0}")]
    Status(u16),
    /// It is not what was asked for.
    #[error("answered with something else")]
    NotUnderstood,
    /// It is of another issuer.
    #[error("names another issuer: give it exactly as it is spelled there")]
    OtherIssuer,
    /// The configuration does not say where it is.
    #[error("is not named by its configuration")]
    Missing,
    /// It signs in no way that is trusted.
    #[error("lists no signature algorithm that is trusted, such as RS256 or ES256")]
    Algorithms,
    /// It would send people to what is no page of a provider.
    #[error("names an authorization endpoint that is no https:// URL")]
    NoPage,
    /// It does not know Burgee by this client id and secret.
    #[error("does not accept this client id with this secret")]
    Client,
}

/// What is wrong with a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Problem {
    asked: Asked,
    why: Why,
}

impl Problem {
    fn is_passing(self) -> bool {
        match self.why {
            Why::Refused(refusal) => refusal.is_passing(),
            Why::Status(status) => status >= 500 || status == 429,
            _ => false,
        }
    }

    /// As callers are told, of the provider of this name.
    #[must_use]
    pub fn told_of(self, provider: &str) -> Error {
        let description = format!("{provider}: {self}");
        match self.is_passing() {
            true => Error::Unavailable {
                reason: ErrorReason::IdentityProviderUnavailable,
                cause: description,
            },
            false => {
                let reason = ErrorReason::IdentityProviderUnusable;
                Error::precondition(reason, provider, description)
            }
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Configuration => "the issuer's configuration",
            Self::Keys => "the issuer's key set",
            Self::Tokens => "the issuer's token endpoint",
            Self::UserInfo => "the issuer's user info endpoint",
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked, why } = self;
        write!(formatter, "{asked} {why}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_worth_another_try_and_the_rest_is_a_matter_of_setting_up() {
        let told = |why| {
            let asked = Asked::Configuration;
            Problem { asked, why }.told_of("identityProviders/sso")
        };
        for why in [
            Why::Refused(Refusal::TimedOut),
            Why::Refused(Refusal::Unreachable),
            Why::Status(503),
        ] {
            assert!(matches!(told(why), Error::Unavailable { .. }), "{why:?}");
        }
        for why in [
            Why::Refused(Refusal::Redirected),
            Why::Refused(Refusal::Forbidden),
            Why::Status(404),
            Why::OtherIssuer,
        ] {
            let Error::Precondition { description, .. } = told(why) else {
                panic!("{why:?}")
            };
            assert!(description.contains("the issuer's configuration"));
        }
    }
}
