//! How often somebody may call: so that one caller, by mistake or on purpose, takes
//! nothing from the others. Counted in this process alone, in bounded memory.
//!
//! Whoever has a good credential is counted by it, and by the account behind it.
//! Everybody else is counted by their address, before anything is looked up for them;
//! credentials that were good lately are looked up even so, so that whoever guesses
//! keeps nobody out who shares their address. A client key is public, and counted by
//! the address that uses it, too.

mod attempt;
mod buckets;
mod rate;
mod refusals;

use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use burgee_proto::types::v1::{AccessKeyKind, ErrorReason};
use tokio::time::Instant;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use self::attempt::Known;
use self::buckets::Buckets;
use self::refusals::Refusals;
use crate::keys::KeyHash;
use crate::refused::{ERROR_DOMAIN, reason_name};

pub use self::attempt::Attempt;
pub use self::rate::{MalformedRate, Rate};

/// What an operator allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Calls with one credential of the control plane.
    pub credential: Rate,
    /// Calls of one person or service account there, whatever their credentials.
    pub account: Rate,
    /// Calls without a good credential from one address.
    pub address: Rate,
    /// Calls with one server, relay or test key.
    pub server_key: Rate,
    /// Calls with one client key.
    pub client_key: Rate,
    /// Calls with one client key from one address.
    pub client_address: Rate,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// See [`Rates::credential`].
    Credential,
    /// See [`Rates::account`].
    Account,
    /// See [`Rates::address`].
    Address,
    /// See [`Rates::server_key`].
    ServerKey,
    /// See [`Rates::client_key`].
    ClientKey,
    /// See [`Rates::client_address`].
    ClientAddress,
}

/// A call that comes too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    limit: Limit,
    rate: Rate,
    retry_after: Duration,
}

/// Who has called how often lately. Cheap to clone; all clones count together.
#[derive(Clone, Debug)]
pub struct Limits(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    credential: Buckets,
    account: Buckets,
    address: Buckets,
    server_key: Buckets,
    client_key: Buckets,
    client_address: Buckets,
    known: Known,
    refusals: Refusals,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            credential: Rate::per_second(500),
            account: Rate::per_second(1_000),
            address: Rate::new(50, 1_000),
            server_key: Rate::per_second(100_000),
            client_key: Rate::per_second(10_000),
            client_address: Rate::per_second(100),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(Rates::default())
    }
}

impl Limit {
    /// What the operator's option is called, and callers are told.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Credential => "credential_rate",
            Self::Account => "account_rate",
            Self::Address => "address_rate",
            Self::ServerKey => "server_key_rate",
            Self::ClientKey => "client_key_rate",
            Self::ClientAddress => "client_address_rate",
        }
    }

    fn subject(self) -> &'static str {
        match self {
            Self::Credential => "this credential",
            Self::Account => "this account",
            Self::Address => "this address, without a good credential",
            Self::ServerKey | Self::ClientKey => "this key",
            Self::ClientAddress => "this key from this address",
        }
    }
}

impl Limits {
    /// Nobody has called yet.
    #[must_use]
    pub fn new(rates: Rates) -> Self {
        let began = Instant::now();
        let buckets = |rate| Buckets::new(rate, began);
        Self(Arc::new(Counted {
            credential: buckets(rates.credential),
            account: buckets(rates.account),
            address: buckets(rates.address),
            server_key: buckets(rates.server_key),
            client_key: buckets(rates.client_key),
            client_address: buckets(rates.client_address),
            known: Known::default(),
            refusals: Refusals::default(),
        }))
    }

    /// Counts a call of somebody who shows no credential, or one that cannot be good.
    /// Addresses are [those of sites](crate::HubConfig::caller_site).
    ///
    /// # Errors
    ///
    /// [`Exceeded`]: the address has called too often.
    pub fn stranger(&self, address: Option<IpAddr>) -> Result<(), Exceeded> {
        match address {
            Some(address) => self.take(Limit::Address, address, Some(address)),
            None => Ok(()),
        }
    }

    /// Counts a call with a credential of the control plane that is good.
    ///
    /// # Errors
    ///
    /// [`Exceeded`]: too often with this credential, or by this account.
    pub fn call(&self, credential: &KeyHash, account: impl Hash) -> Result<(), Exceeded> {
        self.take(Limit::Credential, credential, None)?;
        self.take(Limit::Account, account, None)
    }

    /// Counts a call with a key of the data plane that is good.
    ///
    /// # Errors
    ///
    /// [`Exceeded`]: too often with this key, or from where it is used.
    pub(crate) fn key_call(
        &self,
        kind: AccessKeyKind,
        key: &KeyHash,
        address: Option<IpAddr>,
    ) -> Result<(), Exceeded> {
        if kind != AccessKeyKind::Client {
            return self.take(Limit::ServerKey, key, None);
        }
        // First, so that what one address is refused is not taken from the others.
        if let Some(address) = address {
            self.take(Limit::ClientAddress, (key, address), Some(address))?;
        }
        self.take(Limit::ClientKey, key, None)
    }

    /// Counts a call of somebody, who is told in the log by an address alone.
    fn take(&self, limit: Limit, who: impl Hash, address: Option<IpAddr>) -> Result<(), Exceeded> {
        let now = Instant::now();
        let buckets = self.buckets(limit);
        buckets.take(who, now).map_err(|retry_after| {
            self.0.refusals.note(limit, address, now);
            Exceeded {
                limit,
                rate: buckets.rate(),
                retry_after,
            }
        })
    }

    fn buckets(&self, limit: Limit) -> &Buckets {
        let counted = &self.0;
        match limit {
            Limit::Credential => &counted.credential,
            Limit::Account => &counted.account,
            Limit::Address => &counted.address,
            Limit::ServerKey => &counted.server_key,
            Limit::ClientKey => &counted.client_key,
            Limit::ClientAddress => &counted.client_address,
        }
    }
}

impl Exceeded {
    /// What was counted.
    #[must_use]
    pub fn limit(&self) -> Limit {
        self.limit
    }

    /// When one more call is allowed.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        self.retry_after
    }
}

impl From<Exceeded> for Status {
    fn from(exceeded: Exceeded) -> Self {
        let Exceeded {
            limit,
            rate,
            retry_after,
        } = exceeded;
        let message = format!(
            "too many calls with {}: {} a second are served; try again in {} ms",
            limit.subject(),
            rate.calls_a_second(),
            retry_after.as_millis() + 1,
        );
        let mut details = ErrorDetails::new();
        details.set_retry_info(Some(retry_after));
        details.add_quota_failure_violation(limit.subject(), message.clone());
        let metadata = [
            ("limit", limit.name().to_owned()),
            ("maximum", rate.calls_a_second().to_string()),
        ];
        let metadata = metadata.map(|(key, value)| (key.to_owned(), value));
        let reason = reason_name(ErrorReason::ResourceExhausted);
        details.set_error_info(reason, ERROR_DOMAIN, metadata);
        Self::with_error_details(Code::ResourceExhausted, message, details)
    }
}

#[cfg(test)]
mod tests;
