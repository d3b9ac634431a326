//! A credential that is about to be looked up. It may be anybody's guess, so the
//! address pays, and has it back if the credential is good.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Exceeded, Limit, Limits};
use crate::keys::KeyHash;

/// The most credentials that are remembered to have been good.
const KNOWN_MAX: usize = 65_536;
/// One that was not used for so long makes room.
const KNOWN_IDLE: Duration = Duration::from_secs(60 * 60);

/// A look-up of a credential. What becomes of it is told by one of its methods; if the
/// caller goes away instead, it counts as bad.
#[derive(Debug)]
#[must_use = "the address has paid until the outcome is told"]
pub struct Attempt<'a> {
    limits: &'a Limits,
    credential: KeyHash,
    address: Option<IpAddr>,
    known: bool,
}

/// Credentials that were good when they were last looked up.
#[derive(Debug, Default)]
pub(super) struct Known {
    state: RandomState,
    seen_at: Mutex<HashMap<u64, Instant>>,
}

impl Limits {
    /// Begins to look up a credential for somebody at an address.
    ///
    /// # Errors
    ///
    /// [`Exceeded`]: the address has tried too many, and this one was not good lately.
    pub fn attempt(
        &self,
        address: Option<IpAddr>,
        credential: &KeyHash,
    ) -> Result<Attempt<'_>, Exceeded> {
        let known = self.0.known.contains(credential);
        if !known {
            self.stranger(address)?;
        }
        Ok(Attempt {
            limits: self,
            credential: *credential,
            address,
            known,
        })
    }
}

impl Attempt<'_> {
    /// The credential is good.
    pub fn good(self) {
        self.limits.0.known.insert(&self.credential, Instant::now());
        self.undecided();
    }

    /// Nobody can say now whether it is good.
    pub fn undecided(self) {
        if let (Some(address), false) = (self.address, self.known) {
            let buckets = self.limits.buckets(Limit::Address);
            buckets.give_back(address, Instant::now());
        }
    }

    /// It is unknown, revoked or expired.
    pub fn bad(self) {
        if self.known {
            self.limits.0.known.remove(&self.credential);
            // From the next time on the address pays first.
            let _ = self.limits.stranger(self.address);
        }
    }
}

impl Known {
    fn contains(&self, credential: &KeyHash) -> bool {
        self.lock().contains_key(&self.state.hash_one(credential))
    }

    fn insert(&self, credential: &KeyHash, now: Instant) {
        let key = self.state.hash_one(credential);
        let mut seen_at = self.lock();
        if seen_at.len() >= KNOWN_MAX && !seen_at.contains_key(&key) {
            seen_at.retain(|_, seen| now.saturating_duration_since(*seen) < KNOWN_IDLE);
        }
        // Without room it pays each time, as any stranger.
        if seen_at.len() < KNOWN_MAX {
            seen_at.insert(key, now);
        }
    }

    fn remove(&self, credential: &KeyHash) {
        self.lock().remove(&self.state.hash_one(credential));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Instant>> {
        self.seen_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
