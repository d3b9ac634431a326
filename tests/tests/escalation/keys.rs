//! A key opens what its maker may see, and no more.

use burgee_proto::admin::v1::{ApiKey, CreateApiKeyRequest, UpdateApiKeyRequest};
use burgee_proto::types::v1::AccessKeyKind;
use burgee_tests::errors::{reason, refused};
use burgee_tests::project::TestEnvironment;
use burgee_tests::server::TestServer;
use prost_types::FieldMask;
use tonic::{Code, Status};

use super::world::create_role;

#[tokio::test]
async fn nobody_makes_a_key_that_shows_more_than_they_see() {
    let server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    let staging = shop.environment("staging").await;
    let owner = server.admin();
    create_role(owner, "keymaker", &["apiKey.create", "apiKey.read"]).await;
    let maker = owner.somebody("maker", "keymaker", "").await;
    owner.bind("maker", "viewer", &staging.name).await.unwrap();
    let make = async |kind: AccessKeyKind, environment: &TestEnvironment| {
        let request = CreateApiKeyRequest {
            api_key: Some(ApiKey {
                kind: kind.into(),
                environments: vec![environment.name.clone()],
                ..ApiKey::default()
            }),
            ..CreateApiKeyRequest::default()
        };
        maker.api_keys().create_api_key(request).await.map(drop)
    };
    for kind in [
        AccessKeyKind::Server,
        AccessKeyKind::Relay,
        AccessKeyKind::Test,
    ] {
        let status = refused(make(kind, &production).await, Code::PermissionDenied);
        assert_eq!(reason(&status), "PERMISSION_DENIED");
    }
    // What those show is public; what these show they see.
    make(AccessKeyKind::Client, &production).await.unwrap();
    make(AccessKeyKind::Server, &staging).await.unwrap();
}

#[tokio::test]
async fn nobody_makes_a_key_that_may_come_to_show_more_than_they_see() {
    let server = TestServer::start().await;
    let (shop, _) = server.shop().await;
    let staging = shop.environment("staging").await;
    let owner = server.admin();
    let keymaker = &["apiKey.create", "apiKey.read", "apiKey.update"];
    create_role(owner, "keymaker", keymaker).await;
    let maker = owner.somebody("maker", "keymaker", "").await;
    owner.bind("maker", "viewer", &staging.name).await.unwrap();
    let coming = |project: &str| ApiKey {
        kind: AccessKeyKind::Relay.into(),
        environment_patterns: vec![format!("projects/{project}/environments/coming")],
        ..ApiKey::default()
    };
    let make = async |key: ApiKey| -> Result<ApiKey, Status> {
        let request = CreateApiKeyRequest {
            api_key: Some(key),
            ..CreateApiKeyRequest::default()
        };
        let made = maker.api_keys().create_api_key(request).await?;
        Ok(made.into_inner().api_key.unwrap())
    };
    // Neither opens anything today.
    for project in ["shop", "*"] {
        let status = refused(make(coming(project)).await, Code::PermissionDenied);
        assert_eq!(reason(&status), "PERMISSION_DENIED", "{project}");
    }
    let of_staging = ApiKey {
        kind: AccessKeyKind::Relay.into(),
        environments: vec![staging.name.clone()],
        ..ApiKey::default()
    };
    let of_staging = make(of_staging).await.unwrap();
    let request = UpdateApiKeyRequest {
        etag: of_staging.etag.clone(),
        api_key: Some(ApiKey {
            name: of_staging.name.clone(),
            ..coming("shop")
        }),
        update_mask: Some(FieldMask {
            paths: vec!["environment_patterns".to_owned()],
        }),
        ..UpdateApiKeyRequest::default()
    };
    let outcome = maker.api_keys().update_api_key(request).await;
    refused(outcome, Code::PermissionDenied);

    // Whoever sees all of the project may: also what will be there.
    owner.bind("maker", "viewer", &shop.name()).await.unwrap();
    make(coming("shop")).await.unwrap();
    refused(make(coming("*")).await, Code::PermissionDenied);
}
