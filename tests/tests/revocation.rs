//! What was revoked is refused soon, at every hop, whatever kind of key it is; and a key that
//! nobody knows, one that has ended, and a hop that cannot tell are kept apart.

use std::time::{Duration, SystemTime};

use burgee_hub::credential::{Kind, generate};
use burgee_proto::admin::v1::{
    ApiKey, CreateApiKeyRequest, GetApiKeyRequest, RevokeApiKeyRequest, RotateApiKeyRequest,
};
use burgee_proto::sync::v1::watch_environments_response::Message;
use burgee_proto::sync::v1::{
    GetRulesetRequest, GoodbyeReason, WatchEnvironmentsRequest, WatchEnvironmentsResponse,
};
use burgee_proto::types::v1::AccessKeyKind;
use burgee_tests::builders::{boolean_flag, context};
use burgee_tests::callers::Caller;
use burgee_tests::errors::{reason, refused};
use burgee_tests::fault_proxy::{FaultProxy, Target};
use burgee_tests::project::TestEnvironment;
use burgee_tests::relay::TestRelay;
use burgee_tests::server::TestServer;
use burgee_tests::viewer::{Told, Viewer};
use burgee_tests::wait::{SOON, until, within};
use burgee_tests::watcher::{End, RulesetWatcher};
use tonic::{Code, Status, Streaming};

/// Calls are refused within two seconds; asserted with ten times that.
const CALLS_DEADLINE: Duration = Duration::from_secs(20);
/// Streams end within five seconds; asserted with ten times that.
const STREAMS_DEADLINE: Duration = Duration::from_secs(50);
const REVOKED: GoodbyeReason = GoodbyeReason::KeyRevoked;
/// How long a key that was rotated still works.
const OVERLAP: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);
/// Every kind of key.
const KINDS: [(AccessKeyKind, Kind); 4] = [
    (AccessKeyKind::Server, Kind::Server),
    (AccessKeyKind::Client, Kind::Client),
    (AccessKeyKind::Test, Kind::Test),
    (AccessKeyKind::Relay, Kind::Relay),
];

/// Makes a key of an environment; a relay key by pattern.
async fn make(environment: &TestEnvironment, kind: AccessKeyKind) -> (ApiKey, String) {
    let scope = vec![environment.name.clone()];
    let by_pattern = vec!["projects/*/environments/production".to_owned()];
    let (environments, environment_patterns) = match kind {
        AccessKeyKind::Relay => (Vec::new(), by_pattern),
        _ => (scope, Vec::new()),
    };
    let request = CreateApiKeyRequest {
        api_key: Some(ApiKey {
            kind: kind.into(),
            environments,
            environment_patterns,
            ..ApiKey::default()
        }),
        ..CreateApiKeyRequest::default()
    };
    let made = environment.admin.api_keys().create_api_key(request).await;
    let made = made.unwrap().into_inner();
    (made.api_key.unwrap(), made.secret)
}

async fn revoke(environment: &TestEnvironment, key: ApiKey) {
    let request = RevokeApiKeyRequest {
        name: key.name,
        ..RevokeApiKeyRequest::default()
    };
    let mut keys = environment.admin.api_keys();
    keys.revoke_api_key(request).await.unwrap();
}

/// Does what a key of this kind is for.
async fn ask(
    caller: &Caller,
    kind: AccessKeyKind,
    environment: &TestEnvironment,
) -> Result<(), Status> {
    if kind != AccessKeyKind::Relay {
        return caller.evaluate_for_alice("banner").await.map(drop);
    }
    let request = GetRulesetRequest {
        environment: environment.uid.clone(),
        ..GetRulesetRequest::default()
    };
    caller.sync().get_ruleset(request).await.map(drop)
}

/// Sets a flag as it is.
async fn set_flag(caller: &Caller, environment: &TestEnvironment) -> Result<(), Status> {
    let request = environment.set_enabled_request("banner", false);
    caller.flags().set_flag_enabled(request).await.map(drop)
}

/// A server with `banner` in `production`, a relay, and a relay below it.
struct Hops {
    production: TestEnvironment,
    server: TestServer,
    near: TestRelay,
    far: TestRelay,
}

impl Hops {
    async fn start() -> Self {
        let server = TestServer::start().await;
        let (shop, production) = server.shop().await;
        shop.create_flag(boolean_flag("banner")).await;
        let near = TestRelay::start(server.address(), &production.relay_key().await).await;
        let far = TestRelay::start(near.address(), &production.relay_key().await).await;
        Self {
            production,
            server,
            near,
            far,
        }
    }

    /// Whoever has this key, at each hop, where it is known by now.
    async fn callers(&self, kind: AccessKeyKind, secret: &str) -> [Caller; 3] {
        let addresses = [
            self.server.address(),
            self.near.address(),
            self.far.address(),
        ];
        let callers = addresses.map(|address| Caller::new(address, secret));
        for caller in &callers {
            until("the key works", SOON, async || {
                ask(caller, kind, &self.production).await.is_ok()
            })
            .await;
        }
        callers
    }

    /// Waits until a key that was revoked is refused at each hop.
    async fn are_refused(&self, kind: AccessKeyKind, callers: &[Caller; 3]) {
        for caller in callers {
            until("calls are refused", CALLS_DEADLINE, async || {
                let outcome = ask(caller, kind, &self.production).await;
                outcome.is_err_and(|status| status.code() == Code::Unauthenticated)
            })
            .await;
            let status = ask(caller, kind, &self.production).await.unwrap_err();
            assert_eq!(reason(&status), "CREDENTIAL_INVALID");
        }
    }
}

/// Reads on until a viewer is told to leave.
async fn is_told_to_leave(mut viewer: Viewer) {
    let told = async {
        loop {
            match viewer.next().await {
                Told::Goodbye(reason) => return reason,
                _ => continue,
            }
        }
    };
    let reason = within("the stream ends", STREAMS_DEADLINE, told).await;
    assert_eq!(reason, REVOKED);
}

#[tokio::test]
async fn a_revoked_sdk_key_ends_calls_and_streams_at_every_hop() {
    let hops = Hops::start().await;
    for kind in [
        AccessKeyKind::Server,
        AccessKeyKind::Client,
        AccessKeyKind::Test,
    ] {
        let (key, secret) = make(&hops.production, kind).await;
        let callers = hops.callers(kind, &secret).await;
        let (mut viewers, mut watchers) = (Vec::new(), Vec::new());
        for caller in &callers {
            viewers.push(Viewer::follow(caller, context("alice", &[])).await.unwrap());
            if kind != AccessKeyKind::Client {
                let watcher = RulesetWatcher::follow(caller);
                watcher.synchronised().await;
                watchers.push(watcher);
            }
            if kind == AccessKeyKind::Test {
                set_flag(caller, &hops.production).await.unwrap();
            }
        }

        revoke(&hops.production, key).await;

        hops.are_refused(kind, &callers).await;
        for viewer in viewers {
            is_told_to_leave(viewer).await;
        }
        for watcher in watchers {
            watcher
                .ends_with(STREAMS_DEADLINE, End::Goodbye(REVOKED))
                .await;
        }
        for caller in callers.iter().filter(|_| kind == AccessKeyKind::Test) {
            until("flags are not set any more", CALLS_DEADLINE, async || {
                let outcome = set_flag(caller, &hops.production).await;
                outcome.is_err_and(|status| status.code() == Code::Unauthenticated)
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_revoked_relay_key_by_pattern_ends_what_it_follows_at_every_hop() {
    let hops = Hops::start().await;
    let (key, secret) = make(&hops.production, AccessKeyKind::Relay).await;
    let callers = hops.callers(AccessKeyKind::Relay, &secret).await;
    let (mut memberships, mut watchers) = (Vec::new(), Vec::new());
    for caller in &callers {
        let request = WatchEnvironmentsRequest::default();
        let membership = caller.sync().watch_environments(request).await.unwrap();
        memberships.push(membership.into_inner());
        let watcher = RulesetWatcher::follow_environment(caller, &hops.production.uid);
        watcher.synchronised().await;
        watchers.push(watcher);
    }

    revoke(&hops.production, key).await;

    hops.are_refused(AccessKeyKind::Relay, &callers).await;
    for membership in memberships {
        let reason = within("the stream ends", STREAMS_DEADLINE, goodbye(membership)).await;
        assert_eq!(reason, REVOKED);
    }
    for watcher in watchers {
        watcher
            .ends_with(STREAMS_DEADLINE, End::Goodbye(REVOKED))
            .await;
    }
}

async fn goodbye(mut membership: Streaming<WatchEnvironmentsResponse>) -> GoodbyeReason {
    loop {
        let message = membership.message().await.unwrap().unwrap().message;
        if let Some(Message::Goodbye(goodbye)) = message {
            return goodbye.reason();
        }
    }
}

#[tokio::test]
async fn a_rotated_key_of_any_kind_and_its_successor_work_at_every_hop_until_the_overlap_ends() {
    let hops = Hops::start().await;
    let mut rotated = Vec::new();
    for (kind, _) in KINDS {
        let (key, secret) = make(&hops.production, kind).await;
        rotated.push((kind, key, hops.callers(kind, &secret).await));
    }
    let mut successors = Vec::new();
    for (kind, key, _) in &rotated {
        let request = RotateApiKeyRequest {
            name: key.name.clone(),
            overlap: Some(OVERLAP.try_into().unwrap()),
            ..RotateApiKeyRequest::default()
        };
        let mut keys = hops.production.admin.api_keys();
        let answer = keys.rotate_api_key(request).await.unwrap().into_inner();
        successors.push((*kind, hops.callers(*kind, &answer.secret).await));
    }
    for (kind, key, callers) in &rotated {
        let request = GetApiKeyRequest {
            name: key.name.clone(),
        };
        let mut keys = hops.production.admin.api_keys();
        let found = keys.get_api_key(request).await.unwrap().into_inner();
        let end = found.api_key.unwrap().expire_time.unwrap();
        // On a machine that is very busy, it may be over by now.
        if SystemTime::try_from(end).unwrap() > SystemTime::now() + SECOND {
            ask(&callers[2], *kind, &hops.production).await.unwrap();
        }
    }
    for (kind, _, callers) in &rotated {
        for caller in callers {
            until(
                "the old key has ended",
                OVERLAP + CALLS_DEADLINE,
                async || {
                    let outcome = ask(caller, *kind, &hops.production).await;
                    outcome.is_err_and(|status| status.code() == Code::Unauthenticated)
                },
            )
            .await;
        }
    }
    for (kind, callers) in &successors {
        for caller in callers {
            ask(caller, *kind, &hops.production).await.unwrap();
        }
    }
}

#[tokio::test]
async fn unknown_ended_and_cut_off_are_told_apart_for_every_kind_of_key() {
    let server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    shop.create_flag(boolean_flag("banner")).await;
    let address = server.address().trim_start_matches("http://");
    let proxy = FaultProxy::start(Target::Tcp(address.parse().unwrap())).await;
    let relay = TestRelay::start(&proxy.url(), &production.relay_key().await).await;
    let mut keys = Vec::new();
    for (kind, form) in KINDS {
        let good = relay.caller(&make(&production, kind).await.1);
        let (ended_key, ended) = make(&production, kind).await;
        revoke(&production, ended_key).await;
        let unknown = generate(form, rand::random());
        let [ended, unknown] = [&ended, unknown.expose()].map(|secret| relay.caller(secret));
        until("the relay knows what is good", SOON, async || {
            ask(&good, kind, &production).await.is_ok()
        })
        .await;
        for caller in [&ended, &unknown] {
            until("and refuses the others", SOON, async || {
                let outcome = ask(caller, kind, &production).await;
                outcome.is_err_and(|status| status.code() == Code::Unauthenticated)
            })
            .await;
        }
        keys.push((kind, good, ended, unknown));
    }
    // What has ended must be known as that, and not as nothing, before nobody can be asked.
    let head = production.position().await;
    until("the relay has heard of all", SOON, async || {
        relay.saved(&production.uid) >= Some(head)
    })
    .await;

    proxy.refuse();
    for (kind, good, ended, unknown) in &keys {
        until("what is unknown may be known above", SOON, async || {
            let outcome = ask(unknown, *kind, &production).await;
            outcome.is_err_and(|status| status.code() == Code::Unavailable)
        })
        .await;
        refused(ask(ended, *kind, &production).await, Code::Unauthenticated);
        ask(good, *kind, &production).await.unwrap();
    }
    let (_, good, ended, unknown) = &keys[2];
    refused(set_flag(good, &production).await, Code::Unavailable);
    refused(set_flag(unknown, &production).await, Code::Unavailable);
    refused(set_flag(ended, &production).await, Code::Unauthenticated);

    proxy.heal();
    for (kind, good, ended, unknown) in &keys {
        for caller in [ended, unknown] {
            until("they are refused", Duration::from_secs(60), async || {
                let outcome = ask(caller, *kind, &production).await;
                outcome.is_err_and(|status| status.code() == Code::Unauthenticated)
            })
            .await;
        }
        ask(good, *kind, &production).await.unwrap();
    }
}
