//! A key opens what its maker may see, and no more.

use burgee_proto::admin::v1::{ApiKey, CreateApiKeyRequest};
use burgee_proto::types::v1::AccessKeyKind;
use burgee_tests::errors::{reason, refused};
use burgee_tests::project::TestEnvironment;
use burgee_tests::server::TestServer;
use tonic::Code;

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
