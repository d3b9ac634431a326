//! The roles that every organization has.

use super::permission::{Permission, Permissions};

/// A role that every organization has. Others are made by the organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuiltIn {
    /// Sees everything but the audit log.
    Viewer,
    /// Makes and changes flags and segments.
    Developer,
    /// Looks after changes: sees everything, and turns flags off and on.
    Reviewer,
    /// Manages projects, environments, keys and who has which role.
    Admin,
    /// Everything.
    Owner,
}

impl BuiltIn {
    /// All of them, from the least to the most.
    pub const ALL: &'static [Self] = &[
        Self::Viewer,
        Self::Developer,
        Self::Reviewer,
        Self::Admin,
        Self::Owner,
    ];

    /// As bindings name it.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Developer => "developer",
            Self::Reviewer => "reviewer",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// The role of that key.
    #[must_use]
    pub fn parse(key: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|role| role.key() == key)
    }

    /// What people call it.
    #[must_use]
    pub fn display_name(self) -> &'static str {
        match self {
            Self::Viewer => "Viewer",
            Self::Developer => "Developer",
            Self::Reviewer => "Reviewer",
            Self::Admin => "Admin",
            Self::Owner => "Owner",
        }
    }

    /// What it is for, in a sentence.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::Viewer => "Sees everything but the audit log.",
            Self::Developer => "Makes and changes flags and segments.",
            Self::Reviewer => "Looks after changes: reads the audit log, turns flags off and on.",
            Self::Admin => "Manages projects, environments, keys and who has which role.",
            Self::Owner => "May do everything.",
        }
    }

    /// What it allows.
    #[must_use]
    pub fn permissions(self) -> Permissions {
        use Permission as P;
        let viewer: Permissions = [
            P::OrganizationRead,
            P::ProjectRead,
            P::EnvironmentRead,
            P::FlagRead,
            P::SegmentRead,
            P::ApiKeyRead,
            P::ServiceAccountRead,
            P::MemberRead,
            P::GroupRead,
            P::RoleRead,
            P::IdentityProviderRead,
        ]
        .into_iter()
        .collect();
        let developer = [
            P::FlagCreate,
            P::FlagUpdate,
            P::FlagArchive,
            P::FlagConfigUpdate,
            P::FlagConfigSetEnabled,
            P::SegmentCreate,
            P::SegmentUpdate,
            P::SegmentDelete,
            P::SegmentConfigUpdate,
        ]
        .into_iter()
        .collect();
        let reviewer = [P::FlagConfigSetEnabled, P::AuditRead]
            .into_iter()
            .collect();
        match self {
            Self::Viewer => viewer,
            Self::Developer => viewer.union(developer),
            Self::Reviewer => viewer.union(reviewer),
            // Roles and ways to sign in are the owner's to make: with them one could give oneself
            // anything.
            Self::Admin => Permissions::all()
                .iter()
                .filter(|it| !matches!(it, P::RoleManage | P::IdentityProviderManage))
                .collect(),
            Self::Owner => Permissions::all(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_may_everything_and_each_role_may_see_what_a_viewer_sees() {
        assert_eq!(BuiltIn::Owner.permissions(), Permissions::all());
        for role in BuiltIn::ALL {
            assert!(role.permissions().covers(BuiltIn::Viewer.permissions()));
            assert_eq!(BuiltIn::parse(role.key()), Some(*role));
        }
        assert_eq!(BuiltIn::parse("root"), None);
    }

    #[test]
    fn a_viewer_changes_nothing() {
        assert!(
            BuiltIn::Viewer
                .permissions()
                .iter()
                .all(Permission::is_read)
        );
    }
}
