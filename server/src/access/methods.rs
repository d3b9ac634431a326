//! Every method, and who may call it.

use super::permission::Permission as P;

/// Who may call a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Whoever has the permission, at the level of what the call is about. Test keys have one
    /// for [`burgee_hub::credential::TEST_KEY_METHODS`] alone.
    Permission(P, Level),
    /// Whoever is known, whatever they may do.
    Known,
    /// Whoever has a key of the data plane: the hub checks it.
    DataPlane,
    /// Whoever is signed in, about their own sessions and tokens. No token will do.
    Session,
    /// Whoever signed in with a password of their own, about what is theirs in every
    /// organization: no organization's identity provider vouches for that.
    Person,
    /// Whoever says in the request itself who they are: by a password, or by the secret of a
    /// link. No credential is looked at.
    Unproven,
    /// Anybody: health and reflection.
    Public,
}

impl Rule {
    /// The permission that a caller needs, and where.
    #[must_use]
    pub fn needs(self) -> Option<(P, Level)> {
        match self {
            Self::Permission(permission, level) => Some((permission, level)),
            Self::Known
            | Self::Session
            | Self::Person
            | Self::Unproven
            | Self::DataPlane
            | Self::Public => None,
        }
    }
}

/// Where a permission must be held, from the outermost inwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// In the organization.
    Organization,
    /// In the project that the call names, or above.
    Project,
    /// In the environment that the call names, or above.
    Environment,
    /// Anywhere: the method itself looks at the place of each thing it shows or changes.
    Each,
}

/// Makes the table of methods: each service with a line for each of its methods.
macro_rules! methods {
    ($($service:literal { $($method:ident: $rule:expr,)+ })+) => {
        /// Every method, and who may call it. One that is not here is refused.
        pub const METHODS: &[(&str, Rule)] = &[
            $($((concat!("/", $service, "/", stringify!($method)), $rule),)+)+
        ];
    };
}

methods! {
    "burgee.admin.v1.ProjectService" {
        GetProject: Rule::Permission(P::ProjectRead, Level::Project),
        ListProjects: Rule::Permission(P::ProjectRead, Level::Each),
        CreateProject: Rule::Permission(P::ProjectCreate, Level::Organization),
        UpdateProject: Rule::Permission(P::ProjectUpdate, Level::Project),
        DeleteProject: Rule::Permission(P::ProjectDelete, Level::Project),
    }
    "burgee.admin.v1.EnvironmentService" {
        GetEnvironment: Rule::Permission(P::EnvironmentRead, Level::Environment),
        ListEnvironments: Rule::Permission(P::EnvironmentRead, Level::Project),
        CreateEnvironment: Rule::Permission(P::EnvironmentCreate, Level::Project),
        UpdateEnvironment: Rule::Permission(P::EnvironmentUpdate, Level::Environment),
        DeleteEnvironment: Rule::Permission(P::EnvironmentDelete, Level::Project),
    }
    "burgee.admin.v1.FlagService" {
        GetFlag: Rule::Permission(P::FlagRead, Level::Project),
        ListFlags: Rule::Permission(P::FlagRead, Level::Project),
        CreateFlag: Rule::Permission(P::FlagCreate, Level::Project),
        UpdateFlag: Rule::Permission(P::FlagUpdate, Level::Project),
        DeleteFlag: Rule::Permission(P::FlagDelete, Level::Project),
        ArchiveFlag: Rule::Permission(P::FlagArchive, Level::Project),
        RestoreFlag: Rule::Permission(P::FlagArchive, Level::Project),
        GetFlagConfig: Rule::Permission(P::FlagRead, Level::Environment),
        UpdateFlagConfig: Rule::Permission(P::FlagConfigUpdate, Level::Environment),
        SetFlagEnabled: Rule::Permission(P::FlagConfigSetEnabled, Level::Environment),
        SetRollout: Rule::Permission(P::FlagConfigUpdate, Level::Environment),
        RerandomizeRollout: Rule::Permission(P::FlagConfigUpdate, Level::Environment),
        AddTargetKeys: Rule::Permission(P::FlagConfigUpdate, Level::Environment),
        RemoveTargetKeys: Rule::Permission(P::FlagConfigUpdate, Level::Environment),
        EvaluateFlags: Rule::Permission(P::FlagRead, Level::Environment),
        ExplainFlag: Rule::Permission(P::FlagRead, Level::Environment),
    }
    "burgee.admin.v1.SegmentService" {
        GetSegment: Rule::Permission(P::SegmentRead, Level::Project),
        ListSegments: Rule::Permission(P::SegmentRead, Level::Project),
        CreateSegment: Rule::Permission(P::SegmentCreate, Level::Project),
        UpdateSegment: Rule::Permission(P::SegmentUpdate, Level::Project),
        DeleteSegment: Rule::Permission(P::SegmentDelete, Level::Project),
        GetSegmentConfig: Rule::Permission(P::SegmentRead, Level::Environment),
        UpdateSegmentConfig: Rule::Permission(P::SegmentConfigUpdate, Level::Environment),
        ListSegmentKeys: Rule::Permission(P::SegmentRead, Level::Environment),
        AddSegmentKeys: Rule::Permission(P::SegmentConfigUpdate, Level::Environment),
        RemoveSegmentKeys: Rule::Permission(P::SegmentConfigUpdate, Level::Environment),
    }
    "burgee.admin.v1.ApiKeyService" {
        GetApiKey: Rule::Permission(P::ApiKeyRead, Level::Each),
        ListApiKeys: Rule::Permission(P::ApiKeyRead, Level::Each),
        CreateApiKey: Rule::Permission(P::ApiKeyCreate, Level::Each),
        UpdateApiKey: Rule::Permission(P::ApiKeyUpdate, Level::Each),
        RotateApiKey: Rule::Permission(P::ApiKeyCreate, Level::Each),
        RevokeApiKey: Rule::Permission(P::ApiKeyRevoke, Level::Each),
    }
    "burgee.admin.v1.OrganizationService" {
        GetOrganization: Rule::Permission(P::OrganizationRead, Level::Each),
        UpdateOrganization: Rule::Permission(P::OrganizationUpdate, Level::Organization),
    }
    "burgee.admin.v1.AuthService" {
        WhoAmI: Rule::Known,
        SignIn: Rule::Unproven,
        AcceptInvitation: Rule::Unproven,
        ResetPassword: Rule::Unproven,
        ChangePassword: Rule::Person,
        SwitchOrganization: Rule::Person,
        ListSignInOptions: Rule::Unproven,
        BeginOidcSignIn: Rule::Unproven,
        CompleteOidcSignIn: Rule::Unproven,
        SignOut: Rule::Session,
        ListSessions: Rule::Session,
        RevokeSession: Rule::Session,
        EnrollSecondFactor: Rule::Person,
        ConfirmSecondFactor: Rule::Person,
        DisableSecondFactor: Rule::Person,
        RegenerateRecoveryCodes: Rule::Person,
    }
    "burgee.admin.v1.IdentityProviderService" {
        GetIdentityProvider: Rule::Permission(P::IdentityProviderRead, Level::Organization),
        ListIdentityProviders: Rule::Permission(P::IdentityProviderRead, Level::Organization),
        CreateIdentityProvider: Rule::Permission(P::IdentityProviderManage, Level::Organization),
        UpdateIdentityProvider: Rule::Permission(P::IdentityProviderManage, Level::Organization),
        DeleteIdentityProvider: Rule::Permission(P::IdentityProviderManage, Level::Organization),
        ListIdentities: Rule::Permission(P::IdentityProviderRead, Level::Organization),
        DeleteIdentity: Rule::Permission(P::IdentityProviderManage, Level::Organization),
    }
    "burgee.admin.v1.ServiceAccountService" {
        GetServiceAccount: Rule::Permission(P::ServiceAccountRead, Level::Organization),
        ListServiceAccounts: Rule::Permission(P::ServiceAccountRead, Level::Organization),
        CreateServiceAccount: Rule::Permission(P::ServiceAccountManage, Level::Organization),
        UpdateServiceAccount: Rule::Permission(P::ServiceAccountManage, Level::Organization),
        DeleteServiceAccount: Rule::Permission(P::ServiceAccountManage, Level::Organization),
        ListServiceAccountTokens: Rule::Permission(P::ServiceAccountRead, Level::Organization),
        CreateServiceAccountToken: Rule::Permission(P::ServiceAccountManage, Level::Organization),
        RotateServiceAccountToken: Rule::Permission(P::ServiceAccountManage, Level::Organization),
        RevokeServiceAccountToken: Rule::Permission(P::ServiceAccountManage, Level::Organization),
    }
    "burgee.admin.v1.PersonalTokenService" {
        ListPersonalTokens: Rule::Session,
        CreatePersonalToken: Rule::Session,
        RotatePersonalToken: Rule::Session,
        RevokePersonalToken: Rule::Session,
        ListMemberTokens: Rule::Permission(P::MemberManage, Level::Organization),
        RevokeMemberToken: Rule::Permission(P::MemberManage, Level::Organization),
    }
    "burgee.admin.v1.MemberService" {
        ListPermissions: Rule::Permission(P::RoleRead, Level::Each),
        GetRole: Rule::Permission(P::RoleRead, Level::Each),
        ListRoles: Rule::Permission(P::RoleRead, Level::Each),
        CreateRole: Rule::Permission(P::RoleManage, Level::Organization),
        UpdateRole: Rule::Permission(P::RoleManage, Level::Organization),
        DeleteRole: Rule::Permission(P::RoleManage, Level::Organization),
        ListRoleBindings: Rule::Permission(P::RoleRead, Level::Organization),
        CreateRoleBinding: Rule::Permission(P::RoleBind, Level::Each),
        DeleteRoleBinding: Rule::Permission(P::RoleBind, Level::Each),
        ExplainAccess: Rule::Permission(P::RoleRead, Level::Organization),
        GetMember: Rule::Permission(P::MemberRead, Level::Organization),
        ListMembers: Rule::Permission(P::MemberRead, Level::Organization),
        UpdateMember: Rule::Permission(P::MemberManage, Level::Organization),
        DeactivateMember: Rule::Permission(P::MemberManage, Level::Organization),
        ReactivateMember: Rule::Permission(P::MemberManage, Level::Organization),
        DeleteMember: Rule::Permission(P::MemberManage, Level::Organization),
        InviteMember: Rule::Permission(P::MemberManage, Level::Organization),
        ListInvitations: Rule::Permission(P::MemberRead, Level::Organization),
        RevokeInvitation: Rule::Permission(P::MemberManage, Level::Organization),
        CreatePasswordReset: Rule::Permission(P::MemberManage, Level::Organization),
        GetGroup: Rule::Permission(P::GroupRead, Level::Organization),
        ListGroups: Rule::Permission(P::GroupRead, Level::Organization),
        CreateGroup: Rule::Permission(P::GroupManage, Level::Organization),
        UpdateGroup: Rule::Permission(P::GroupManage, Level::Organization),
        DeleteGroup: Rule::Permission(P::GroupManage, Level::Organization),
        ListGroupMembers: Rule::Permission(P::GroupRead, Level::Organization),
        AddGroupMembers: Rule::Permission(P::GroupManage, Level::Organization),
        RemoveGroupMembers: Rule::Permission(P::GroupManage, Level::Organization),
        ResetSecondFactor: Rule::Permission(P::MemberManage, Level::Organization),
    }
    "burgee.admin.v1.AuditService" {
        ListAuditEntries: Rule::Permission(P::AuditRead, Level::Organization),
        ExportAuditEntries: Rule::Permission(P::AuditRead, Level::Organization),
    }
    "burgee.sync.v1.SyncService" {
        WatchRuleset: Rule::DataPlane,
        GetRuleset: Rule::DataPlane,
        WatchEnvironments: Rule::DataPlane,
    }
    "burgee.evaluation.v1.EvaluationService" {
        Evaluate: Rule::DataPlane,
        EvaluateAll: Rule::DataPlane,
        WatchEvaluations: Rule::DataPlane,
        Explain: Rule::DataPlane,
    }
    "burgee.telemetry.v1.TelemetryService" {
        ReportKeyUses: Rule::DataPlane,
    }
    "grpc.health.v1.Health" {
        Check: Rule::Public,
        List: Rule::Public,
        Watch: Rule::Public,
    }
    "grpc.reflection.v1.ServerReflection" {
        ServerReflectionInfo: Rule::Public,
    }
    "grpc.reflection.v1alpha.ServerReflection" {
        ServerReflectionInfo: Rule::Public,
    }
}

/// The innermost level at which any method takes a permission: held further in, it allows
/// nothing.
#[must_use]
pub fn reach(permission: P) -> Level {
    let levels = METHODS.iter().filter_map(|(_, rule)| match rule.needs() {
        Some((needed, level)) if needed == permission => Some(level),
        _ => None,
    });
    levels.max().unwrap_or(Level::Organization)
}

/// Who may call a method, given as `/package.Service/Method`.
#[must_use]
pub fn rule(method: &str) -> Option<(&'static str, Rule)> {
    METHODS.iter().find(|(name, _)| *name == method).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use burgee_hub::credential::TEST_KEY_METHODS;

    use super::super::{Grants, Place};
    use super::*;
    use crate::descriptors::Descriptors;

    #[test]
    fn a_permission_reaches_as_far_in_as_any_method_takes_it() {
        assert_eq!(reach(P::MemberManage), Level::Organization);
        assert_eq!(reach(P::FlagUpdate), Level::Project);
        assert_eq!(reach(P::FlagRead), Level::Environment);
        assert_eq!(reach(P::RoleBind), Level::Each);
    }

    #[test]
    fn a_test_key_may_call_what_it_is_granted_in_its_environment() {
        for method in TEST_KEY_METHODS {
            let place = Place::Environment("shop", "staging");
            let grants = Grants::of_test_key("shop", "staging");
            let (_, rule) = rule(method).unwrap();
            let Rule::Permission(permission, Level::Environment) = rule else {
                panic!("{method}: {rule:?}");
            };
            assert!(grants.allow(permission, place), "{method}");
        }
    }

    #[test]
    fn every_method_of_the_contract_has_one_row_and_no_other_has() {
        let contract: BTreeSet<String> = Descriptors::load().unwrap().methods().collect();
        let rows: BTreeSet<String> = METHODS
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .filter(|name| !name.starts_with("/grpc."))
            .collect();
        assert_eq!(contract, rows);
        let names: BTreeSet<&str> = METHODS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), METHODS.len(), "a method has two rows");
    }
}
