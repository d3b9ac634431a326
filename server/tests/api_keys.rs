//! API keys and what surrounds them, on a real Postgres: what environments ship
//! of a key, what ends it, and who is let in.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may stop at the first thing that is not as it should be"
)]

use axum::Router;
use axum::middleware::from_fn_with_state;
use burgee_hub::credential;
use burgee_proto::admin::v1::{
    ApiKey, CreateApiKeyRequest, CreateApiKeyResponse, CreateEnvironmentRequest,
    CreateProjectRequest, DeleteEnvironmentRequest, DeleteProjectRequest, Environment, Project,
    RevokeApiKeyRequest, RotateApiKeyRequest, UpdateApiKeyRequest,
};
use burgee_proto::sync::v1::ItemKind;
use burgee_proto::types::v1::{AccessKey, AccessKeyKind};
use burgee_server::access::{Caller, vouch};
use burgee_server::app::App;
use burgee_server::audit::denials::Denials;
use burgee_server::auth::{self, Tokens};
use burgee_server::change::{self, Mutation};
use burgee_server::config::Database;
use burgee_server::deployment;
use burgee_server::error::Error;
use burgee_server::failure::Failure;
use burgee_server::private_postgres::{Options, PrivatePostgres};
use http::{Request, StatusCode};
use prost::Message as _;
use prost_types::FieldMask;
use tempfile::TempDir;
use tower::ServiceExt as _;
use uuid::Uuid;

const ONE: &str = "projects/shop/environments/one";
const TWO: &str = "projects/shop/environments/two";

/// A control plane without a port, over a database of its own.
struct Plane {
    app: App,
    organization: Uuid,
    postgres: PrivatePostgres,
    _folder: TempDir,
}

impl Plane {
    async fn new() -> Self {
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
    async fn with_environments() -> Self {
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

    async fn environment(&self, key: &str) -> Environment {
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

    async fn perform<M: Mutation>(&self, message: M) -> Result<M::Response, Error> {
        let authorized = vouch(self.organization, "tests", "tests");
        change::perform(&self.app, authorized, message).await
    }

    async fn create(
        &self,
        kind: AccessKeyKind,
        environments: &[&str],
    ) -> Result<CreateApiKeyResponse, Error> {
        self.perform(creation(kind, environments)).await
    }

    /// What an environment ships of a secret.
    async fn shipped(&self, environment: &str, secret: &str) -> Option<AccessKey> {
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

    async fn number(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query)
            .fetch_one(&self.app.pools.read)
            .await
            .unwrap()
    }

    async fn run(&self, statement: &'static str) {
        sqlx::raw_sql(statement)
            .execute(&self.app.pools.write)
            .await
            .unwrap();
    }

    async fn stop(self) {
        self.app.close().await;
        self.postgres.stop().await;
    }
}

fn creation(kind: AccessKeyKind, environments: &[&str]) -> CreateApiKeyRequest {
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

#[tokio::test]
async fn a_secret_is_shown_once_and_stored_nowhere() {
    let plane = Plane::with_environments().await;
    let request = CreateApiKeyRequest {
        request_id: "once".to_owned(),
        ..creation(AccessKeyKind::Server, &[ONE])
    };
    let first = plane.perform(request.clone()).await.unwrap();
    let again = plane.perform(request).await.unwrap();
    assert_eq!(
        credential::parse(&first.secret),
        Ok(credential::Kind::Server)
    );
    assert_eq!(
        (again.secret.as_str(), again.secret_already_shown),
        ("", true)
    );
    assert_eq!(again.api_key, first.api_key);
    assert_eq!(plane.number("select count(*) from api_keys").await, 1);
    let kept: Vec<u8> =
        sqlx::query_scalar("select response from idempotency_records where request_id = 'once'")
            .fetch_one(&plane.app.pools.read)
            .await
            .unwrap();
    assert!(
        !kept
            .windows(first.secret.len())
            .any(|bytes| bytes == first.secret.as_bytes())
    );
    assert_eq!(
        plane.shipped(ONE, &first.secret).await.unwrap().kind(),
        AccessKeyKind::Server
    );
    assert!(plane.shipped(TWO, &first.secret).await.is_none());
    plane.stop().await;
}

#[tokio::test]
async fn a_relay_key_is_shipped_where_it_opens_and_nowhere_else() {
    let plane = Plane::with_environments().await;
    let made = plane
        .create(AccessKeyKind::Relay, &[TWO, ONE])
        .await
        .unwrap();
    let key = made.api_key.unwrap();
    assert_eq!(key.environments, [ONE, TWO]);
    assert_eq!(
        plane
            .shipped(ONE, &made.secret)
            .await
            .unwrap()
            .environments
            .len(),
        2
    );

    let narrowed = UpdateApiKeyRequest {
        api_key: Some(ApiKey {
            environments: vec![TWO.to_owned()],
            ..key.clone()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["environments".to_owned()],
        }),
        ..UpdateApiKeyRequest::default()
    };
    plane.perform(narrowed.clone()).await.unwrap();
    assert!(plane.shipped(ONE, &made.secret).await.is_none());
    assert_eq!(
        plane
            .shipped(TWO, &made.secret)
            .await
            .unwrap()
            .environments
            .len(),
        1
    );
    // The etag has moved.
    let stale = plane.perform(narrowed).await;
    assert!(
        matches!(stale, Err(Error::EtagMismatch { .. })),
        "{stale:?}"
    );
    let absent = plane
        .create(
            AccessKeyKind::Relay,
            &[ONE, "projects/shop/environments/none"],
        )
        .await;
    assert!(matches!(absent, Err(Error::NotFound { .. })), "{absent:?}");
    plane.stop().await;
}

#[tokio::test]
async fn a_revoked_key_goes_on_being_shipped_as_revoked() {
    let plane = Plane::with_environments().await;
    let made = plane.create(AccessKeyKind::Client, &[ONE]).await.unwrap();
    let name = made.api_key.unwrap().name;
    let request = RevokeApiKeyRequest {
        name: name.clone(),
        ..RevokeApiKeyRequest::default()
    };
    let revoked = plane.perform(request.clone()).await.unwrap();
    assert!(plane.shipped(ONE, &made.secret).await.unwrap().revoked);
    // Doing it again changes nothing, and takes no revision.
    assert_eq!(
        plane.perform(request).await.unwrap().positions,
        revoked.positions
    );
    let successor = RotateApiKeyRequest {
        name,
        ..RotateApiKeyRequest::default()
    };
    let refused = plane.perform(successor).await;
    assert!(
        matches!(refused, Err(Error::Precondition { .. })),
        "{refused:?}"
    );
    assert_eq!(
        plane
            .number("select count(*) from audit_entries where resource like 'apiKeys/%'")
            .await,
        2
    );
    plane.stop().await;
}

#[tokio::test]
async fn a_rotated_key_ends_after_the_overlap() {
    let plane = Plane::with_environments().await;
    let made = plane.create(AccessKeyKind::Server, &[ONE]).await.unwrap();
    let request = RotateApiKeyRequest {
        name: made.api_key.unwrap().name,
        overlap: Some(prost_types::Duration {
            seconds: 60,
            nanos: 0,
        }),
        ..RotateApiKeyRequest::default()
    };
    let rotated = plane.perform(request).await.unwrap();
    let old = plane.shipped(ONE, &made.secret).await.unwrap();
    let new = plane.shipped(ONE, &rotated.secret).await.unwrap();
    assert_eq!(old.expire_time, rotated.replaced.unwrap().expire_time);
    let lifetime =
        old.expire_time.unwrap().seconds - rotated.api_key.unwrap().create_time.unwrap().seconds;
    assert_eq!(lifetime, 60);
    assert_eq!(
        (new.environments, new.expire_time, new.revoked),
        (old.environments, None, false)
    );
    plane.stop().await;
}

#[tokio::test]
async fn deleting_an_environment_ends_the_keys_that_open_nothing_else() {
    let plane = Plane::with_environments().await;
    let three = plane.environment("three").await;
    let server = plane
        .create(AccessKeyKind::Server, &[&three.name])
        .await
        .unwrap();
    let relay = plane
        .create(AccessKeyKind::Relay, &[&three.name, TWO])
        .await
        .unwrap();
    let request = DeleteEnvironmentRequest {
        name: three.name,
        etag: three.etag,
        ..DeleteEnvironmentRequest::default()
    };
    plane.perform(request).await.unwrap();
    let hash = credential::hash(&server.secret);
    let ended = burgee_server::api_keys::look_up(&plane.app.pools.read, &hash)
        .await
        .unwrap()
        .unwrap();
    assert!(ended.revoked && ended.environments.is_empty());
    let left = plane.shipped(TWO, &relay.secret).await.unwrap();
    assert_eq!((left.environments.len(), left.revoked), (1, false));
    plane.stop().await;
}

#[tokio::test]
async fn development_credentials_end_where_development_ends() {
    let plane = Plane::with_environments().await;
    let development = App {
        dev: true,
        ..plane.app.clone()
    };
    let authorized = vouch(plane.organization, "tests", "tests");
    let made = change::perform(
        &development,
        authorized,
        creation(AccessKeyKind::Server, &[ONE]),
    )
    .await
    .unwrap();
    assert!(made.api_key.unwrap().dev);
    let lasting = plane.create(AccessKeyKind::Server, &[ONE]).await.unwrap();
    let token = deployment::create_admin_token(&plane.app.pools.write, plane.organization, true)
        .await
        .unwrap();

    deployment::revoke_dev_keys(&plane.app).await.unwrap();
    assert!(plane.shipped(ONE, &made.secret).await.unwrap().revoked);
    assert!(!plane.shipped(ONE, &lasting.secret).await.unwrap().revoked);
    assert_eq!(call(&development, LIST, token.expose()).await, OK);
    assert_eq!(
        call(&plane.app, LIST, token.expose()).await,
        UNAUTHENTICATED
    );
    plane.stop().await;
}

const LIST: &str = "/burgee.admin.v1.ProjectService/ListProjects";
const OK: &str = "0";
const UNIMPLEMENTED: &str = "12";
const UNAUTHENTICATED: &str = "16";

/// The gRPC status of a call through the authentication layer to a handler that
/// says whether it was told who calls.
async fn call(app: &App, method: &str, token: &str) -> String {
    let handler = |request: axum::extract::Request| async move {
        let told = request.extensions().get::<Caller>().is_some();
        let wanted = request.uri().path().starts_with("/burgee.admin.");
        assert_eq!(told, wanted);
        tonic::Status::ok("").into_http::<axum::body::Body>()
    };
    let router = Router::new().fallback(handler).layer(from_fn_with_state(
        (Tokens::new(app), Denials::default()),
        auth::authenticate,
    ));
    let request = Request::post(method).header("authorization", format!("Bearer {token}"));
    let response = router
        .oneshot(request.body(axum::body::Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.headers()["grpc-status"]
        .to_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_token_opens_what_has_a_row_in_the_table_until_it_ends() {
    let plane = Plane::new().await;
    let token = deployment::create_admin_token(&plane.app.pools.write, plane.organization, false)
        .await
        .unwrap();
    let unknown = credential::generate(credential::Kind::ServiceAccount, [1; 32]);
    assert_eq!(call(&plane.app, LIST, token.expose()).await, OK);
    assert_eq!(
        call(&plane.app, LIST, unknown.expose()).await,
        UNAUTHENTICATED
    );
    assert_eq!(call(&plane.app, LIST, "").await, UNAUTHENTICATED);
    assert_eq!(
        call(&plane.app, "/burgee.sync.v1.SyncService/GetRuleset", "").await,
        OK
    );
    assert_eq!(
        call(
            &plane.app,
            "/burgee.admin.v1.ProjectService/Nope",
            token.expose()
        )
        .await,
        UNIMPLEMENTED
    );
    plane
        .run("update service_account_tokens set expires_at = now()")
        .await;
    assert_eq!(
        call(&plane.app, LIST, token.expose()).await,
        UNAUTHENTICATED
    );
    plane
        .run("update service_account_tokens set expires_at = null, revoked_at = now()")
        .await;
    assert_eq!(
        call(&plane.app, LIST, token.expose()).await,
        UNAUTHENTICATED
    );
    plane.stop().await;
}

#[tokio::test]
async fn another_cluster_begins_one_new_epoch() {
    const EPOCH: &str = "select epoch from deployment";
    let plane = Plane::new().await;
    let first = plane.number(EPOCH).await;
    deployment::ensure_deployment(&plane.app.pools.write)
        .await
        .unwrap();
    assert_eq!(plane.number(EPOCH).await, first);
    // As after a restore: the clock of the old cluster was ahead, too.
    assert!(!deployment::has_moved(&plane.app.pools.feed).await.unwrap());
    plane
        .run("update deployment set system_identifier = 1, epoch = epoch + 1000000000")
        .await;
    assert!(deployment::has_moved(&plane.app.pools.feed).await.unwrap());
    let pool = &plane.app.pools.write;
    let (one, other) = tokio::join!(
        deployment::ensure_deployment(pool),
        deployment::ensure_deployment(pool)
    );
    one.and(other).unwrap();
    assert_eq!(plane.number(EPOCH).await, first + 1_000_000_001);
    let by_hand = deployment::new_epoch(pool).await.unwrap();
    assert_eq!(by_hand, (first + 1_000_000_002).cast_unsigned());
    deployment::new_epoch_after(pool, first.cast_unsigned(), by_hand)
        .await
        .unwrap();
    assert_eq!(plane.number(EPOCH).await.cast_unsigned(), by_hand);
    deployment::new_epoch_after(pool, by_hand, by_hand)
        .await
        .unwrap();
    assert_eq!(plane.number(EPOCH).await.cast_unsigned(), by_hand + 1);
    // What was delivered may be of an epoch that the database knows nothing of.
    deployment::new_epoch_after(pool, by_hand + 1, by_hand + 5)
        .await
        .unwrap();
    assert_eq!(plane.number(EPOCH).await.cast_unsigned(), by_hand + 6);
    plane.stop().await;
}

#[tokio::test]
async fn a_deletion_asked_for_again_has_the_first_answer() {
    let plane = Plane::new().await;
    let project = Project {
        key: "shop".to_owned(),
        ..Project::default()
    };
    let create = CreateProjectRequest {
        project: Some(project),
        ..CreateProjectRequest::default()
    };
    let created = plane.perform(create).await.unwrap().project.unwrap();
    let delete = DeleteProjectRequest {
        name: created.name,
        etag: created.etag,
        request_id: "once".to_owned(),
        ..DeleteProjectRequest::default()
    };
    let first = plane.perform(delete.clone()).await.unwrap();
    assert_eq!(plane.perform(delete.clone()).await.unwrap(), first);
    let other = DeleteProjectRequest {
        request_id: "twice".to_owned(),
        ..delete
    };
    assert!(matches!(
        plane.perform(other).await,
        Err(Error::NotFound { .. })
    ));
    plane.stop().await;
}

#[tokio::test]
async fn a_full_environment_lets_keys_be_revoked_and_none_be_made() {
    let plane = Plane::with_environments().await;
    let made = plane.create(AccessKeyKind::Server, &[ONE]).await.unwrap();
    plane
        .run("update environment_heads set item_bytes = 20 * 1024 * 1024")
        .await;
    let more = plane.create(AccessKeyKind::Server, &[ONE]).await;
    assert!(matches!(more, Err(Error::Limit { .. })), "{more:?}");
    let revoke = RevokeApiKeyRequest {
        name: made.api_key.unwrap().name,
        ..RevokeApiKeyRequest::default()
    };
    plane.perform(revoke).await.unwrap();
    assert!(plane.shipped(ONE, &made.secret).await.unwrap().revoked);
    plane.stop().await;
}
