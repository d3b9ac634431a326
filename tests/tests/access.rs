//! Who is let in: every RPC asks.

use std::time::Duration;

use burgee_proto::FILE_DESCRIPTOR_SET;
use burgee_proto::admin::v1::{ApiKey, CreateApiKeyRequest, ListProjectsRequest};
use burgee_proto::evaluation::v1::EvaluateAllRequest;
use burgee_proto::sync::v1::{GetRulesetRequest, GoodbyeReason, WatchEnvironmentsRequest};
use burgee_proto::types::v1::AccessKeyKind;
use burgee_tests::builders::boolean_flag;
use burgee_tests::callers::{Caller, channel};
use burgee_tests::errors::{reason, refused};
use burgee_tests::relay::TestRelay;
use burgee_tests::server::TestServer;
use burgee_tests::wait::until;
use burgee_tests::watcher::{End, RulesetWatcher};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

/// Calls are refused within two seconds; asserted with ten times that.
const CALLS_DEADLINE: Duration = Duration::from_secs(20);
/// Streams end within five seconds; asserted with ten times that.
const STREAMS_DEADLINE: Duration = Duration::from_secs(50);

/// Well-formed, and of nobody: a made-up secret with a checksum that fits.
fn unknown(kind: burgee_hub::credential::Kind) -> String {
    burgee_hub::credential::generate(kind, rand::random())
        .expose()
        .to_owned()
}

/// `/package.Service/Method` of every RPC of the contract.
fn every_rpc() -> Vec<String> {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let mut paths = Vec::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                let (package, service) = (file.package(), service.name());
                paths.push(format!("/{package}.{service}/{}", method.name()));
            }
        }
    }
    paths
}

/// Calls an RPC with an empty message, whatever it takes.
async fn call(address: &str, path: &str, credential: Option<&str>) -> Status {
    let mut client = tonic::client::Grpc::new(channel(address));
    client.ready().await.unwrap();
    let mut request = Request::new(());
    if let Some(credential) = credential {
        request
            .metadata_mut()
            .insert("authorization", credential.parse().unwrap());
    }
    // Unary or streaming: a refusal looks the same.
    let codec = ProstCodec::<(), ()>::default();
    let path = path.parse().unwrap();
    match client.server_streaming(request, path, codec).await {
        Err(status) => status,
        Ok(response) => match response.into_inner().message().await {
            Err(status) => status,
            Ok(_) => Status::ok("answered"),
        },
    }
}

#[tokio::test]
async fn every_rpc_refuses_whoever_has_no_valid_credential() {
    let server = TestServer::start().await;
    let rpcs = every_rpc();
    assert!(rpcs.len() > 30, "the contract is walked: {rpcs:?}");
    let bearer = |credential: String| Some(format!("Bearer {credential}"));
    let credentials = [
        ("none", None),
        ("an empty one", Some("Bearer ".to_owned())),
        ("another scheme", Some("Basic YWRtaW46YWRtaW4=".to_owned())),
        ("a malformed one", bearer("burgee_srv_tooshort".to_owned())),
        (
            "an unknown token",
            bearer(unknown(burgee_hub::credential::Kind::ServiceAccount)),
        ),
        (
            "an unknown server key",
            bearer(unknown(burgee_hub::credential::Kind::Server)),
        ),
        (
            "an unknown relay key",
            bearer(unknown(burgee_hub::credential::Kind::Relay)),
        ),
    ];
    // Whoever calls these says in the request who they are: an empty one is malformed.
    let (unproven, rpcs): (Vec<_>, Vec<_>) = rpcs.iter().partition(|path| {
        let (_, rule) = burgee_server::access::rule(path).unwrap();
        rule == burgee_server::access::Rule::Unproven
    });
    for path in unproven {
        for (what, credential) in &credentials {
            let status = call(server.address(), path, credential.as_deref()).await;
            let code = status.code();
            assert_eq!(
                code,
                Code::InvalidArgument,
                "{path} with {what}: {status:?}"
            );
        }
    }
    for path in rpcs {
        for (what, credential) in &credentials {
            let status = call(server.address(), path, credential.as_deref()).await;
            assert_eq!(
                status.code(),
                Code::Unauthenticated,
                "{path} with {what}: {status:?}"
            );
            let reasons = ["CREDENTIAL_MISSING", "CREDENTIAL_INVALID"];
            assert!(
                reasons.contains(&reason(&status).as_str()),
                "{path}: {status:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_key_of_the_data_plane_opens_nothing_of_the_admin_plane() {
    let server = TestServer::start().await;
    let (_, production) = server.shop().await;
    let admin_rpcs = every_rpc()
        .into_iter()
        .filter(|path| path.contains("burgee.admin."));
    let keys = [production.server_key().await, production.relay_key().await];
    let admin_rpcs = admin_rpcs.filter(|path| {
        let (_, rule) = burgee_server::access::rule(path).unwrap();
        rule != burgee_server::access::Rule::Unproven
    });
    for path in admin_rpcs {
        for key in &keys {
            let status = call(server.address(), &path, Some(&format!("Bearer {key}"))).await;
            let codes = [Code::PermissionDenied, Code::Unauthenticated];
            assert!(codes.contains(&status.code()), "{path}: {status:?}");
        }
    }
}

#[tokio::test]
async fn each_kind_of_key_opens_what_it_is_for_and_no_more() {
    let server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    let staging = shop.environment("staging").await;
    shop.create_flag(boolean_flag("internal")).await;
    let mut visible = boolean_flag("visible");
    visible.client_visible = true;
    shop.create_flag(visible).await;

    let client = server.caller(&production.client_key().await);
    let all = client
        .evaluation()
        .evaluate_all(EvaluateAllRequest::default())
        .await
        .unwrap();
    let keys: Vec<_> = all
        .get_ref()
        .evaluations
        .iter()
        .map(|it| it.flag_key.as_str())
        .collect();
    assert_eq!(
        keys,
        ["visible"],
        "a client key sees what is client-visible"
    );
    let hidden = client.evaluate_for_alice("internal").await.unwrap();
    assert_eq!(
        hidden.error_code(),
        burgee_proto::types::v1::ErrorCode::FlagNotFound
    );
    let outcome = client
        .sync()
        .get_ruleset(GetRulesetRequest::default())
        .await;
    refused(outcome, Code::PermissionDenied);

    let sdk = server.caller(&production.server_key().await);
    let outcome = sdk
        .sync()
        .watch_environments(WatchEnvironmentsRequest::default())
        .await;
    refused(outcome, Code::PermissionDenied);
    let elsewhere = GetRulesetRequest {
        environment: staging.uid.clone(),
        ..GetRulesetRequest::default()
    };
    let status = sdk
        .sync()
        .get_ruleset(elsewhere)
        .await
        .map(drop)
        .unwrap_err();
    let codes = [Code::PermissionDenied, Code::NotFound];
    assert!(codes.contains(&status.code()), "{status:?}");
}

#[tokio::test]
async fn access_keys_travel_to_relays_only() {
    use burgee_proto::sync::v1::ItemKind;
    let server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    shop.create_flag(boolean_flag("banner")).await;
    let relay_caller = server.caller(&production.relay_key().await);
    let sdk_caller = server.caller(&production.server_key().await);
    let head = production.position().await;

    let relay = RulesetWatcher::follow_environment(&relay_caller, &production.uid);
    let sdk = RulesetWatcher::follow(&sdk_caller);
    let (relay, sdk) = (
        relay.reaches(head).await.ledger,
        sdk.reaches(head).await.ledger,
    );

    let access_key = i32::from(ItemKind::AccessKey);
    let count = |ledger: &burgee_tests::watcher::Ledger| {
        ledger
            .items
            .keys()
            .filter(|(kind, _)| *kind == access_key)
            .count()
    };
    assert_eq!(count(&relay), 2, "the relay key itself, and the server key");
    assert_eq!(count(&sdk), 0);
}

#[tokio::test]
async fn a_new_key_works_at_once_at_the_server_and_soon_at_the_relay() {
    let server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    shop.create_flag(boolean_flag("banner")).await;
    let relay = TestRelay::start(server.address(), &production.relay_key().await).await;
    let first = relay.caller(&production.server_key().await);
    RulesetWatcher::follow(&first).synchronised().await;

    let secret = production.server_key().await;

    server
        .caller(&secret)
        .evaluate_for_alice("banner")
        .await
        .unwrap();
    let at_relay = relay.caller(&secret);
    until("the relay knows the key", CALLS_DEADLINE, async || {
        at_relay.evaluate_for_alice("banner").await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_replica_that_was_not_asked_before_knows_every_key() {
    let server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    shop.create_flag(boolean_flag("banner")).await;
    let secret = production.server_key().await;
    let other = TestServer::on(server.database()).await;

    other
        .caller(&secret)
        .evaluate_for_alice("banner")
        .await
        .unwrap();
    let token = server.database().admin_token().await;
    let admin = Caller::new(other.address(), &token);
    let projects = admin
        .projects()
        .list_projects(ListProjectsRequest::default())
        .await;
    assert_eq!(projects.unwrap().into_inner().projects.len(), 1);
}

#[tokio::test]
async fn a_key_that_has_expired_is_refused() {
    let server = TestServer::start().await;
    let (_, production) = server.shop().await;
    let soon = std::time::SystemTime::now() + Duration::from_secs(2);
    let request = CreateApiKeyRequest {
        api_key: Some(ApiKey {
            kind: AccessKeyKind::Server.into(),
            environments: vec![production.name.clone()],
            expire_time: Some(soon.into()),
            ..ApiKey::default()
        }),
        ..CreateApiKeyRequest::default()
    };
    let created = server
        .admin()
        .api_keys()
        .create_api_key(request)
        .await
        .unwrap();
    let caller = server.caller(&created.into_inner().secret);
    let watcher = RulesetWatcher::follow(&caller);
    watcher.synchronised().await;

    until("calls are refused", CALLS_DEADLINE, async || {
        let outcome = caller.position().await;
        outcome.is_err_and(|status| status.code() == Code::Unauthenticated)
    })
    .await;
    let revoked = End::Goodbye(GoodbyeReason::KeyRevoked);
    watcher.ends_with(STREAMS_DEADLINE, revoked).await;
}
