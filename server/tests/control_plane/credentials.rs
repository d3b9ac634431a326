//! Who is let in.

use axum::Router;
use axum::middleware::from_fn_with_state;
use burgee_hub::credential;
use burgee_hub::limits::Limits;
use burgee_proto::types::v1::AccessKeyKind;
use burgee_server::access::{Caller, vouch};
use burgee_server::app::App;
use burgee_server::audit::denials::Denials;
use burgee_server::auth::{self, Principals};
use burgee_server::{change, deployment};
use http::{Request, StatusCode};
use tower::ServiceExt as _;

use crate::plane::{ONE, Plane, creation};

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
        (Principals::new(app, Limits::default()), Denials::default()),
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
    plane.run("update tokens set expires_at = now()").await;
    assert_eq!(
        call(&plane.app, LIST, token.expose()).await,
        UNAUTHENTICATED
    );
    plane
        .run("update tokens set expires_at = null, revoked_at = now()")
        .await;
    assert_eq!(
        call(&plane.app, LIST, token.expose()).await,
        UNAUTHENTICATED
    );
    plane.stop().await;
}
