//! Test keys: end-to-end tests set the flags of an environment that is not protected, at the
//! server or through a relay, and nothing else.

use std::time::Duration;

use burgee_hub::credential;
use burgee_proto::admin::v1::{
    ApiKey, AuditFilter, CreateApiKeyRequest, Environment, GetFlagConfigRequest,
    ListAuditEntriesRequest, RemoveTargetKeysRequest, RotateApiKeyRequest, SetFlagEnabledRequest,
    SetRolloutRequest, UpdateEnvironmentRequest,
};
use burgee_proto::evaluation::v1::EvaluateRequest;
use burgee_proto::types::v1::{AccessKeyKind, SplitPart};
use burgee_tests::builders::{boolean_flag, context};
use burgee_tests::callers::Caller;
use burgee_tests::dev_server::shell;
use burgee_tests::errors::{reason, refused};
use burgee_tests::project::{TestEnvironment, TestProject, api_key};
use burgee_tests::relay::TestRelay;
use burgee_tests::server::TestServer;
use burgee_tests::wait::{SOON, until, within};
use burgee_tests::watcher::RulesetWatcher;
use prost::Message as _;
use prost_types::FieldMask;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::protocols::{bearer, frames, grpc_web};

/// A shop with a flag, and its environment as a test sees it.
struct Tested {
    server: TestServer,
    shop: TestProject,
    production: TestEnvironment,
    key: ApiKey,
    secret: String,
}

impl Tested {
    async fn start() -> Self {
        let server = TestServer::start().await;
        let (shop, production) = server.shop().await;
        shop.create_flag(boolean_flag("banner")).await;
        let (key, secret) = api_key(server.admin(), AccessKeyKind::Test, &[&production]).await;
        Self {
            server,
            shop,
            production,
            key,
            secret,
        }
    }

    /// The environment, changed with the test key at this address.
    fn at(&self, address: &str) -> TestEnvironment {
        TestEnvironment {
            admin: Caller::new(address, &self.secret),
            ..self.production.clone()
        }
    }

    async fn relay(&self) -> TestRelay {
        let key = self.production.relay_key().await;
        let relay = TestRelay::start(self.server.address(), &key).await;
        let tester = relay.caller(&self.secret);
        until("the relay knows the key", SOON, async || {
            tester.evaluate_for_alice("banner").await.is_ok()
        })
        .await;
        relay
    }

    async fn protect(&self, protected: bool) {
        let request = UpdateEnvironmentRequest {
            environment: Some(Environment {
                name: self.production.name.clone(),
                protected,
                ..Environment::default()
            }),
            update_mask: Some(FieldMask {
                paths: vec!["protected".to_owned()],
            }),
            etag: self.production.get().await.etag,
            ..UpdateEnvironmentRequest::default()
        };
        let mut environments = self.server.admin().environments();
        environments.update_environment(request).await.unwrap();
    }
}

async fn turn_on(environment: &TestEnvironment) -> Result<(), Status> {
    let request = environment.set_enabled_request("banner", true);
    let mut flags = environment.admin.flags();
    flags.set_flag_enabled(request).await.map(drop)
}

#[tokio::test]
async fn a_test_key_sets_flags_by_change_sets_like_any_other() {
    let tested = Tested::start().await;
    let environment = tested.at(tested.server.address());
    let caller = &environment.admin;

    let request = SetFlagEnabledRequest {
        reason: "the checkout's test".to_owned(),
        ..environment.set_enabled_request("banner", true)
    };
    let tried = SetFlagEnabledRequest {
        validate_only: true,
        ..request.clone()
    };
    let tried = caller.flags().set_flag_enabled(tried).await.unwrap();
    assert!(tried.into_inner().preview.is_some());
    let done = caller.flags().set_flag_enabled(request.clone()).await;
    let done = done.unwrap().into_inner();
    let again = caller.flags().set_flag_enabled(request.clone()).await;
    assert_eq!(again.unwrap().into_inner(), done);
    let stale = SetFlagEnabledRequest {
        etag: "stale".to_owned(),
        request_id: String::new(),
        ..request
    };
    refused(caller.flags().set_flag_enabled(stale).await, Code::Aborted);

    let position = environment
        .add_target_keys("banner", "off", &["alice"])
        .await;
    let question = EvaluateRequest {
        flag_key: "banner".to_owned(),
        context: Some(context("alice", &[])),
        min_position: Some(position),
        ..EvaluateRequest::default()
    };
    let evaluated = caller.evaluate_with(question).await.unwrap();
    assert_eq!(evaluated.variant, "off");
    let request = RemoveTargetKeysRequest {
        name: environment.flag_name("banner"),
        variant: "off".to_owned(),
        keys: vec!["alice".to_owned()],
        ..RemoveTargetKeysRequest::default()
    };
    caller.flags().remove_target_keys(request).await.unwrap();
    let part = |variant: &str, weight| SplitPart {
        variant: variant.to_owned(),
        weight,
    };
    let request = SetRolloutRequest {
        name: environment.flag_name("banner"),
        parts: vec![part("on", 50_000), part("off", 50_000)],
        ..SetRolloutRequest::default()
    };
    caller.flags().set_rollout(request).await.unwrap();

    let request = ListAuditEntriesRequest {
        filter: Some(AuditFilter {
            actor: tested.key.name.clone(),
            ..AuditFilter::default()
        }),
        ..ListAuditEntriesRequest::default()
    };
    let mut audit = tested.server.admin().audit();
    let entries = audit.list_audit_entries(request).await.unwrap();
    let entries = entries.into_inner().audit_entries;
    assert_eq!(entries.len(), 4, "one for each that was done: {entries:?}");
    assert!(entries.iter().any(|it| it.reason == "the checkout's test"));
}

#[tokio::test]
async fn to_a_test_key_other_environments_do_not_exist() {
    let tested = Tested::start().await;
    let caller = tested.server.caller(&tested.secret);
    let ask = async |name: &str| {
        let request = SetFlagEnabledRequest {
            name: format!("{name}/flags/banner"),
            ..SetFlagEnabledRequest::default()
        };
        let status = refused(
            caller.flags().set_flag_enabled(request).await,
            Code::NotFound,
        );
        (status.message().to_owned(), status.details().to_vec())
    };
    let names = [
        "projects/shop/environments/staging",
        "projects/blog/environments/production",
    ];
    let mut before = Vec::new();
    for name in names {
        before.push(ask(name).await);
    }
    let request = GetFlagConfigRequest {
        name: tested.production.flag_name("banner"),
    };
    let outcome = caller.flags().get_flag_config(request).await;
    refused(outcome, Code::Unauthenticated);

    tested.shop.environment("staging").await;
    let blog = tested.server.project("blog").await;
    blog.environment("production").await;
    for (name, before) in names.into_iter().zip(before) {
        assert_eq!(ask(name).await, before);
    }
}

#[tokio::test]
async fn an_environment_that_becomes_protected_stops_test_keys_at_once() {
    let tested = Tested::start().await;
    let relay = tested.relay().await;
    let hops = [tested.server.address(), relay.address()].map(|address| tested.at(address));
    for environment in &hops {
        turn_on(environment).await.unwrap();
    }

    tested.protect(true).await;
    for environment in &hops {
        let status = refused(turn_on(environment).await, Code::PermissionDenied);
        assert_eq!(reason(&status), "PERMISSION_DENIED");
        assert!(status.message().contains("is protected"), "{status:?}");
        let evaluated = environment.admin.evaluate_for_alice("banner").await;
        assert_eq!(evaluated.unwrap().variant, "on", "it is a server key still");
    }
    let creation = CreateApiKeyRequest {
        api_key: Some(ApiKey {
            kind: AccessKeyKind::Test.into(),
            environments: vec![tested.production.name.clone()],
            ..ApiKey::default()
        }),
        ..CreateApiKeyRequest::default()
    };
    let mut keys = tested.server.admin().api_keys();
    let created = keys.create_api_key(creation.clone()).await;
    let status = refused(created, Code::FailedPrecondition);
    assert_eq!(reason(&status), "ENVIRONMENT_PROTECTED");
    let rotation = RotateApiKeyRequest {
        name: tested.key.name.clone(),
        ..RotateApiKeyRequest::default()
    };
    let rotated = keys.rotate_api_key(rotation).await;
    refused(rotated, Code::FailedPrecondition);

    tested.protect(false).await;
    for environment in &hops {
        turn_on(environment).await.unwrap();
    }
    keys.create_api_key(creation).await.unwrap();
}

#[tokio::test]
async fn a_refused_test_key_is_told_of_in_the_audit_log() {
    let tested = Tested::start().await;
    tested.protect(true).await;
    let environment = tested.at(tested.server.address());
    refused(turn_on(&environment).await, Code::PermissionDenied);
    until("it is told of", SOON, async || {
        let request = ListAuditEntriesRequest {
            filter: Some(AuditFilter {
                actor: tested.key.name.clone(),
                denied: Some(true),
                ..AuditFilter::default()
            }),
            ..ListAuditEntriesRequest::default()
        };
        let mut audit = tested.server.admin().audit();
        let entries = audit.list_audit_entries(request).await.unwrap();
        entries.into_inner().audit_entries.len() == 1
    })
    .await;
}

#[tokio::test]
async fn an_sdk_behind_a_relay_sees_what_a_test_key_set_through_it() {
    let tested = Tested::start().await;
    let near = tested.relay().await;
    let far = TestRelay::start(near.address(), &tested.production.relay_key().await).await;
    let key = tested.production.server_key().await;
    let hops = [near.address(), far.address()];
    for (hop, enabled) in hops.into_iter().zip([true, false]) {
        let sdk = burgee::Client::builder()
            .address(hop)
            .sdk_key(&key)
            .init_timeout(SOON)
            .connect()
            .await
            .unwrap();
        let tester = Caller::new(hop, &tested.secret);
        until("the relay knows the key", SOON, async || {
            tester.evaluate_for_alice("banner").await.is_ok()
        })
        .await;

        let position = tested.at(hop).set_enabled("banner", enabled).await;

        let question = EvaluateRequest {
            flag_key: "banner".to_owned(),
            context: Some(context("alice", &[])),
            min_position: Some(position),
            ..EvaluateRequest::default()
        };
        let evaluated = tester.evaluate_with(question).await.unwrap();
        assert!(evaluated.position >= Some(position), "{evaluated:?}");
        let alice = burgee::Context::new("alice");
        until("the SDK sees it", SOON, async || {
            sdk.bool("banner", &alice, !enabled) == enabled
        })
        .await;
    }
}

#[tokio::test]
async fn a_relay_passes_refusals_down_as_the_server_gave_them() {
    let tested = Tested::start().await;
    let relay = tested.relay().await;
    let [server, relay] = [tested.server.address(), relay.address()].map(|it| tested.at(it));
    let requests = [
        SetFlagEnabledRequest {
            name: "not a name".to_owned(),
            ..SetFlagEnabledRequest::default()
        },
        SetFlagEnabledRequest {
            name: server.flag_name("absent"),
            ..SetFlagEnabledRequest::default()
        },
        SetFlagEnabledRequest {
            name: "projects/shop/environments/elsewhere/flags/banner".to_owned(),
            ..SetFlagEnabledRequest::default()
        },
    ];
    for request in requests {
        let ask = async |environment: &TestEnvironment| {
            let mut flags = environment.admin.flags();
            let status = flags.set_flag_enabled(request.clone()).await.unwrap_err();
            (
                status.code(),
                status.message().to_owned(),
                status.details().to_vec(),
            )
        };
        let said = ask(&server).await;
        assert!(!said.2.is_empty(), "it has details");
        assert_eq!(ask(&relay).await, said);
    }
}

#[tokio::test]
async fn what_a_relay_passes_down_is_understood_by_another_make_of_grpc() {
    let tested = Tested::start().await;
    let relay = tested.relay().await;
    let ask = async |name: &str| {
        let call = format!(
            r#"grpcurl -plaintext -H "authorization: Bearer $KEY" -d '{{"name": "{name}"}}' \
               "$RELAY" burgee.admin.v1.FlagService/SetFlagEnabled 2>&1"#
        );
        let authority = relay.address().trim_start_matches("http://");
        let environment = [("KEY", &tested.secret[..]), ("RELAY", authority)];
        let output = within("grpcurl", SOON, shell(&call, &environment)).await;
        String::from_utf8(output.stdout).unwrap()
    };
    let answered = ask(&tested.production.flag_name("banner")).await;
    assert!(answered.contains("flagConfig"), "{answered}");
    let refused = ask(&tested.production.flag_name("absent")).await;
    assert!(refused.contains("Code: NotFound"), "{refused}");
    assert!(refused.contains("RESOURCE_NOT_FOUND"), "{refused}");
}

#[tokio::test]
async fn a_relay_lets_nobody_but_test_keys_through_and_to_nothing_else() {
    let tested = Tested::start().await;
    let relay = tested.relay().await;
    let stranger = credential::generate(credential::Kind::Test, rand::random());
    let token = tested.server.database().admin_token().await;
    let others = [
        tested.production.server_key().await,
        tested.production.relay_key().await,
        tested.production.client_key().await,
        stranger.expose().to_owned(),
        token,
        "burgee_tst_tooshort".to_owned(),
    ];
    for other in others {
        let environment = TestEnvironment {
            admin: relay.caller(&other),
            ..tested.production.clone()
        };
        until("the relay is current", SOON, async || {
            let outcome = turn_on(&environment).await;
            outcome.is_err_and(|status| status.code() != Code::Unavailable)
        })
        .await;
        refused(turn_on(&environment).await, Code::Unauthenticated);
    }
    let anonymous = TestEnvironment {
        admin: Caller::anonymous(relay.address()),
        ..tested.production.clone()
    };
    let status = refused(turn_on(&anonymous).await, Code::Unauthenticated);
    assert_eq!(reason(&status), "CREDENTIAL_MISSING");
    let request = GetFlagConfigRequest {
        name: tested.production.flag_name("banner"),
    };
    let tester = relay.caller(&tested.secret);
    let outcome = tester.flags().get_flag_config(request).await;
    refused(outcome, Code::Unimplemented);
}

#[tokio::test]
async fn a_relay_whose_upstream_is_away_says_so_and_serves_on() {
    let mut tested = Tested::start().await;
    let relay = tested.relay().await;
    let environment = tested.at(relay.address());
    tested.server.kill9();

    let status = refused(turn_on(&environment).await, Code::Unavailable);
    assert!(status.get_details_retry_info().is_some(), "{status:?}");
    let evaluated = environment
        .admin
        .evaluate_for_alice("banner")
        .await
        .unwrap();
    assert_eq!(evaluated.variant, "off");

    tested.server.start_again().await;
    until("the server is back", Duration::from_secs(60), async || {
        turn_on(&environment).await.is_ok()
    })
    .await;
    let enabled = tested.production.position().await;
    RulesetWatcher::follow(&environment.admin)
        .reaches(enabled)
        .await;
}

#[tokio::test]
async fn a_browser_sets_flags_over_grpc_web_through_a_relay() {
    let tested = Tested::start().await;
    let relay = tested.relay().await;
    let request = tested.production.set_enabled_request("banner", true);
    let path = "/burgee.admin.v1.FlagService/SetFlagEnabled";
    let headers = bearer(&tested.secret);
    let (_, body) = grpc_web(relay.address(), path, &headers, &request.encode_to_vec()).await;
    let (messages, trailers) = frames(&body);
    assert!(trailers.contains("grpc-status:0"), "{trailers}");
    assert_eq!(messages.len(), 1);
    assert!(tested.production.config("banner").await.enabled);
}
