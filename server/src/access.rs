//! May they: the method table, and the proof that it was asked.

use std::sync::Arc;

use uuid::Uuid;

use crate::error::Error;

/// Who is calling, put into a request's extensions by the authentication layer.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The organization that everything the caller names belongs to.
    pub organization: Uuid,
    /// What history calls it, such as `serviceAccounts/admin`.
    pub actor: String,
    /// What it may do.
    pub role: Role,
}

/// What a principal may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything in its organization.
    Owner,
}

impl Role {
    /// The role as it is stored.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (text == "owner").then_some(Self::Owner)
    }

    fn allows(self, _permission: &str) -> bool {
        match self {
            Self::Owner => true,
        }
    }
}

/// Who may call a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Whoever has the permission in their organization.
    Permission(&'static str),
    /// Whoever has a key of the data plane: the hub checks it.
    DataPlane,
    /// Anybody: health and reflection.
    Public,
}

/// Every method, and who may call it. One that is not here is refused.
pub const METHODS: &[(&str, Rule)] = &[
    (
        "/burgee.admin.v1.ProjectService/GetProject",
        Rule::Permission("project.read"),
    ),
    (
        "/burgee.admin.v1.ProjectService/ListProjects",
        Rule::Permission("project.read"),
    ),
    (
        "/burgee.admin.v1.ProjectService/CreateProject",
        Rule::Permission("project.create"),
    ),
    (
        "/burgee.admin.v1.ProjectService/UpdateProject",
        Rule::Permission("project.update"),
    ),
    (
        "/burgee.admin.v1.ProjectService/DeleteProject",
        Rule::Permission("project.delete"),
    ),
    (
        "/burgee.admin.v1.EnvironmentService/GetEnvironment",
        Rule::Permission("environment.read"),
    ),
    (
        "/burgee.admin.v1.EnvironmentService/ListEnvironments",
        Rule::Permission("environment.read"),
    ),
    (
        "/burgee.admin.v1.EnvironmentService/CreateEnvironment",
        Rule::Permission("environment.create"),
    ),
    (
        "/burgee.admin.v1.EnvironmentService/UpdateEnvironment",
        Rule::Permission("environment.update"),
    ),
    (
        "/burgee.admin.v1.EnvironmentService/DeleteEnvironment",
        Rule::Permission("environment.delete"),
    ),
    (
        "/burgee.admin.v1.FlagService/GetFlag",
        Rule::Permission("flag.read"),
    ),
    (
        "/burgee.admin.v1.FlagService/ListFlags",
        Rule::Permission("flag.read"),
    ),
    (
        "/burgee.admin.v1.FlagService/CreateFlag",
        Rule::Permission("flag.create"),
    ),
    (
        "/burgee.admin.v1.FlagService/UpdateFlag",
        Rule::Permission("flag.update"),
    ),
    (
        "/burgee.admin.v1.FlagService/DeleteFlag",
        Rule::Permission("flag.delete"),
    ),
    (
        "/burgee.admin.v1.FlagService/ArchiveFlag",
        Rule::Permission("flag.archive"),
    ),
    (
        "/burgee.admin.v1.FlagService/RestoreFlag",
        Rule::Permission("flag.archive"),
    ),
    (
        "/burgee.admin.v1.FlagService/GetFlagConfig",
        Rule::Permission("flag.read"),
    ),
    (
        "/burgee.admin.v1.FlagService/UpdateFlagConfig",
        Rule::Permission("flagConfig.update"),
    ),
    (
        "/burgee.admin.v1.FlagService/SetFlagEnabled",
        Rule::Permission("flagConfig.setEnabled"),
    ),
    (
        "/burgee.admin.v1.FlagService/SetRollout",
        Rule::Permission("flagConfig.update"),
    ),
    (
        "/burgee.admin.v1.FlagService/RerandomizeRollout",
        Rule::Permission("flagConfig.update"),
    ),
    (
        "/burgee.admin.v1.FlagService/AddTargetKeys",
        Rule::Permission("flagConfig.update"),
    ),
    (
        "/burgee.admin.v1.FlagService/RemoveTargetKeys",
        Rule::Permission("flagConfig.update"),
    ),
    (
        "/burgee.admin.v1.FlagService/EvaluateFlags",
        Rule::Permission("flag.read"),
    ),
    (
        "/burgee.admin.v1.FlagService/ExplainFlag",
        Rule::Permission("flag.read"),
    ),
    (
        "/burgee.admin.v1.SegmentService/GetSegment",
        Rule::Permission("segment.read"),
    ),
    (
        "/burgee.admin.v1.SegmentService/ListSegments",
        Rule::Permission("segment.read"),
    ),
    (
        "/burgee.admin.v1.SegmentService/CreateSegment",
        Rule::Permission("segment.create"),
    ),
    (
        "/burgee.admin.v1.SegmentService/UpdateSegment",
        Rule::Permission("segment.update"),
    ),
    (
        "/burgee.admin.v1.SegmentService/DeleteSegment",
        Rule::Permission("segment.delete"),
    ),
    (
        "/burgee.admin.v1.SegmentService/GetSegmentConfig",
        Rule::Permission("segment.read"),
    ),
    (
        "/burgee.admin.v1.SegmentService/UpdateSegmentConfig",
        Rule::Permission("segmentConfig.update"),
    ),
    (
        "/burgee.admin.v1.SegmentService/ListSegmentKeys",
        Rule::Permission("segment.read"),
    ),
    (
        "/burgee.admin.v1.SegmentService/AddSegmentKeys",
        Rule::Permission("segmentConfig.update"),
    ),
    (
        "/burgee.admin.v1.SegmentService/RemoveSegmentKeys",
        Rule::Permission("segmentConfig.update"),
    ),
    (
        "/burgee.admin.v1.ApiKeyService/GetApiKey",
        Rule::Permission("apiKey.read"),
    ),
    (
        "/burgee.admin.v1.ApiKeyService/ListApiKeys",
        Rule::Permission("apiKey.read"),
    ),
    (
        "/burgee.admin.v1.ApiKeyService/CreateApiKey",
        Rule::Permission("apiKey.create"),
    ),
    (
        "/burgee.admin.v1.ApiKeyService/UpdateApiKey",
        Rule::Permission("apiKey.update"),
    ),
    (
        "/burgee.admin.v1.ApiKeyService/RotateApiKey",
        Rule::Permission("apiKey.create"),
    ),
    (
        "/burgee.admin.v1.ApiKeyService/RevokeApiKey",
        Rule::Permission("apiKey.revoke"),
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

/// What the authentication layer found out about a call.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub principal: Arc<Principal>,
    /// Which method, as `/package.Service/Method`.
    pub method: &'static str,
    /// What it takes.
    pub permission: &'static str,
}

/// Proof that the caller may do what the method does. Only [`authorize`] makes
/// it; reading and changing demand it.
#[derive(Debug, Clone)]
pub struct Authorized {
    caller: Caller,
}

impl Authorized {
    /// Who.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.caller.principal
    }

    /// The organization that everything the call names belongs to.
    #[must_use]
    pub fn organization(&self) -> Uuid {
        self.caller.principal.organization
    }

    /// How: `/package.Service/Method`.
    #[must_use]
    pub fn method(&self) -> &'static str {
        self.caller.method
    }
}

/// Whether the caller may do what the method does.
///
/// # Errors
/// [`Error::CredentialMissing`] if nobody was recognised,
/// [`Error::PermissionDenied`] if they may not.
pub fn authorize<T>(request: &tonic::Request<T>) -> Result<Authorized, Error> {
    let caller = request
        .extensions()
        .get::<Caller>()
        .ok_or(Error::CredentialMissing)?;
    if !caller.principal.role.allows(caller.permission) {
        return Err(Error::PermissionDenied {
            permission: caller.permission,
        });
    }
    Ok(Authorized {
        caller: caller.clone(),
    })
}

/// Proof for what the server itself does at start, in the name of `actor`.
#[must_use]
pub fn authorize_start_up(organization: Uuid, actor: &str, method: &'static str) -> Authorized {
    Authorized {
        caller: Caller {
            principal: Arc::new(Principal {
                organization,
                actor: actor.to_owned(),
                role: Role::Owner,
            }),
            method,
            permission: "",
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::descriptors::Descriptors;

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
