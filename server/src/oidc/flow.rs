//! A sign-in from its beginning to its completion, tied to one browser.
//!
//! The browser keeps one secret, and the database its hash. `state`, the nonce and PKCE's
//! verifier are made from the secret, each in its own way, so that no two parts of different
//! flows ever fit together, and whoever reads the database can make none of them.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use burgee_hub::credential::{self, Kind, Secret};
use burgee_runtime::addresses::site;
use hmac::{Hmac, KeyInit as _, Mac as _};
use openidconnect::{CsrfToken, Nonce, PkceCodeVerifier};
use sha2::Sha256;
use sqlx::PgPool;
use sqlx::types::time::OffsetDateTime;
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use crate::access::Origin;
use crate::error::Error;
use crate::random;

/// How long a sign-in may take, in seconds.
pub const LIFETIME_SECONDS: i32 = 10 * 60;
/// The most flows of one provider that can be completed.
const FLOWS_OF_PROVIDER_MAX: i64 = 20_000;
/// The most that one address, or one IPv6 customer, has begun.
const FLOWS_OF_ADDRESS_MAX: i64 = 200;
/// When it is worth to try again where there are too many.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// What is wrong with a flow, whatever it is.
pub const FLOW_INVALID: &str =
    "the sign-in was not begun here, was completed before, or took too long; begin again";

/// A sign-in under way, as its browser knows it.
#[derive(Debug, Clone)]
pub struct Flow(String);

/// What is made from the secret.
#[derive(Debug, Clone, Copy)]
enum Part {
    State,
    Nonce,
    Verifier,
}

impl Flow {
    /// A new one, with the secret that the browser is to keep.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn generate() -> Result<(Self, Secret), Error> {
        let secret = credential::generate(Kind::Flow, random::bytes()?);
        Ok((Self(secret.expose().to_owned()), secret))
    }

    /// The one that a browser kept the secret of.
    ///
    /// # Errors
    /// [`Error::ProofInvalid`].
    pub fn parse(secret: &str) -> Result<Self, Error> {
        match credential::parse(secret) {
            Ok(Kind::Flow) => Ok(Self(secret.to_owned())),
            _ => Err(invalid()),
        }
    }

    /// What comes back in the redirect.
    pub fn state(&self) -> CsrfToken {
        CsrfToken::new(self.part(Part::State))
    }

    /// What comes back in the ID token.
    #[must_use]
    pub fn nonce(&self) -> Nonce {
        Nonce::new(self.part(Part::Nonce))
    }

    /// What proves to the provider that the code comes back from where it was asked for.
    #[must_use]
    pub fn verifier(&self) -> PkceCodeVerifier {
        PkceCodeVerifier::new(self.part(Part::Verifier))
    }

    /// Whether a redirect belongs to this flow.
    ///
    /// # Errors
    /// [`Error::ProofInvalid`].
    pub fn check_state(&self, state: &str) -> Result<(), Error> {
        let own = self.part(Part::State);
        match bool::from(own.as_bytes().ct_eq(state.as_bytes())) {
            true => Ok(()),
            false => Err(invalid()),
        }
    }

    /// Writes down that it was begun; gives its end.
    ///
    /// # Errors
    /// [`Error::Exhausted`] where too many were begun and not completed.
    pub async fn begin(
        &self,
        pool: &PgPool,
        provider: Uuid,
        origin: &Origin,
    ) -> Result<OffsetDateTime, Error> {
        let hash = self.hash();
        let address = origin.address.map(|address| site(address).to_string());
        let expires_at = sqlx::query_scalar!(
            "insert into sign_in_flows (hash, identity_provider_id, address, expires_at)
             select $1, $2, $3, clock_timestamp() + make_interval(secs => $4)
             where (select count(*) from sign_in_flows
                    where identity_provider_id = $2 and expires_at > clock_timestamp()) < $5
               and (select count(*) from sign_in_flows
                    where address = $3 and expires_at > clock_timestamp()) < $6
             returning expires_at",
            hash.as_slice(),
            provider,
            address.unwrap_or_default(),
            f64::from(LIFETIME_SECONDS),
            FLOWS_OF_PROVIDER_MAX,
            FLOWS_OF_ADDRESS_MAX,
        )
        .fetch_optional(pool)
        .await?;
        expires_at.ok_or_else(|| Error::Exhausted {
            description: "too many sign-ins were begun and not completed".to_owned(),
            retry_after: RETRY_AFTER,
        })
    }

    /// Takes it away, so that nobody completes it again; gives its provider and organization.
    ///
    /// # Errors
    /// [`Error::ProofInvalid`] if it was not begun, is completed, or took too long.
    pub async fn take(&self, pool: &PgPool) -> Result<(Uuid, Uuid), Error> {
        let hash = self.hash();
        let taken = sqlx::query!(
            "delete from sign_in_flows f
             using identity_providers p
             where f.hash = $1 and p.id = f.identity_provider_id
               and f.expires_at > clock_timestamp() and not p.disabled
             returning p.id, p.organization_id",
            hash.as_slice(),
        )
        .fetch_optional(pool)
        .await?;
        let taken = taken.ok_or_else(invalid)?;
        Ok((taken.organization_id, taken.id))
    }

    fn hash(&self) -> [u8; 32] {
        credential::hash(&self.0)
    }

    fn part(&self, part: Part) -> String {
        let label: &[u8] = match part {
            Part::State => b"burgee sign-in state",
            Part::Nonce => b"burgee sign-in nonce",
            Part::Verifier => b"burgee sign-in verifier",
        };
        // Any length is a key.
        let mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes());
        let digest = mac.map(|mac| mac.chain_update(label).finalize().into_bytes());
        digest.map_or_else(|_| String::new(), |bytes| URL_SAFE_NO_PAD.encode(bytes))
    }
}

fn invalid() -> Error {
    Error::ProofInvalid {
        description: FLOW_INVALID,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_parts_follow_from_the_secret_and_not_from_each_other() {
        let (flow, secret) = Flow::generate().unwrap();
        let again = Flow::parse(secret.expose()).unwrap();
        let parts = |flow: &Flow| {
            let (state, nonce) = (flow.state(), flow.nonce());
            let verifier = flow.verifier();
            [state.secret(), nonce.secret(), verifier.secret()].map(ToOwned::to_owned)
        };
        assert_eq!(parts(&flow), parts(&again));
        let (other, _) = Flow::generate().unwrap();
        let all: BTreeSet<_> = parts(&flow).into_iter().chain(parts(&other)).collect();
        assert_eq!(all.len(), 6);
        assert!(all.iter().all(|part| part.len() == 43), "256 bits: {all:?}");
        flow.check_state(&parts(&flow)[0]).unwrap();
        for state in [&parts(&other)[0], &parts(&flow)[1], ""] {
            flow.check_state(state).unwrap_err();
        }
    }

    #[test]
    fn what_is_no_secret_of_a_flow_begins_none() {
        let link = credential::generate(Kind::Link, [7; 32]);
        for text in ["", "burgee_flw_", link.expose()] {
            Flow::parse(text).unwrap_err();
        }
    }
}
