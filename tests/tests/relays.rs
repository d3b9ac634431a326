//! A relay opens what its key opens, checks keys by itself, and serves on.

use burgee_hub::credential;
use burgee_proto::admin::v1::{
    ApiKey, DeleteEnvironmentRequest, RevokeApiKeyRequest, UpdateApiKeyRequest,
};
use burgee_proto::sync::v1::{GoodbyeReason, WatchEnvironmentsRequest};
use burgee_proto::types::v1::AccessKeyKind;
use burgee_tests::builders::boolean_flag;
use burgee_tests::errors::refused;
use burgee_tests::fault_proxy::{FaultProxy, Target};
use burgee_tests::project::{TestEnvironment, api_key};
use burgee_tests::relay::TestRelay;
use burgee_tests::server::TestServer;
use burgee_tests::wait::{SOON, until};
use burgee_tests::watcher::{End, Record, RulesetWatcher};
use std::time::Duration;
use tonic::Code;

/// What a relay learns of its environments arrives at once; asserted with a
/// margin.
const LIVE_DEADLINE: Duration = Duration::from_secs(50);
/// A stream without a sign of life for 45 s is lost, a connection without an
/// answer sooner.
const SILENCE_DEADLINE: Duration = Duration::from_secs(120);

#[tokio::test]
async fn environments_come_and_go_with_what_the_relay_key_lists() {
    let server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    let staging = shop.environment("staging").await;
    shop.create_flag(boolean_flag("banner")).await;
    let (relay_key, secret) = api_key(server.admin(), AccessKeyKind::Relay, &[&production]).await;
    let relay = TestRelay::start(server.address(), &secret).await;
    let in_production = relay.caller(&production.server_key().await);
    let in_staging = relay.caller(&staging.server_key().await);
    let watcher = RulesetWatcher::follow(&in_production);
    watcher.synchronised().await;
    in_staging.evaluate_for_alice("banner").await.unwrap_err();

    let etag = list(
        &server,
        &relay_key,
        &relay_key.etag,
        &[&staging, &production],
    )
    .await;
    until("staging is served", LIVE_DEADLINE, async || {
        in_staging.evaluate_for_alice("banner").await.is_ok()
    })
    .await;
    let changed = staging.enable("banner").await;
    RulesetWatcher::follow(&in_staging).reaches(changed).await;

    list(&server, &relay_key, &etag, &[&staging]).await;
    let deleted = End::Goodbye(GoodbyeReason::EnvironmentDeleted);
    watcher.ends_with(LIVE_DEADLINE, deleted).await;
    in_production
        .evaluate_for_alice("banner")
        .await
        .unwrap_err();
    until(
        "the file of production is gone",
        LIVE_DEADLINE,
        async || relay.saved(&production.uid).is_none(),
    )
    .await;
    assert!(in_staging.evaluate_for_alice("banner").await.is_ok());
}

/// Gives the relay key these environments; gives the new etag.
async fn list(
    server: &TestServer,
    relay_key: &ApiKey,
    etag: &str,
    environments: &[&TestEnvironment],
) -> String {
    let request = UpdateApiKeyRequest {
        api_key: Some(ApiKey {
            name: relay_key.name.clone(),
            environments: environments.iter().map(|it| it.name.clone()).collect(),
            ..ApiKey::default()
        }),
        etag: etag.to_owned(),
        ..UpdateApiKeyRequest::default()
    };
    let response = server.admin().api_keys().update_api_key(request).await;
    response.unwrap().into_inner().api_key.unwrap().etag
}

#[tokio::test]
async fn a_deleted_environment_says_goodbye_at_every_hop() {
    let server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    let staging = shop.environment("staging").await;
    shop.create_flag(boolean_flag("banner")).await;
    let (_, secret) = api_key(
        server.admin(),
        AccessKeyKind::Relay,
        &[&production, &staging],
    )
    .await;
    let relay = TestRelay::start(server.address(), &secret).await;
    let key = staging.server_key().await;
    let at_server = RulesetWatcher::follow(&server.caller(&key));
    let at_relay = RulesetWatcher::follow(&relay.caller(&key));
    at_server.synchronised().await;
    at_relay.synchronised().await;

    let request = DeleteEnvironmentRequest {
        name: staging.name.clone(),
        etag: staging.get().await.etag,
        ..DeleteEnvironmentRequest::default()
    };
    server
        .admin()
        .environments()
        .delete_environment(request)
        .await
        .unwrap();

    let deleted = End::Goodbye(GoodbyeReason::EnvironmentDeleted);
    at_server.ends_with(LIVE_DEADLINE, deleted).await;
    at_relay.ends_with(LIVE_DEADLINE, deleted).await;
    let production_key = production.server_key().await;
    let caller = relay.caller(&production_key);
    until("production is served on", LIVE_DEADLINE, async || {
        caller.evaluate_for_alice("banner").await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_revoked_relay_key_ends_nothing_that_the_relay_serves() {
    let server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    shop.create_flag(boolean_flag("banner")).await;
    let sdk_key = production.server_key().await;
    let (relay_key, secret) = api_key(server.admin(), AccessKeyKind::Relay, &[&production]).await;
    let mut relay = TestRelay::start(server.address(), &secret).await;
    let watcher = RulesetWatcher::follow(&relay.caller(&sdk_key));
    let served = production.enable("banner").await;
    watcher.reaches(served).await;
    until("the relay has saved it", SOON, async || {
        relay.saved(&production.uid) >= Some(served)
    })
    .await;

    let request = RevokeApiKeyRequest {
        name: relay_key.name.clone(),
        ..RevokeApiKeyRequest::default()
    };
    server
        .admin()
        .api_keys()
        .revoke_api_key(request)
        .await
        .unwrap();
    let upstream = server.caller(&secret);
    until(
        "upstream refuses the relay's key",
        LIVE_DEADLINE,
        async || {
            let request = WatchEnvironmentsRequest::default();
            let outcome = upstream.sync().watch_environments(request).await;
            outcome.is_err_and(|status| status.code() == Code::Unauthenticated)
        },
    )
    .await;

    // Not even a start after that forgets what was received.
    relay.kill9();
    relay.start_again().await;
    let evaluation = relay
        .caller(&sdk_key)
        .evaluate_for_alice("banner")
        .await
        .unwrap();
    assert_eq!(evaluation.variant, "on");
}

#[tokio::test]
async fn a_corrupt_snapshot_is_set_aside_and_the_one_before_it_is_used() {
    let mut server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    shop.create_flag(boolean_flag("banner")).await;
    let key = production.server_key().await;
    let mut relay = TestRelay::start(server.address(), &production.relay_key().await).await;
    let first = production.position().await;
    until("the relay has saved", SOON, async || {
        relay.saved(&production.uid) >= Some(first)
    })
    .await;
    let second = production.enable("banner").await;
    until("the relay has saved again", SOON, async || {
        relay.saved(&production.uid) >= Some(second)
    })
    .await;
    server.kill9();
    relay.kill9();
    let newest = relay
        .files()
        .into_iter()
        .filter(|file| TestRelay::position_in(file) >= Some(second))
        .collect::<Vec<_>>();
    assert!(!newest.is_empty());
    for file in &newest {
        let mut bytes = std::fs::read(file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(file, bytes).unwrap();
    }

    relay.start_again().await;

    let caller = relay.caller(&key);
    let evaluation = caller.evaluate_for_alice("banner").await.unwrap();
    assert!(evaluation.position.unwrap() < second);
    assert_eq!(evaluation.variant, "off");
    assert!(
        relay.files().len() > newest.len(),
        "what is corrupt is kept aside"
    );
    server.start_again().await;
    let after = production.disable("banner").await;
    RulesetWatcher::follow(&caller).reaches(after).await;
}

#[tokio::test]
async fn a_relay_below_a_relay_serves_and_checks_keys_by_itself() {
    let server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    shop.create_flag(boolean_flag("banner")).await;
    let near = TestRelay::start(server.address(), &production.relay_key().await).await;
    let far = TestRelay::start(near.address(), &production.relay_key().await).await;
    let watcher = RulesetWatcher::follow(&far.caller(&production.server_key().await));
    watcher.synchronised().await;

    let changed = production.enable("banner").await;

    let record = watcher.reaches(changed).await;
    assert!(record.ledger.flag("banner").unwrap().enabled);
    let stranger = credential::generate(credential::Kind::Server, rand::random());
    let outcome = far
        .caller(stranger.expose())
        .evaluate_for_alice("banner")
        .await;
    refused(outcome, Code::Unauthenticated);
}

#[tokio::test]
async fn a_relay_that_never_reached_its_upstream_is_unavailable_and_not_empty() {
    let server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    shop.create_flag(boolean_flag("banner")).await;
    let address = server
        .address()
        .trim_start_matches("http://")
        .parse()
        .unwrap();
    let proxy = FaultProxy::start(Target::Tcp(address)).await;
    proxy.refuse();
    let relay = TestRelay::start(&proxy.url(), &production.relay_key().await).await;
    let sdk = relay.caller(&production.server_key().await);

    refused(sdk.evaluate_for_alice("banner").await, Code::Unavailable);

    proxy.heal();
    until("the relay serves", LIVE_DEADLINE, async || {
        sdk.evaluate_for_alice("banner").await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_relay_notices_that_its_upstream_died_in_silence() {
    let server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    shop.create_flag(boolean_flag("banner")).await;
    let key = production.server_key().await;
    let address = server.address().trim_start_matches("http://");
    let proxy = FaultProxy::start(Target::Tcp(address.parse().unwrap())).await;
    let relay = TestRelay::start(&proxy.url(), &production.relay_key().await).await;
    let watcher = RulesetWatcher::follow(&relay.caller(&key));
    let ends_before = watcher.synchronised().await.ends.len();

    proxy.freeze();
    let changed = production.enable("banner").await;

    let arrived = |record: &Record| record.ledger.position >= changed;
    watcher
        .wait_within(SILENCE_DEADLINE, "the change arrives", arrived)
        .await;
    let ends = watcher.record().ends;
    assert_eq!(ends.len(), ends_before, "the relay served on: {ends:?}");
}
