//! Names of what says who may do what.

use std::fmt;

use uuid::Uuid;

use super::{MemberName, Part, SubjectName, parse, parsed, resource_names};
use crate::error::Error;

resource_names! {
    /// `organizations/{organization}`
    OrganizationName {
        /// The organization's key.
        organization: "organizations" / Slug,
    }

    /// `serviceAccounts/{service account}`
    ServiceAccountName {
        /// The account's key.
        account: "serviceAccounts" / Slug,
    }

    /// `groups/{group}`
    GroupName {
        /// The group's key.
        group: "groups" / Slug,
    }

    /// `roles/{role}`
    RoleName {
        /// The role's key.
        role: "roles" / Slug,
    }

    /// `roleBindings/{uid}`
    #[derive(Copy)]
    RoleBindingName {
        /// The binding's uid.
        uid: "roleBindings" / Uid,
    }
}

/// `serviceAccounts/{service account}/tokens/{uid}` or `members/{uid}/tokens/{uid}`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenName {
    /// Whose it is.
    pub owner: SubjectName,
    /// The token's uid.
    pub uid: Uuid,
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

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/tokens/{}", self.owner, self.uid)
    }
}
