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

/// Where a permission must be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// Every method, and who may call it. One that is not here is refused.
pub const METHODS: &[(&str, Rule)] = &[
    (
        "/burgee.admin.v1.ProjectService/GetProject",
        Rule::Permission(P::ProjectRead, Level::Project),
    ),
    (
        "/burgee.admin.v1.ProjectService/ListProjects",
        Rule::Permission(P::ProjectRead, Level::Each),
    ),
    (
        "/burgee.admin.v1.ProjectService/CreateProject",
        Rule::Permission(P::ProjectCreate, Level::Organization),
    ),
    (
        "/burgee.admin.v1.ProjectService/UpdateProject",
        Rule::Permission(P::ProjectUpdate, Level::Project),
    ),
    (
        "/burgee.admin.v1.ProjectService/DeleteProject",
        Rule::Permission(P::ProjectDelete, Level::Project),
    ),
    (
        "/burgee.admin.v1.EnvironmentService/GetEnvironment",
        Rule::Permission(P::EnvironmentRead, Level::Environment),
    ),
    (
        "/burgee.admin.v1.EnvironmentService/ListEnvironments",
        Rule::Permission(P::EnvironmentRead, Level::Project),
    ),
    (
        "/burgee.admin.v1.EnvironmentService/CreateEnvironment",
        Rule::Permission(P::EnvironmentCreate, Level::Project),
    ),
    (
        "/burgee.admin.v1.EnvironmentService/UpdateEnvironment",
        Rule::Permission(P::EnvironmentUpdate, Level::Environment),
    ),
    (
        "/burgee.admin.v1.EnvironmentService/DeleteEnvironment",
        Rule::Permission(P::EnvironmentDelete, Level::Project),
    ),
    (
        "/burgee.admin.v1.FlagService/GetFlag",
        Rule::Permission(P::FlagRead, Level::Project),
    ),
    (
        "/burgee.admin.v1.FlagService/ListFlags",
        Rule::Permission(P::FlagRead, Level::Project),
    ),
    (
        "/burgee.admin.v1.FlagService/CreateFlag",
        Rule::Permission(P::FlagCreate, Level::Project),
    ),
    (
        "/burgee.admin.v1.FlagService/UpdateFlag",
        Rule::Permission(P::FlagUpdate, Level::Project),
    ),
    (
        "/burgee.admin.v1.FlagService/DeleteFlag",
        Rule::Permission(P::FlagDelete, Level::Project),
    ),
    (
        "/burgee.admin.v1.FlagService/ArchiveFlag",
        Rule::Permission(P::FlagArchive, Level::Project),
    ),
    (
        "/burgee.admin.v1.FlagService/RestoreFlag",
        Rule::Permission(P::FlagArchive, Level::Project),
    ),
    (
        "/burgee.admin.v1.FlagService/GetFlagConfig",
        Rule::Permission(P::FlagRead, Level::Environment),
    ),
    (
        "/burgee.admin.v1.FlagService/UpdateFlagConfig",
        Rule::Permission(P::FlagConfigUpdate, Level::Environment),
    ),
    (
        "/burgee.admin.v1.FlagService/SetFlagEnabled",
        Rule::Permission(P::FlagConfigSetEnabled, Level::Environment),
    ),
    (
        "/burgee.admin.v1.FlagService/SetRollout",
        Rule::Permission(P::FlagConfigUpdate, Level::Environment),
    ),
    (
        "/burgee.admin.v1.FlagService/RerandomizeRollout",
        Rule::Permission(P::FlagConfigUpdate, Level::Environment),
    ),
    (
        "/burgee.admin.v1.FlagService/AddTargetKeys",
        Rule::Permission(P::FlagConfigUpdate, Level::Environment),
    ),
    (
        "/burgee.admin.v1.FlagService/RemoveTargetKeys",
        Rule::Permission(P::FlagConfigUpdate, Level::Environment),
    ),
    (
        "/burgee.admin.v1.FlagService/EvaluateFlags",
        Rule::Permission(P::FlagRead, Level::Environment),
    ),
    (
        "/burgee.admin.v1.FlagService/ExplainFlag",
        Rule::Permission(P::FlagRead, Level::Environment),
    ),
    (
        "/burgee.admin.v1.SegmentService/GetSegment",
        Rule::Permission(P::SegmentRead, Level::Project),
    ),
    (
        "/burgee.admin.v1.SegmentService/ListSegments",
        Rule::Permission(P::SegmentRead, Level::Project),
    ),
    (
        "/burgee.admin.v1.SegmentService/CreateSegment",
        Rule::Permission(P::SegmentCreate, Level::Project),
    ),
    (
        "/burgee.admin.v1.SegmentService/UpdateSegment",
        Rule::Permission(P::SegmentUpdate, Level::Project),
    ),
    (
        "/burgee.admin.v1.SegmentService/DeleteSegment",
        Rule::Permission(P::SegmentDelete, Level::Project),
    ),
    (
        "/burgee.admin.v1.SegmentService/GetSegmentConfig",
        Rule::Permission(P::SegmentRead, Level::Environment),
    ),
    (
        "/burgee.admin.v1.SegmentService/UpdateSegmentConfig",
        Rule::Permission(P::SegmentConfigUpdate, Level::Environment),
    ),
    (
        "/burgee.admin.v1.SegmentService/ListSegmentKeys",
        Rule::Permission(P::SegmentRead, Level::Environment),
    ),
    (
        "/burgee.admin.v1.SegmentService/AddSegmentKeys",
        Rule::Permission(P::SegmentConfigUpdate, Level::Environment),
    ),
    (
        "/burgee.admin.v1.SegmentService/RemoveSegmentKeys",
        Rule::Permission(P::SegmentConfigUpdate, Level::Environment),
    ),
    (
        "/burgee.admin.v1.ApiKeyService/GetApiKey",
        Rule::Permission(P::ApiKeyRead, Level::Each),
    ),
    (
        "/burgee.admin.v1.ApiKeyService/ListApiKeys",
        Rule::Permission(P::ApiKeyRead, Level::Each),
    ),
    (
        "/burgee.admin.v1.ApiKeyService/CreateApiKey",
        Rule::Permission(P::ApiKeyCreate, Level::Each),
    ),
    (
        "/burgee.admin.v1.ApiKeyService/UpdateApiKey",
        Rule::Permission(P::ApiKeyUpdate, Level::Each),
    ),
    (
        "/burgee.admin.v1.ApiKeyService/RotateApiKey",
        Rule::Permission(P::ApiKeyCreate, Level::Each),
    ),
    (
        "/burgee.admin.v1.ApiKeyService/RevokeApiKey",
        Rule::Permission(P::ApiKeyRevoke, Level::Each),
    ),
    (
        "/burgee.admin.v1.OrganizationService/GetOrganization",
        Rule::Permission(P::OrganizationRead, Level::Each),
    ),
    (
        "/burgee.admin.v1.OrganizationService/UpdateOrganization",
        Rule::Permission(P::OrganizationUpdate, Level::Organization),
    ),
    ("/burgee.admin.v1.AuthService/WhoAmI", Rule::Known),
    ("/burgee.admin.v1.AuthService/SignIn", Rule::Unproven),
    (
        "/burgee.admin.v1.AuthService/AcceptInvitation",
        Rule::Unproven,
    ),
    ("/burgee.admin.v1.AuthService/ResetPassword", Rule::Unproven),
    ("/burgee.admin.v1.AuthService/ChangePassword", Rule::Person),
    (
        "/burgee.admin.v1.AuthService/SwitchOrganization",
        Rule::Person,
    ),
    (
        "/burgee.admin.v1.AuthService/ListSignInOptions",
        Rule::Unproven,
    ),
    (
        "/burgee.admin.v1.AuthService/BeginOidcSignIn",
        Rule::Unproven,
    ),
    (
        "/burgee.admin.v1.AuthService/CompleteOidcSignIn",
        Rule::Unproven,
    ),
    ("/burgee.admin.v1.AuthService/SignOut", Rule::Session),
    ("/burgee.admin.v1.AuthService/ListSessions", Rule::Session),
    ("/burgee.admin.v1.AuthService/RevokeSession", Rule::Session),
    (
        "/burgee.admin.v1.AuthService/EnrollSecondFactor",
        Rule::Person,
    ),
    (
        "/burgee.admin.v1.AuthService/ConfirmSecondFactor",
        Rule::Person,
    ),
    (
        "/burgee.admin.v1.AuthService/DisableSecondFactor",
        Rule::Person,
    ),
    (
        "/burgee.admin.v1.AuthService/RegenerateRecoveryCodes",
        Rule::Person,
    ),
    (
        "/burgee.admin.v1.IdentityProviderService/GetIdentityProvider",
        Rule::Permission(P::IdentityProviderRead, Level::Organization),
    ),
    (
        "/burgee.admin.v1.IdentityProviderService/ListIdentityProviders",
        Rule::Permission(P::IdentityProviderRead, Level::Organization),
    ),
    (
        "/burgee.admin.v1.IdentityProviderService/CreateIdentityProvider",
        Rule::Permission(P::IdentityProviderManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.IdentityProviderService/UpdateIdentityProvider",
        Rule::Permission(P::IdentityProviderManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.IdentityProviderService/DeleteIdentityProvider",
        Rule::Permission(P::IdentityProviderManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.IdentityProviderService/ListIdentities",
        Rule::Permission(P::IdentityProviderRead, Level::Organization),
    ),
    (
        "/burgee.admin.v1.IdentityProviderService/DeleteIdentity",
        Rule::Permission(P::IdentityProviderManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.ServiceAccountService/GetServiceAccount",
        Rule::Permission(P::ServiceAccountRead, Level::Organization),
    ),
    (
        "/burgee.admin.v1.ServiceAccountService/ListServiceAccounts",
        Rule::Permission(P::ServiceAccountRead, Level::Organization),
    ),
    (
        "/burgee.admin.v1.ServiceAccountService/CreateServiceAccount",
        Rule::Permission(P::ServiceAccountManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.ServiceAccountService/UpdateServiceAccount",
        Rule::Permission(P::ServiceAccountManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.ServiceAccountService/DeleteServiceAccount",
        Rule::Permission(P::ServiceAccountManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.ServiceAccountService/ListServiceAccountTokens",
        Rule::Permission(P::ServiceAccountRead, Level::Organization),
    ),
    (
        "/burgee.admin.v1.ServiceAccountService/CreateServiceAccountToken",
        Rule::Permission(P::ServiceAccountManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.ServiceAccountService/RotateServiceAccountToken",
        Rule::Permission(P::ServiceAccountManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.ServiceAccountService/RevokeServiceAccountToken",
        Rule::Permission(P::ServiceAccountManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.PersonalTokenService/ListPersonalTokens",
        Rule::Session,
    ),
    (
        "/burgee.admin.v1.PersonalTokenService/CreatePersonalToken",
        Rule::Session,
    ),
    (
        "/burgee.admin.v1.PersonalTokenService/RotatePersonalToken",
        Rule::Session,
    ),
    (
        "/burgee.admin.v1.PersonalTokenService/RevokePersonalToken",
        Rule::Session,
    ),
    (
        "/burgee.admin.v1.PersonalTokenService/ListMemberTokens",
        Rule::Permission(P::MemberManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.PersonalTokenService/RevokeMemberToken",
        Rule::Permission(P::MemberManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.MemberService/ListPermissions",
        Rule::Permission(P::RoleRead, Level::Each),
    ),
    (
        "/burgee.admin.v1.MemberService/GetRole",
        Rule::Permission(P::RoleRead, Level::Each),
    ),
    (
        "/burgee.admin.v1.MemberService/ListRoles",
        Rule::Permission(P::RoleRead, Level::Each),
    ),
    (
        "/burgee.admin.v1.MemberService/CreateRole",
        Rule::Permission(P::RoleManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.MemberService/UpdateRole",
        Rule::Permission(P::RoleManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.MemberService/DeleteRole",
        Rule::Permission(P::RoleManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.MemberService/ListRoleBindings",
        Rule::Permission(P::RoleRead, Level::Organization),
    ),
    (
        "/burgee.admin.v1.MemberService/CreateRoleBinding",
        Rule::Permission(P::RoleBind, Level::Each),
    ),
    (
        "/burgee.admin.v1.MemberService/DeleteRoleBinding",
        Rule::Permission(P::RoleBind, Level::Each),
    ),
    (
        "/burgee.admin.v1.MemberService/ExplainAccess",
        Rule::Permission(P::RoleRead, Level::Organization),
    ),
    (
        "/burgee.admin.v1.MemberService/GetMember",
        Rule::Permission(P::MemberRead, Level::Organization),
    ),
    (
        "/burgee.admin.v1.MemberService/ListMembers",
        Rule::Permission(P::MemberRead, Level::Organization),
    ),
    (
        "/burgee.admin.v1.MemberService/UpdateMember",
        Rule::Permission(P::MemberManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.MemberService/DeactivateMember",
        Rule::Permission(P::MemberManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.MemberService/ReactivateMember",
        Rule::Permission(P::MemberManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.MemberService/DeleteMember",
        Rule::Permission(P::MemberManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.MemberService/InviteMember",
        Rule::Permission(P::MemberManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.MemberService/ListInvitations",
        Rule::Permission(P::MemberRead, Level::Organization),
    ),
    (
        "/burgee.admin.v1.MemberService/RevokeInvitation",
        Rule::Permission(P::MemberManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.MemberService/CreatePasswordReset",
        Rule::Permission(P::MemberManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.MemberService/GetGroup",
        Rule::Permission(P::GroupRead, Level::Organization),
    ),
    (
        "/burgee.admin.v1.MemberService/ListGroups",
        Rule::Permission(P::GroupRead, Level::Organization),
    ),
    (
        "/burgee.admin.v1.MemberService/CreateGroup",
        Rule::Permission(P::GroupManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.MemberService/UpdateGroup",
        Rule::Permission(P::GroupManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.MemberService/DeleteGroup",
        Rule::Permission(P::GroupManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.MemberService/ListGroupMembers",
        Rule::Permission(P::GroupRead, Level::Organization),
    ),
    (
        "/burgee.admin.v1.MemberService/AddGroupMembers",
        Rule::Permission(P::GroupManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.MemberService/RemoveGroupMembers",
        Rule::Permission(P::GroupManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.MemberService/ResetSecondFactor",
        Rule::Permission(P::MemberManage, Level::Organization),
    ),
    (
        "/burgee.admin.v1.AuditService/ListAuditEntries",
        Rule::Permission(P::AuditRead, Level::Organization),
    ),
    (
        "/burgee.admin.v1.AuditService/ExportAuditEntries",
        Rule::Permission(P::AuditRead, Level::Organization),
    ),
    ("/burgee.sync.v1.SyncService/WatchRuleset", Rule::DataPlane),
    ("/burgee.sync.v1.SyncService/GetRuleset", Rule::DataPlane),
    (
        "/burgee.sync.v1.SyncService/WatchEnvironments",
        Rule::DataPlane,
    ),
    (
        "/burgee.evaluation.v1.EvaluationService/Evaluate",
        Rule::DataPlane,
    ),
    (
        "/burgee.evaluation.v1.EvaluationService/EvaluateAll",
        Rule::DataPlane,
    ),
    (
        "/burgee.evaluation.v1.EvaluationService/WatchEvaluations",
        Rule::DataPlane,
    ),
    (
        "/burgee.evaluation.v1.EvaluationService/Explain",
        Rule::DataPlane,
    ),
    (
        "/burgee.telemetry.v1.TelemetryService/ReportKeyUses",
        Rule::DataPlane,
    ),
    ("/grpc.health.v1.Health/Check", Rule::Public),
    ("/grpc.health.v1.Health/List", Rule::Public),
    ("/grpc.health.v1.Health/Watch", Rule::Public),
    (
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        Rule::Public,
    ),
    (
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        Rule::Public,
    ),
];

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
