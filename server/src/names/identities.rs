//! Names of identity providers, and of whom they know.

use std::fmt;

use uuid::Uuid;

use super::{Part, parse, parsed};
use crate::error::Error;

/// `identityProviders/{identity provider}`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdentityProviderName {
    /// The provider's key.
    pub provider: String,
}

/// `identityProviders/{identity provider}/identities/{uid}`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdentityName {
    /// The provider's key.
    pub provider: String,
    /// The identity's uid.
    pub uid: Uuid,
}

impl IdentityProviderName {
    /// Parses `identityProviders/{identity provider}`.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `field`.
    pub fn parse(field: &str, name: &str) -> Result<Self, Error> {
        let [provider] = parse(field, name, [("identityProviders", Part::Slug)])?;
        Ok(Self { provider })
    }

    /// One whom it knows.
    #[must_use]
    pub fn identity(&self, uid: Uuid) -> IdentityName {
        IdentityName {
            provider: self.provider.clone(),
            uid,
        }
    }
}

impl IdentityName {
    /// Parses `identityProviders/{identity provider}/identities/{uid}`.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `field`.
    pub fn parse(field: &str, name: &str) -> Result<Self, Error> {
        let form = [("identityProviders", Part::Slug), ("identities", Part::Uid)];
        let [provider, uid] = parse(field, name, form)?;
        Ok(Self {
            provider,
            uid: parsed(&uid),
        })
    }

    /// Whose it is.
    #[must_use]
    pub fn provider(&self) -> IdentityProviderName {
        IdentityProviderName {
            provider: self.provider.clone(),
        }
    }
}

impl fmt::Display for IdentityProviderName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "identityProviders/{}", self.provider)
    }
}

impl fmt::Display for IdentityName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provider, uid } = self;
        write!(formatter, "identityProviders/{provider}/identities/{uid}")
    }
}
