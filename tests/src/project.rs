//! A project with environments, and short words for changing it. What a test
//! means to see refused it calls by the typed clients instead.

use burgee_proto::admin::v1::{
    AddTargetKeysRequest, ApiKey, ArchiveFlagRequest, CreateApiKeyRequest,
    CreateEnvironmentRequest, CreateFlagRequest, CreateProjectRequest, CreateSegmentRequest,
    Environment, Flag, FlagConfig, GetEnvironmentRequest, GetFlagConfigRequest, GetFlagRequest,
    GetSegmentConfigRequest, Project, Segment, SegmentConfig, SetFlagEnabledRequest,
    UpdateFlagConfigRequest, UpdateFlagRequest, UpdateSegmentConfigRequest,
};
use burgee_proto::types::v1::{AccessKeyKind, EnvironmentPosition, Position};
use prost_types::FieldMask;
use uuid::Uuid;

use crate::callers::Caller;
use crate::server::TestServer;

/// A project, seen by whoever may change it.
#[derive(Clone, Debug)]
pub struct TestProject {
    admin: Caller,
    key: String,
}

/// An environment, seen by whoever may change it.
#[derive(Clone, Debug)]
pub struct TestEnvironment {
    /// Who changes it.
    pub admin: Caller,
    /// `projects/{project}/environments/{environment}`.
    pub name: String,
    /// What the data plane knows it by.
    pub uid: String,
}

impl TestServer {
    /// A project named `shop` with one environment, `production`.
    pub async fn shop(&self) -> (TestProject, TestEnvironment) {
        let shop = self.project("shop").await;
        let production = shop.environment("production").await;
        (shop, production)
    }

    /// A project without environments.
    pub async fn project(&self, key: &str) -> TestProject {
        let request = CreateProjectRequest {
            project: Some(Project {
                key: key.to_owned(),
                ..Project::default()
            }),
            ..CreateProjectRequest::default()
        };
        self.admin()
            .projects()
            .create_project(request)
            .await
            .unwrap();
        TestProject {
            admin: self.admin().clone(),
            key: key.to_owned(),
        }
    }
}

impl TestProject {
    /// The same project, changed through another server.
    #[must_use]
    pub fn through(&self, server: &TestServer) -> Self {
        Self {
            admin: server.admin().clone(),
            key: self.key.clone(),
        }
    }

    /// `projects/{project}`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("projects/{}", self.key)
    }

    /// `projects/{project}/flags/{flag}`.
    #[must_use]
    pub fn flag_name(&self, flag: &str) -> String {
        format!("projects/{}/flags/{flag}", self.key)
    }

    /// `projects/{project}/segments/{segment}`.
    #[must_use]
    pub fn segment_name(&self, segment: &str) -> String {
        format!("projects/{}/segments/{segment}", self.key)
    }

    /// Makes an environment.
    pub async fn environment(&self, key: &str) -> TestEnvironment {
        let request = CreateEnvironmentRequest {
            parent: self.name(),
            environment: Some(Environment {
                key: key.to_owned(),
                ..Environment::default()
            }),
            ..CreateEnvironmentRequest::default()
        };
        let response = self.admin.environments().create_environment(request).await;
        let environment = response.unwrap().into_inner().environment.unwrap();
        TestEnvironment {
            admin: self.admin.clone(),
            name: environment.name,
            uid: environment.uid,
        }
    }

    /// Makes a flag; gives the first position of each environment that holds
    /// it.
    pub async fn create_flag(&self, flag: Flag) -> Vec<EnvironmentPosition> {
        let request = CreateFlagRequest {
            parent: self.name(),
            flag: Some(flag),
            ..CreateFlagRequest::default()
        };
        let response = self.admin.flags().create_flag(request).await.unwrap();
        response.into_inner().positions
    }

    /// A flag's definition.
    pub async fn flag(&self, key: &str) -> Flag {
        let request = GetFlagRequest {
            name: self.flag_name(key),
        };
        let response = self.admin.flags().get_flag(request).await.unwrap();
        response.into_inner().flag.unwrap()
    }

    /// Changes what `change` populates of a flag's definition.
    pub async fn update_flag(&self, key: &str, change: Flag) -> Vec<EnvironmentPosition> {
        let request = UpdateFlagRequest {
            etag: self.flag(key).await.etag,
            flag: Some(Flag {
                name: self.flag_name(key),
                ..change
            }),
            ..UpdateFlagRequest::default()
        };
        let response = self.admin.flags().update_flag(request).await.unwrap();
        response.into_inner().positions
    }

    /// Shows a flag to client keys, or hides it from them.
    pub async fn set_client_visible(&self, key: &str, client_visible: bool) {
        let flag = self.flag(key).await;
        let request = UpdateFlagRequest {
            etag: flag.etag.clone(),
            flag: Some(Flag {
                client_visible,
                ..flag
            }),
            update_mask: Some(FieldMask {
                paths: vec!["client_visible".to_owned()],
            }),
            ..UpdateFlagRequest::default()
        };
        self.admin.flags().update_flag(request).await.unwrap();
    }

    /// Stops shipping a flag.
    pub async fn archive_flag(&self, key: &str) -> Vec<EnvironmentPosition> {
        let request = ArchiveFlagRequest {
            name: self.flag_name(key),
            ..ArchiveFlagRequest::default()
        };
        let response = self.admin.flags().archive_flag(request).await.unwrap();
        response.into_inner().positions
    }

    /// Makes a segment.
    pub async fn create_segment(&self, segment: Segment) {
        let request = CreateSegmentRequest {
            parent: self.name(),
            segment: Some(segment),
            ..CreateSegmentRequest::default()
        };
        self.admin.segments().create_segment(request).await.unwrap();
    }
}

impl TestEnvironment {
    /// The same environment, changed through another server.
    #[must_use]
    pub fn through(&self, server: &TestServer) -> Self {
        Self {
            admin: server.admin().clone(),
            ..self.clone()
        }
    }

    /// `projects/{project}/environments/{environment}/flags/{flag}`.
    #[must_use]
    pub fn flag_name(&self, flag: &str) -> String {
        format!("{}/flags/{flag}", self.name)
    }

    /// `projects/{project}/environments/{environment}/segments/{segment}`.
    #[must_use]
    pub fn segment_name(&self, segment: &str) -> String {
        format!("{}/segments/{segment}", self.name)
    }

    /// The environment as it is.
    pub async fn get(&self) -> Environment {
        let request = GetEnvironmentRequest {
            name: self.name.clone(),
        };
        let response = self.admin.environments().get_environment(request).await;
        response.unwrap().into_inner().environment.unwrap()
    }

    /// Where its ruleset stands.
    pub async fn position(&self) -> Position {
        self.get().await.position.unwrap()
    }

    /// Turns a flag on; gives the first position that holds it.
    pub async fn enable(&self, flag: &str) -> Position {
        self.set_enabled(flag, true).await
    }

    /// Turns a flag off; gives the first position that holds it.
    pub async fn disable(&self, flag: &str) -> Position {
        self.set_enabled(flag, false).await
    }

    /// Turns a flag on or off; gives the first position that holds it.
    pub async fn set_enabled(&self, flag: &str, enabled: bool) -> Position {
        let request = self.set_enabled_request(flag, enabled);
        let response = self.admin.flags().set_flag_enabled(request).await.unwrap();
        self.only(&response.into_inner().positions)
    }

    /// What [`TestEnvironment::set_enabled`] sends, under a request id of its
    /// own.
    #[must_use]
    pub fn set_enabled_request(&self, flag: &str, enabled: bool) -> SetFlagEnabledRequest {
        SetFlagEnabledRequest {
            name: self.flag_name(flag),
            enabled,
            request_id: Uuid::now_v7().to_string(),
            ..SetFlagEnabledRequest::default()
        }
    }

    /// A flag's configuration.
    pub async fn config(&self, flag: &str) -> FlagConfig {
        let request = GetFlagConfigRequest {
            name: self.flag_name(flag),
        };
        let response = self.admin.flags().get_flag_config(request).await.unwrap();
        response.into_inner().flag_config.unwrap()
    }

    /// What changes what `change` populates of a flag's configuration.
    pub async fn configure_request(
        &self,
        flag: &str,
        change: FlagConfig,
    ) -> UpdateFlagConfigRequest {
        UpdateFlagConfigRequest {
            etag: self.config(flag).await.etag,
            flag_config: Some(FlagConfig {
                name: self.flag_name(flag),
                ..change
            }),
            ..UpdateFlagConfigRequest::default()
        }
    }

    /// Changes what `change` populates of a flag's configuration.
    pub async fn configure(&self, flag: &str, change: FlagConfig) -> Position {
        let request = self.configure_request(flag, change).await;
        let response = self.admin.flags().update_flag_config(request).await;
        self.only(&response.unwrap().into_inner().positions)
    }

    /// Gives `keys` a variant.
    pub async fn add_target_keys(&self, flag: &str, variant: &str, keys: &[&str]) -> Position {
        let request = AddTargetKeysRequest {
            name: self.flag_name(flag),
            variant: variant.to_owned(),
            keys: keys.iter().map(|&key| key.to_owned()).collect(),
            ..AddTargetKeysRequest::default()
        };
        let response = self.admin.flags().add_target_keys(request).await.unwrap();
        self.only(&response.into_inner().positions)
    }

    /// Changes what `change` populates of a segment's content.
    pub async fn configure_segment(&self, segment: &str, change: SegmentConfig) -> Position {
        let name = self.segment_name(segment);
        let request = GetSegmentConfigRequest { name: name.clone() };
        let response = self.admin.segments().get_segment_config(request).await;
        let config = response.unwrap().into_inner().segment_config.unwrap();
        let request = UpdateSegmentConfigRequest {
            segment_config: Some(SegmentConfig { name, ..change }),
            etag: config.etag,
            ..UpdateSegmentConfigRequest::default()
        };
        let response = self.admin.segments().update_segment_config(request).await;
        self.only(&response.unwrap().into_inner().positions)
    }

    /// Makes an SDK server key; gives its secret.
    pub async fn server_key(&self) -> String {
        api_key(&self.admin, AccessKeyKind::Server, &[self]).await.1
    }

    /// Makes an SDK client key; gives its secret.
    pub async fn client_key(&self) -> String {
        api_key(&self.admin, AccessKeyKind::Client, &[self]).await.1
    }

    /// Makes a test key; gives its secret.
    pub async fn test_key(&self) -> String {
        api_key(&self.admin, AccessKeyKind::Test, &[self]).await.1
    }

    /// Makes a relay key of this environment alone; gives its secret.
    pub async fn relay_key(&self) -> String {
        api_key(&self.admin, AccessKeyKind::Relay, &[self]).await.1
    }

    /// The position of this environment, which is the only one that changed.
    fn only(&self, positions: &[EnvironmentPosition]) -> Position {
        let [position] = positions else {
            panic!("not one position: {positions:?}");
        };
        assert_eq!(position.environment, self.uid);
        position.position.unwrap()
    }
}

/// Makes a key of the data plane; gives it with its secret.
pub async fn api_key(
    admin: &Caller,
    kind: AccessKeyKind,
    environments: &[&TestEnvironment],
) -> (ApiKey, String) {
    let names = environments.iter().map(|it| it.name.clone());
    let request = CreateApiKeyRequest {
        api_key: Some(ApiKey {
            display_name: "a test's key".to_owned(),
            kind: kind.into(),
            environments: names.collect(),
            ..ApiKey::default()
        }),
        ..CreateApiKeyRequest::default()
    };
    let response = admin.api_keys().create_api_key(request).await.unwrap();
    let response = response.into_inner();
    (response.api_key.unwrap(), response.secret)
}
