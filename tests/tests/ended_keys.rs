//! Keys that ended a month ago are shipped no more, and open nothing still.

use burgee_hub::credential;
use burgee_proto::admin::v1::{ApiKey, GetApiKeyRequest, RevokeApiKeyRequest, RotateApiKeyRequest};
use burgee_proto::sync::v1::ItemKind;
use burgee_proto::types::v1::{AccessKey, AccessKeyKind};
use burgee_tests::builders::boolean_flag;
use burgee_tests::callers::Caller;
use burgee_tests::project::{TestEnvironment, api_key};
use burgee_tests::relay::TestRelay;
use burgee_tests::server::TestServer;
use burgee_tests::wait::{SOON, until};
use burgee_tests::watcher::{Record, RulesetWatcher};
use prost::Message as _;
use tonic::Code;

/// What a receiver knows of a key.
fn known(record: &Record, secret: &str) -> Option<AccessKey> {
    let hash = credential::hash(secret);
    let key: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let item = record
        .ledger
        .items
        .get(&(ItemKind::AccessKey as i32, key))?;
    Some(AccessKey::decode(item.body.clone()).unwrap())
}

async fn revoke(owner: &Caller, key: &ApiKey) {
    let request = RevokeApiKeyRequest {
        name: key.name.clone(),
        ..RevokeApiKeyRequest::default()
    };
    owner.api_keys().revoke_api_key(request).await.unwrap();
}

/// Ends a key in favour of another, at once.
async fn rotate(owner: &Caller, key: &ApiKey) {
    let request = RotateApiKeyRequest {
        name: key.name.clone(),
        overlap: Some(prost_types::Duration::default()),
        ..RotateApiKeyRequest::default()
    };
    owner.api_keys().rotate_api_key(request).await.unwrap();
}

/// Makes a key's end one of so many days ago.
async fn ended(server: &TestServer, key: &ApiKey, days: i32) {
    let earlier = "update api_keys set expires_at = expires_at - make_interval(days => $2),
        revoked_at = revoked_at - make_interval(days => $2) where id = $1::text::uuid";
    let query = sqlx::query(earlier).bind(&key.uid).bind(days);
    query.execute(server.database().pool()).await.unwrap();
}

/// Waits until a key is refused for good.
async fn is_refused(address: &str, secret: &str) {
    let caller = Caller::new(address, secret);
    until("the key is refused", SOON, async || {
        let outcome = caller.evaluate_for_alice("banner").await;
        outcome.is_err_and(|status| status.code() == Code::Unauthenticated)
    })
    .await;
}

#[tokio::test]
async fn a_key_that_ended_a_month_ago_is_shipped_no_more_and_opens_nothing() {
    let mut server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    shop.create_flag(boolean_flag("banner")).await;
    let owner = server.admin().clone();
    let relay = TestRelay::start(server.address(), &production.relay_key().await).await;
    let make = async |kind| api_key(&owner, kind, &[&production]).await;
    let (revoked, revoked_secret) = make(AccessKeyKind::Server).await;
    let (expired, expired_secret) = make(AccessKeyKind::Server).await;
    let (recent, recent_secret) = make(AccessKeyKind::Server).await;
    let (_, live_secret) = make(AccessKeyKind::Server).await;
    revoke(&owner, &revoked).await;
    rotate(&owner, &expired).await;
    revoke(&owner, &recent).await;
    let before = production.position().await;
    let hop_key = production.relay_key().await;
    let watch = |address: &str| {
        RulesetWatcher::follow_environment(&Caller::new(address, &hop_key), &production.uid)
    };
    let watchers = [watch(server.address()), watch(relay.address())];
    for watcher in &watchers {
        let record = watcher.reaches(before).await;
        assert!(known(&record, &revoked_secret).unwrap().revoked);
        assert!(
            known(&record, &expired_secret)
                .unwrap()
                .expire_time
                .is_some()
        );
    }
    let before = production.position().await;
    let told = "select count(*) from audit_entries where part = 'apiKey'";
    let told_before = server.database().number(told).await;

    // It looks when it starts, and each hour.
    server.stop().await;
    ended(&server, &revoked, 31).await;
    ended(&server, &expired, 31).await;
    ended(&server, &recent, 29).await;
    server.start_again().await;

    for watcher in &watchers {
        let gone = |record: &Record| {
            let secrets = [&revoked_secret, &expired_secret];
            secrets.iter().all(|it| known(record, it).is_none())
        };
        let record = watcher.wait_for("the keys are shipped no more", gone).await;
        assert_eq!(record.ledger.position.revision, before.revision + 1);
        assert!(known(&record, &recent_secret).unwrap().revoked);
        assert!(known(&record, &live_secret).is_some());
    }
    for address in [server.address(), relay.address()] {
        for secret in [&revoked_secret, &expired_secret, &recent_secret] {
            is_refused(address, secret).await;
        }
        let live = Caller::new(address, &live_secret);
        live.evaluate_for_alice("banner").await.unwrap();
    }
    assert_eq!(
        server.database().number(told).await,
        told_before,
        "nobody did anything"
    );
    still_there(&owner, &production, [&revoked, &expired]).await;
}

/// Keys that are shipped no more are shown, and stay away whatever is done with them.
async fn still_there(owner: &Caller, production: &TestEnvironment, keys: [&ApiKey; 2]) {
    let before = production.position().await;
    for key in keys {
        revoke(owner, key).await;
        let name = key.name.clone();
        let mut service = owner.api_keys();
        let shown = service
            .get_api_key(GetApiKeyRequest { name })
            .await
            .unwrap();
        let shown = shown.into_inner().api_key.unwrap();
        assert_eq!(shown.environments, key.environments);
        assert!(shown.revoke_time.is_some());
    }
    assert_eq!(production.position().await, before);
}
