//! What there is to allow.

/// Defines the permissions, with their names and what they allow.
macro_rules! permissions {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// Something that a role allows, or not. The list is published: names never change
        /// their meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Permission {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Permission {
            /// All of them, in the order in which they are published.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// `resource.verb`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// What it allows, in a sentence.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc),+).trim_ascii(),)+
                }
            }
        }
    };
}

permissions! {
    /// See what the organization is called, and how long sessions in it live.
    OrganizationRead = "organization.read",
    /// Change that.
    OrganizationUpdate = "organization.update",
    /// See a project.
    ProjectRead = "project.read",
    /// Make projects.
    ProjectCreate = "project.create",
    /// Change what a project is called.
    ProjectUpdate = "project.update",
    /// Delete a project that has no environments.
    ProjectDelete = "project.delete",
    /// See an environment.
    EnvironmentRead = "environment.read",
    /// Make environments.
    EnvironmentCreate = "environment.create",
    /// Change what an environment is called, and whether it is protected.
    EnvironmentUpdate = "environment.update",
    /// Delete an environment, with all that it ships.
    EnvironmentDelete = "environment.delete",
    /// See flags and their configurations, and try them out.
    FlagRead = "flag.read",
    /// Make flags.
    FlagCreate = "flag.create",
    /// Change the definitions of flags.
    FlagUpdate = "flag.update",
    /// Archive flags, and restore them.
    FlagArchive = "flag.archive",
    /// Delete archived flags for good.
    FlagDelete = "flag.delete",
    /// Change what a flag serves in an environment.
    FlagConfigUpdate = "flagConfig.update",
    /// Turn a flag on and off in an environment.
    FlagConfigSetEnabled = "flagConfig.setEnabled",
    /// See segments and their keys.
    SegmentRead = "segment.read",
    /// Make segments.
    SegmentCreate = "segment.create",
    /// Change the definitions of segments.
    SegmentUpdate = "segment.update",
    /// Delete segments that no flag uses.
    SegmentDelete = "segment.delete",
    /// Change who is in a segment in an environment.
    SegmentConfigUpdate = "segmentConfig.update",
    /// See API keys, without their secrets.
    ApiKeyRead = "apiKey.read",
    /// Make and rotate API keys.
    ApiKeyCreate = "apiKey.create",
    /// Change what API keys are called, open and when they end.
    ApiKeyUpdate = "apiKey.update",
    /// End API keys.
    ApiKeyRevoke = "apiKey.revoke",
    /// See service accounts and their tokens, without secrets.
    ServiceAccountRead = "serviceAccount.read",
    /// Make, change and delete service accounts, and make and end their tokens.
    ServiceAccountManage = "serviceAccount.manage",
    /// See members and invitations, without secrets.
    MemberRead = "member.read",
    /// Invite people, change what they are called, keep them out, let them in again, delete them,
    /// and end their tokens.
    MemberManage = "member.manage",
    /// See groups and who is in them.
    GroupRead = "group.read",
    /// Make, change and delete groups, and say who is in them: never giving more than one has
    /// oneself.
    GroupManage = "group.manage",
    /// See identity providers, without secrets, and whom they know.
    IdentityProviderRead = "identityProvider.read",
    /// Say with which identity providers people sign in: only who may do everything can.
    IdentityProviderManage = "identityProvider.manage",
    /// See roles, and who has which.
    RoleRead = "role.read",
    /// Make, change and delete roles of one's own making.
    RoleManage = "role.manage",
    /// Give roles, and take them away: never more than one has oneself.
    RoleBind = "role.bind",
    /// Read the audit log.
    AuditRead = "audit.read",
}

impl Permission {
    /// The permission of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.name() == name)
    }

    /// Whether it only shows something. Whoever may see something of an environment may see
    /// the same of its project, as a configuration means nothing without its definition.
    #[must_use]
    pub fn is_read(self) -> bool {
        self.name().ends_with(".read")
    }
}

/// Several permissions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Permissions(u64);

impl Permissions {
    /// All that there are.
    #[must_use]
    pub fn all() -> Self {
        Permission::ALL.iter().copied().collect()
    }

    /// Whether it is among them.
    #[must_use]
    pub fn contains(self, permission: Permission) -> bool {
        self.0 & bit(permission) != 0
    }

    /// Whether all of the others are among them.
    #[must_use]
    pub fn covers(self, others: Self) -> bool {
        others.0 & !self.0 == 0
    }

    /// These and the others.
    #[must_use]
    pub fn union(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Those that are also among the others.
    #[must_use]
    pub fn within(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// Those that are not among the others.
    #[must_use]
    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Each of them, in the order in which they are published.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        let all = Permission::ALL.iter().copied();
        all.filter(move |permission| self.contains(*permission))
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        let bits = permissions.into_iter().map(bit);
        Self(bits.fold(0, |all, bit| all | bit))
    }
}

fn bit(permission: Permission) -> u64 {
    1 << permission as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_name_of_its_own_and_a_bit() {
        assert!(Permission::ALL.len() <= 64, "the set has 64 bits");
        for permission in Permission::ALL {
            assert_eq!(Permission::parse(permission.name()), Some(*permission));
            assert!(permission.description().ends_with('.'), "{permission:?}");
        }
        assert_eq!(Permission::parse("flag.fly"), None);
        assert_eq!(Permissions::all().iter().count(), Permission::ALL.len());
    }
}
