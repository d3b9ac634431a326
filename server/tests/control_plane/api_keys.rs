//! What environments ship of a key, and what ends it.

use burgee_hub::credential;
use burgee_proto::admin::v1::{
    CreateApiKeyRequest, DeleteEnvironmentRequest, RevokeApiKeyRequest, RotateApiKeyRequest,
};
use burgee_proto::types::v1::AccessKeyKind;
use burgee_server::error::Error;

use crate::plane::{ONE, Plane, TWO, creation};

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
