//! When keys were last used is known at the server, wherever they were used.

use std::time::{Duration, SystemTime};

use burgee_hub::credential;
use burgee_proto::admin::v1::{ApiKey, GetApiKeyRequest};
use burgee_proto::telemetry::v1::{EnvironmentKeyUses, KeyUse, ReportKeyUsesRequest};
use burgee_proto::types::v1::AccessKeyKind;
use burgee_tests::builders::boolean_flag;
use burgee_tests::callers::Caller;
use burgee_tests::errors::refused;
use burgee_tests::fault_proxy::{FaultProxy, Target};
use burgee_tests::project::{TestEnvironment, api_key};
use burgee_tests::relay::TestRelay;
use burgee_tests::server::TestServer;
use burgee_tests::wait::{SOON, until};
use tonic::{Code, Status};

/// Uses are told every 10 s, hop by hop; asserted with a margin.
const KNOWN_DEADLINE: Duration = Duration::from_secs(100);
/// Uses are known to the second.
const SECOND: Duration = Duration::from_secs(1);

async fn last_use(owner: &Caller, key: &ApiKey) -> Option<SystemTime> {
    let request = GetApiKeyRequest {
        name: key.name.clone(),
    };
    let key = owner.api_keys().get_api_key(request).await.unwrap();
    let time = key.into_inner().api_key.unwrap().last_used_time?;
    Some(SystemTime::try_from(time).unwrap())
}

/// Waits until it is known that a key was used, and gives when.
async fn known_use(owner: &Caller, key: &ApiKey) -> SystemTime {
    until("its use is known", KNOWN_DEADLINE, async || {
        last_use(owner, key).await.is_some()
    })
    .await;
    last_use(owner, key).await.unwrap()
}

async fn works(caller: &Caller) {
    until("the key works", SOON, async || {
        caller.evaluate_for_alice("banner").await.is_ok()
    })
    .await;
}

/// Tells the server when a key was used.
async fn tell(
    caller: &Caller,
    environment: &TestEnvironment,
    secret: &str,
    used_at: SystemTime,
) -> Result<(), Status> {
    let told = KeyUse {
        key_hash: credential::hash(secret).to_vec().into(),
        last_used_time: Some(used_at.into()),
    };
    let request = ReportKeyUsesRequest {
        environments: vec![EnvironmentKeyUses {
            environment: environment.uid.clone(),
            uses: vec![told],
        }],
    };
    let mut telemetry = caller.telemetry();
    telemetry.report_key_uses(request).await.map(drop)
}

#[tokio::test]
async fn the_last_use_of_every_kind_of_key_is_known_wherever_it_was() {
    let server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    shop.create_flag(boolean_flag("banner")).await;
    let owner = server.admin();
    let start = SystemTime::now() - SECOND;
    let make = async |kind| api_key(owner, kind, &[&production]).await;
    let (near_key, near) = make(AccessKeyKind::Relay).await;
    let (far_key, far) = make(AccessKeyKind::Relay).await;
    let near = TestRelay::start(server.address(), &near).await;
    let far = TestRelay::start(near.address(), &far).await;
    let (unused, _) = make(AccessKeyKind::Server).await;

    let mut used = vec![near_key, far_key];
    for (kind, address) in [
        (AccessKeyKind::Server, server.address()),
        (AccessKeyKind::Test, near.address()),
        (AccessKeyKind::Client, far.address()),
    ] {
        let (key, secret) = make(kind).await;
        assert_eq!(last_use(owner, &key).await, None);
        works(&Caller::new(address, &secret)).await;
        used.push(key);
    }
    // One that does nothing but set flags is used too.
    let (key, secret) = make(AccessKeyKind::Test).await;
    let tester = TestEnvironment {
        admin: server.caller(&secret),
        ..production.clone()
    };
    tester.enable("banner").await;
    used.push(key);

    for key in &used {
        let used_at = known_use(owner, key).await;
        assert!(used_at >= start && used_at <= SystemTime::now(), "{key:?}");
    }
    assert_eq!(last_use(owner, &unused).await, None);
}

#[tokio::test]
async fn a_use_at_a_relay_that_is_cut_off_is_known_when_it_is_back() {
    let server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    shop.create_flag(boolean_flag("banner")).await;
    let address = server.address().trim_start_matches("http://");
    let proxy = FaultProxy::start(Target::Tcp(address.parse().unwrap())).await;
    let relay = TestRelay::start(&proxy.url(), &production.relay_key().await).await;
    let known = production.server_key().await;
    works(&relay.caller(&known)).await;
    let owner = server.admin();
    let (key, secret) = api_key(owner, AccessKeyKind::Server, &[&production]).await;
    let head = production.position().await;
    until("the relay knows the key", SOON, async || {
        relay.saved(&production.uid) >= Some(head)
    })
    .await;

    proxy.refuse();
    let sdk = relay.caller(&secret);
    sdk.evaluate_for_alice("banner").await.unwrap();
    let used_by = SystemTime::now();
    until(
        "it was tried to tell upstream",
        KNOWN_DEADLINE,
        async || relay.log().contains("not told when keys were used"),
    )
    .await;
    assert_eq!(last_use(owner, &key).await, None);
    proxy.heal();

    assert!(known_use(owner, &key).await <= used_by);
}

#[tokio::test]
async fn a_relay_tells_of_keys_that_it_may_know_and_not_of_times_to_come() {
    let server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    let staging = shop.environment("staging").await;
    let owner = server.admin();
    let relay = server.caller(&production.relay_key().await);
    let (elsewhere, in_staging) = api_key(owner, AccessKeyKind::Server, &[&staging]).await;
    let (here, in_production) = api_key(owner, AccessKeyKind::Server, &[&production]).await;
    let (marker, in_production_too) = api_key(owner, AccessKeyKind::Server, &[&production]).await;
    let later = SystemTime::now() + Duration::from_secs(3_600);

    let other_kinds = [
        production.server_key().await,
        production.client_key().await,
        production.test_key().await,
    ];
    for key in other_kinds {
        let outcome = tell(&server.caller(&key), &production, &in_production, later).await;
        refused(outcome, Code::PermissionDenied);
    }
    // Of an environment that it does not open, and as if it were of one that it does.
    tell(&relay, &staging, &in_staging, later).await.unwrap();
    tell(&relay, &production, &in_staging, later).await.unwrap();
    tell(&relay, &production, &in_production, later)
        .await
        .unwrap();

    assert!(known_use(owner, &here).await <= SystemTime::now());
    // Earlier ones were written down before it, or with it.
    assert_eq!(last_use(owner, &elsewhere).await, None);

    let before = SystemTime::now() - Duration::from_secs(3_600);
    let last = last_use(owner, &here).await;
    tell(&relay, &production, &in_production, before)
        .await
        .unwrap();
    tell(&relay, &production, &in_production_too, before)
        .await
        .unwrap();
    known_use(owner, &marker).await;
    assert_eq!(
        last_use(owner, &here).await,
        last,
        "an earlier use is not the last"
    );
}

#[tokio::test]
async fn a_report_is_bounded() {
    let server = TestServer::start().await;
    let (_, production) = server.shop().await;
    let relay = server.caller(&production.relay_key().await);
    let environment = EnvironmentKeyUses {
        environment: production.uid.clone(),
        uses: vec![KeyUse::default(); 10_001],
    };
    let request = ReportKeyUsesRequest {
        environments: vec![environment],
    };
    let outcome = relay.telemetry().report_key_uses(request).await;
    refused(outcome, Code::InvalidArgument);
    let environment = EnvironmentKeyUses {
        environment: "nowhere".to_owned(),
        uses: vec![KeyUse::default()],
    };
    let request = ReportKeyUsesRequest {
        environments: vec![environment],
    };
    relay.telemetry().report_key_uses(request).await.unwrap();
}
