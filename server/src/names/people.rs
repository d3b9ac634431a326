//! Names of people, and of what lets them in.

use std::fmt;

use uuid::Uuid;

use super::{GroupName, ServiceAccountName, resource_names};
use crate::error::Error;

resource_names! {
    /// `members/{uid}`
    #[derive(Copy)]
    MemberName {
        /// The member's uid.
        uid: "members" / Uid,
    }

    /// `invitations/{uid}`
    #[derive(Copy)]
    InvitationName {
        /// The invitation's uid.
        uid: "invitations" / Uid,
    }

    /// `sessions/{uid}`
    #[derive(Copy)]
    SessionName {
        /// The session's uid.
        uid: "sessions" / Uid,
    }
}

/// Who can have roles.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SubjectName {
    /// A machine's account.
    ServiceAccount(ServiceAccountName),
    /// A person.
    Member(MemberName),
    /// Several people.
    Group(GroupName),
}

impl SubjectName {
    /// Parses the name of a service account, a member or a group.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `field`.
    pub fn parse(field: &str, name: &str) -> Result<Self, Error> {
        match name.split('/').next() {
            Some("members") => MemberName::parse(field, name).map(Self::Member),
            Some("groups") => GroupName::parse(field, name).map(Self::Group),
            Some("serviceAccounts") => {
                ServiceAccountName::parse(field, name).map(Self::ServiceAccount)
            }
            _ => Err(Error::invalid(
                field,
                "give a name of the form serviceAccounts/{serviceAccount}, members/{uid} or \
                 groups/{group}",
            )),
        }
    }

    /// The key of a service account.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::ServiceAccount(name) => Some(&name.account),
            Self::Member(_) | Self::Group(_) => None,
        }
    }

    /// The uid of a member.
    #[must_use]
    pub fn member(&self) -> Option<Uuid> {
        match self {
            Self::Member(name) => Some(name.uid),
            Self::ServiceAccount(_) | Self::Group(_) => None,
        }
    }

    /// The key of a group.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        match self {
            Self::Group(name) => Some(&name.group),
            Self::ServiceAccount(_) | Self::Member(_) => None,
        }
    }
}

impl From<ServiceAccountName> for SubjectName {
    fn from(name: ServiceAccountName) -> Self {
        Self::ServiceAccount(name)
    }
}

impl From<GroupName> for SubjectName {
    fn from(name: GroupName) -> Self {
        Self::Group(name)
    }
}

impl From<MemberName> for SubjectName {
    fn from(name: MemberName) -> Self {
        Self::Member(name)
    }
}

impl fmt::Display for SubjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServiceAccount(name) => name.fmt(f),
            Self::Member(name) => name.fmt(f),
            Self::Group(name) => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_read_as_it_is_written() {
        let member = format!("members/{}", Uuid::now_v7());
        for name in ["serviceAccounts/ci", "groups/crew", &member] {
            let subject = SubjectName::parse("subject", name).unwrap();
            assert_eq!(subject.to_string(), name);
        }
        for name in ["", "members/", "members/x", "people/x", "serviceAccounts"] {
            assert!(SubjectName::parse("subject", name).is_err(), "{name}");
        }
    }
}
