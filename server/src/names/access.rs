//! Names of what says who may do what.

use std::fmt;

use uuid::Uuid;

use super::{MemberName, Part, SubjectName, parse, parsed};
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

/// `serviceAccounts/{service account}/tokens/{uid}` or `members/{uid}/tokens/{uid}`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenName {
    /// Whose it is.
    pub owner: SubjectName,
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
}

impl TokenName {
    /// Parses `serviceAccounts/{service account}/tokens/{uid}`.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `field`.
    pub fn parse_of_account(field: &str, name: &str) -> Result<Self, Error> {
        let form = [("serviceAccounts", Part::Slug), ("tokens", Part::Uid)];
        let [account, uid] = parse(field, name, form)?;
        Ok(Self {
            owner: ServiceAccountName { account }.into(),
            uid: parsed(&uid),
        })
    }

    /// Parses `members/{uid}/tokens/{uid}`.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `field`.
    pub fn parse_of_member(field: &str, name: &str) -> Result<Self, Error> {
        let form = [("members", Part::Uid), ("tokens", Part::Uid)];
        let [member, uid] = parse(field, name, form)?;
        let member = MemberName {
            uid: parsed(&member),
        };
        Ok(Self {
            owner: member.into(),
            uid: parsed(&uid),
        })
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
        write!(f, "{}/tokens/{}", self.owner, self.uid)
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
