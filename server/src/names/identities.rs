//! Names of identity providers, and of whom they know.

use uuid::Uuid;

use super::resource_names;

resource_names! {
    /// `identityProviders/{identity provider}`
    IdentityProviderName {
        /// The provider's key.
        provider: "identityProviders" / Slug,
    }

    /// `identityProviders/{identity provider}/identities/{uid}`
    IdentityName {
        /// The provider's key.
        provider: "identityProviders" / Slug,
        /// The identity's uid.
        uid: "identities" / Uid,
    }
}

impl IdentityProviderName {
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
    /// Whose it is.
    #[must_use]
    pub fn provider(&self) -> IdentityProviderName {
        IdentityProviderName {
            provider: self.provider.clone(),
        }
    }
}
