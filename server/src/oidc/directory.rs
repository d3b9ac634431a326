//! What issuers say of themselves: their configuration and the keys that they sign with.
//!
//! Strangers make the server ask an issuer by beginning to sign in, so it is asked seldom however
//! often they do: what it says is kept for a while, a failure for a moment, and of many who want
//! to know the same, one asks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::ACCEPT;
use http::{Request, StatusCode};
use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType,
    CoreJsonWebKey, CoreJsonWebKeySet, CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm, CoreResponseMode, CoreResponseType, CoreSubjectIdentifierType,
};
use openidconnect::{AdditionalProviderMetadata, ProviderMetadata};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::MutexGuard;
use tokio::time::Instant;

use super::{Asked, Problem, Why, exchange};
use crate::outbound::{Outbound, Refusal};

/// Where an issuer's configuration is, below it.
const CONFIGURATION_PATH: &str = "/.well-known/openid-configuration";
/// How long what an issuer says is good.
const AGE_MAX: Duration = Duration::from_secs(60 * 60);
/// How long a failure is.
const FAILURE_AGE_MAX: Duration = Duration::from_secs(5);
/// How long keys are kept that lack the one that is looked for.
const KEYS_AGE_MIN: Duration = Duration::from_secs(5);
/// How long somebody waits while another asks. An issuer that is slow to answer must not hold up
/// calls without number.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// The most issuers that are kept in mind.
const ISSUERS_MAX: usize = 1_000;

/// What an issuer says of itself.
pub type Metadata = ProviderMetadata<
    MoreMetadata,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// What it says beside what OpenID Connect knows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct MoreMetadata {
    /// It says who it is when it sends people back (RFC 9207).
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for MoreMetadata {}

/// An issuer, as it was a moment ago.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// What it says of itself.
    pub metadata: Arc<Metadata>,
    /// What it signs with.
    pub keys: Arc<CoreJsonWebKeySet>,
    read: Instant,
    keys_read: Instant,
}

/// Knows issuers. Cheap to clone.
#[derive(Clone)]
pub struct Directory {
    outbound: Outbound,
    issuers: Arc<Mutex<HashMap<String, Arc<Slot>>>>,
}

/// One issuer. Whoever asks it holds the lock.
#[derive(Default)]
struct Slot(tokio::sync::Mutex<Held>);

impl Slot {
    async fn held(&self, asked: Asked) -> Result<MutexGuard<'_, Held>, Problem> {
        let held = tokio::time::timeout(WAIT_MAX, self.0.lock()).await;
        held.map_err(|_| Problem {
            asked,
            why: Why::Refused(Refusal::TimedOut),
        })
    }
}

#[derive(Default)]
struct Held {
    known: Option<Issuer>,
    failed: Option<(Instant, Problem)>,
}

impl Directory {
    /// Over these calls.
    #[must_use]
    pub fn new(outbound: Outbound) -> Self {
        Self {
            outbound,
            issuers: Arc::default(),
        }
    }

    /// What an issuer says, now or within the last hour.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn issuer(&self, issuer: &str) -> Result<Issuer, Problem> {
        let slot = self.slot(issuer);
        let mut held = slot.held(Asked::Configuration).await?;
        let known = held.known.as_ref();
        if let Some(known) = known.filter(|known| known.read.elapsed() < AGE_MAX) {
            return Ok(known.clone());
        }
        held.recall_failure()?;
        let read = self.read(issuer).await;
        held.keep(read)
    }

    /// As [`Directory::issuer`], with keys that are newer than those of `lacking`, which lack
    /// one; with the same, if these were read a moment ago.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn with_newer_keys(&self, issuer: &str, lacking: &Issuer) -> Result<Issuer, Problem> {
        let slot = self.slot(issuer);
        let mut held = slot.held(Asked::Keys).await?;
        let newest = held.known.clone().unwrap_or_else(|| lacking.clone());
        // Another may have been here first.
        let is_newer = newest.keys_read > lacking.keys_read;
        if is_newer || newest.keys_read.elapsed() < KEYS_AGE_MIN {
            return Ok(newest);
        }
        held.recall_failure()?;
        let keys = self.keys(&newest.metadata).await;
        let read = keys.map(|keys| Issuer {
            keys: Arc::new(keys),
            keys_read: Instant::now(),
            ..newest
        });
        held.keep(read)
    }

    fn slot(&self, issuer: &str) -> Arc<Slot> {
        let mut issuers = self.issuers.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever sets up many makes it forget, and not grow.
        if issuers.len() >= ISSUERS_MAX && !issuers.contains_key(issuer) {
            issuers.clear();
        }
        issuers.entry(issuer.to_owned()).or_default().clone()
    }

    async fn read(&self, issuer: &str) -> Result<Issuer, Problem> {
        let url = format!("{}{CONFIGURATION_PATH}", issuer.trim_end_matches('/'));
        let metadata: Metadata = self.fetch(Asked::Configuration, &url).await?;
        if metadata.issuer().as_str() != issuer {
            let (asked, why) = (Asked::Configuration, Why::OtherIssuer);
            return Err(Problem { asked, why });
        }
        self.check_page(&metadata)?;
        exchange::algorithms(&metadata)?;
        let keys = self.keys(&metadata).await?;
        let now = Instant::now();
        Ok(Issuer {
            metadata: Arc::new(metadata),
            keys: Arc::new(keys),
            read: now,
            keys_read: now,
        })
    }

    /// Refuses to send people to what a page would take for something of its own, such as
    /// `javascript:`. Where they go is theirs to reach, be it a network that is private.
    fn check_page(&self, metadata: &Metadata) -> Result<(), Problem> {
        let page = metadata.authorization_endpoint().url();
        match self.outbound.check(page) {
            Ok(()) | Err(Refusal::Forbidden) => Ok(()),
            Err(_) => Err(Problem {
                asked: Asked::Configuration,
                why: Why::NoPage,
            }),
        }
    }

    async fn keys(&self, metadata: &Metadata) -> Result<CoreJsonWebKeySet, Problem> {
        self.fetch(Asked::Keys, metadata.jwks_uri()).await
    }

    async fn fetch<T: DeserializeOwned>(&self, asked: Asked, url: &str) -> Result<T, Problem> {
        let problem = |why| Problem { asked, why };
        let request = Request::get(url).header(ACCEPT, "application/json");
        let request = request.body(Bytes::new());
        let request = request.map_err(|_| problem(Why::NotUnderstood))?;
        let response = self.outbound.call(request).await;
        let response = response.map_err(|refusal| problem(Why::Refused(refusal)))?;
        if response.status() != StatusCode::OK {
            return Err(problem(Why::Status(response.status().as_u16())));
        }
        let read = serde_json::from_slice(response.body());
        read.map_err(|_| problem(Why::NotUnderstood))
    }
}

impl Held {
    fn recall_failure(&self) -> Result<(), Problem> {
        match self.failed {
            Some((at, problem)) if at.elapsed() < FAILURE_AGE_MAX => Err(problem),
            _ => Ok(()),
        }
    }

    fn keep(&mut self, read: Result<Issuer, Problem>) -> Result<Issuer, Problem> {
        match &read {
            Ok(issuer) => {
                self.known = Some(issuer.clone());
                self.failed = None;
            }
            Err(problem) => self.failed = Some((Instant::now(), *problem)),
        }
        read
    }
}
