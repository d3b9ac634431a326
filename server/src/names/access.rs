//! Names of what says who may do what.

use std::fmt;

use uuid::Uuid;

use super::{Part, parse, parsed};
use crate::error::Error;

/// `organizations/{organization}`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OrganizationName {
    /// The organization's key.
    pub organization: String,
}

/// `serviceAccounts/{service account}`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServiceAccountName {
    /// The account's key.
    pub account: String,
}

/// `serviceAccounts/{service account}/tokens/{uid}`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenName {
    /// The account's key.
    pub account: String,
    /// The token's uid.
    pub uid: Uuid,
}

/// `groups/{group}`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupName {
    /// The group's key.
    pub group: String,
}

/// `roles/{role}`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoleName {
    /// The role's key.
    pub role: String,
}

/// `roleBindings/{uid}`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RoleBindingName {
    /// The binding's uid.
    pub uid: Uuid,
}

impl OrganizationName {
    /// Parses `organizations/{organization}`.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `field`.
    pub fn parse(field: &str, name: &str) -> Result<Self, Error> {
        let [organization] = parse(field, name, [("organizations", Part::Slug)])?;
        Ok(Self { organization })
    }
}

impl ServiceAccountName {
    /// Parses `serviceAccounts/{service account}`.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `field`.
    pub fn parse(field: &str, name: &str) -> Result<Self, Error> {
        let [account] = parse(field, name, [("serviceAccounts", Part::Slug)])?;
        Ok(Self { account })
    }

    /// One of its tokens.
    #[must_use]
    pub fn token(&self, uid: Uuid) -> TokenName {
        TokenName {
            account: self.account.clone(),
            uid,
        }
    }
}

impl TokenName {
    /// Parses `serviceAccounts/{service account}/tokens/{uid}`.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `field`.
    pub fn parse(field: &str, name: &str) -> Result<Self, Error> {
        let form = [("serviceAccounts", Part::Slug), ("tokens", Part::Uid)];
        let [account, uid] = parse(field, name, form)?;
        Ok(Self {
            account,
            uid: parsed(&uid),
        })
    }

    /// The account that it belongs to.
    #[must_use]
    pub fn account(&self) -> ServiceAccountName {
        ServiceAccountName {
            account: self.account.clone(),
        }
    }
}

impl GroupName {
    /// Parses `groups/{group}`.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `field`.
    pub fn parse(field: &str, name: &str) -> Result<Self, Error> {
        let [group] = parse(field, name, [("groups", Part::Slug)])?;
        Ok(Self { group })
    }
}

impl RoleName {
    /// Parses `roles/{role}`.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `field`.
    pub fn parse(field: &str, name: &str) -> Result<Self, Error> {
        let [role] = parse(field, name, [("roles", Part::Slug)])?;
        Ok(Self { role })
    }
}

impl RoleBindingName {
    /// Parses `roleBindings/{uid}`.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `field`.
    pub fn parse(field: &str, name: &str) -> Result<Self, Error> {
        let [uid] = parse(field, name, [("roleBindings", Part::Uid)])?;
        Ok(Self { uid: parsed(&uid) })
    }
}

impl fmt::Display for OrganizationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "organizations/{}", self.organization)
    }
}

impl fmt::Display for ServiceAccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "serviceAccounts/{}", self.account)
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "serviceAccounts/{}/tokens/{}", self.account, self.uid)
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "groups/{}", self.group)
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "roles/{}", self.role)
    }
}

impl fmt::Display for RoleBindingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "roleBindings/{}", self.uid)
    }
}
