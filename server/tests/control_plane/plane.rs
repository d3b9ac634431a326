//! A control plane without a port.

use burgee_hub::credential;
use burgee_proto::admin::v1::{
    ApiKey, CreateApiKeyRequest, CreateApiKeyResponse, CreateEnvironmentRequest,
    CreateProjectRequest, Environment, Project,
};
use burgee_proto::sync::v1::ItemKind;
use burgee_proto::types::v1::{AccessKey, AccessKeyKind};
use burgee_server::access::vouch;
use burgee_server::app::App;
use burgee_server::change::{self, Mutation};
use burgee_server::config::Database;
use burgee_server::deployment;
use burgee_server::error::Error;
use burgee_server::failure::Failure;
use burgee_server::private_postgres::{Options, PrivatePostgres};
use prost::Message as _;
use tempfile::TempDir;
use uuid::Uuid;

pub(crate) const ONE: &str = "projects/shop/environments/one";
pub(crate) const TWO: &str = "projects/shop/environments/two";

/// A control plane without a port, over a database of its own.
pub(crate) struct Plane {
    pub(crate) app: App,
    pub(crate) organization: Uuid,
    postgres: PrivatePostgres,
    _folder: TempDir,
}

impl Plane {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            durable: false,
            ..Options::new(folder.path())
        };
        let postgres = PrivatePostgres::start(options).await.unwrap();
        let database = Database::at(postgres.url());
        let app = App::connect(&database, false).await.unwrap();
        let empty = deployment::check_schema(&app.pools.read).await;
        assert!(
            matches!(empty, Err(Failure::Schema { found: 0, .. })),
            "{empty:?}"
        );
        deployment::migrate(&database).await.unwrap();
        deployment::check_schema(&app.pools.read).await.unwrap();
        deployment::ensure_deployment(&app.pools.write)
            .await
            .unwrap();
        // Replicas that start at once agree on one organization.
        let pool = &app.pools.write;
        let (organization, other) = tokio::join!(
            deployment::ensure_organization(pool),
            deployment::ensure_organization(pool)
        );
        let organization = organization.unwrap();
        assert_eq!(organization, other.unwrap());
        Self {
            app,
            organization,
            postgres,
            _folder: folder,
        }
    }

    /// With the project `shop` and the environments `one` and `two`.
    pub(crate) async fn with_environments() -> Self {
        let plane = Self::new().await;
        let project = Project {
            key: "shop".to_owned(),
            ..Project::default()
        };
        let request = CreateProjectRequest {
            project: Some(project),
            ..CreateProjectRequest::default()
        };
        plane.perform(request).await.unwrap();
        for key in ["one", "two"] {
            plane.environment(key).await;
        }
        plane
    }

    pub(crate) async fn environment(&self, key: &str) -> Environment {
        let environment = Environment {
            key: key.to_owned(),
            ..Environment::default()
        };
        let request = CreateEnvironmentRequest {
            parent: "projects/shop".to_owned(),
            environment: Some(environment),
            ..CreateEnvironmentRequest::default()
        };
        self.perform(request).await.unwrap().environment.unwrap()
    }

    pub(crate) async fn perform<M: Mutation>(&self, message: M) -> Result<M::Response, Error> {
        let authorized = vouch(self.organization, "tests", "tests");
        change::perform(&self.app, authorized, message).await
    }

    pub(crate) async fn create(
        &self,
        kind: AccessKeyKind,
        environments: &[&str],
    ) -> Result<CreateApiKeyResponse, Error> {
        self.perform(creation(kind, environments)).await
    }

    /// What an environment ships of a secret.
    pub(crate) async fn shipped(&self, environment: &str, secret: &str) -> Option<AccessKey> {
        let hash = credential::hash(secret);
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let body: Option<Vec<u8>> = sqlx::query_scalar(
            "select i.body from environment_items i join environments e on e.id = i.environment_id
             where e.key = $1 and i.kind = $2 and i.key = $3",
        )
        .bind(environment.rsplit('/').next())
        .bind(ItemKind::AccessKey as i16)
        .bind(hex)
        .fetch_optional(&self.app.pools.read)
        .await
        .unwrap()
        .flatten();
        body.map(|body| AccessKey::decode(body.as_slice()).unwrap())
    }

    pub(crate) async fn number(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query)
            .fetch_one(&self.app.pools.read)
            .await
            .unwrap()
    }

    pub(crate) async fn run(&self, statement: &'static str) {
        sqlx::raw_sql(statement)
            .execute(&self.app.pools.write)
            .await
            .unwrap();
    }

    pub(crate) async fn stop(self) {
        self.app.close().await;
        self.postgres.stop().await;
    }
}

/// A key to be made.
pub(crate) fn creation(kind: AccessKeyKind, environments: &[&str]) -> CreateApiKeyRequest {
    let environments = environments.iter().map(|name| (*name).to_owned()).collect();
    CreateApiKeyRequest {
        api_key: Some(ApiKey {
            kind: kind.into(),
            environments,
            ..ApiKey::default()
        }),
        ..CreateApiKeyRequest::default()
    }
}
