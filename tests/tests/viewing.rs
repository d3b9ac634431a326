//! Evaluations that are followed and explained, at the server and through a
//! relay: what a browser or a thin client relies on.

use burgee_proto::admin::v1::RevokeApiKeyRequest;
use burgee_proto::evaluation::v1::ExplainRequest;
use burgee_proto::sync::v1::GoodbyeReason;
use burgee_proto::types::v1::{AccessKeyKind, Explanation, Reason};
use burgee_tests::builders::{
    boolean_flag, context, equals, prerequisite, prerequisites, rule, rules, serve,
};
use burgee_tests::callers::Caller;
use burgee_tests::errors::{reason, refused};
use burgee_tests::fault_proxy::{FaultProxy, Target};
use burgee_tests::project::{TestEnvironment, TestProject, api_key};
use burgee_tests::relay::TestRelay;
use burgee_tests::server::TestServer;
use burgee_tests::viewer::{Told, Viewer};
use burgee_tests::wait::{SOON, until};
use tonic::{Code, Status};

/// A server, a relay below it, and a shop whose `checkout` needs `payments`.
struct Chain {
    server: TestServer,
    relay: TestRelay,
    shop: TestProject,
    production: TestEnvironment,
}

impl Chain {
    async fn start() -> Self {
        let server = TestServer::start().await;
        let (shop, production) = server.shop().await;
        fill(&shop, &production).await;
        let relay = TestRelay::start(server.address(), &production.relay_key().await).await;
        Self {
            server,
            relay,
            shop,
            production,
        }
    }

    /// The same credential at the server, and at the relay that has heard of
    /// it.
    async fn callers(&self, key: &str) -> [Caller; 2] {
        let relay = self.relay.caller(key);
        takes_key(&relay).await;
        [self.server.caller(key), relay]
    }
}

/// Visible flags: `payments` is off, `checkout` needs it, `banner` is on for
/// the plan `pro`.
async fn fill(shop: &TestProject, production: &TestEnvironment) {
    for key in ["payments", "checkout", "banner"] {
        let mut flag = boolean_flag(key);
        flag.client_visible = true;
        shop.create_flag(flag).await;
    }
    let needed = prerequisites(vec![prerequisite("payments", &["on"])]);
    production.configure("checkout", needed).await;
    let pro = rule("for-pro", equals("plan", &["pro"]), serve("on"));
    production.configure("banner", rules(vec![pro])).await;
    production.enable("checkout").await;
    production.enable("banner").await;
}

/// Waits until a hop serves this caller.
async fn takes_key(caller: &Caller) {
    let is_served = async || caller.position().await.is_ok();
    until("the key is taken", SOON, is_served).await;
}

async fn follow(caller: &Caller) -> Viewer {
    let alice = context("alice", &[("plan", "pro")]);
    let mut viewer = Viewer::follow(caller, alice).await.unwrap();
    assert_eq!(viewer.next().await, Told::Everything);
    viewer
}

async fn follow_each([one, other]: &[Caller; 2]) -> [Viewer; 2] {
    [follow(one).await, follow(other).await]
}

fn changed(updated: &[&str], removed: &[&str]) -> Told {
    let owned = |keys: &[&str]| keys.iter().map(ToString::to_string).collect();
    Told::Changed {
        updated: owned(updated),
        removed: owned(removed),
    }
}

#[tokio::test]
async fn a_change_arrives_as_the_results_that_it_changes_at_server_and_relay() {
    let chain = Chain::start().await;
    let key = chain.production.server_key().await;
    let callers = chain.callers(&key).await;
    let mut viewers = follow_each(&callers).await;
    for viewer in &viewers {
        let checkout = &viewer.results["checkout"];
        assert_eq!(checkout.reason(), Reason::PrerequisiteFailed);
        assert_eq!(viewer.results["banner"].rule_id, "for-pro");
    }

    let enabled = chain.production.enable("payments").await;

    for (viewer, caller) in viewers.iter_mut().zip(&callers) {
        let told = viewer.next_news().await;
        assert_eq!(told, changed(&["checkout", "payments"], &[]));
        assert_eq!(viewer.position, enabled);
        assert_eq!(viewer.results["checkout"].variant, "on");
        viewer.assert_current(caller).await;
    }
}

#[tokio::test]
async fn whoever_comes_back_anywhere_to_the_same_results_gets_one_bookmark() {
    let chain = Chain::start().await;
    let key = chain.production.server_key().await;
    let [server, relay] = chain.callers(&key).await;
    for (one, other) in [(&server, &relay), (&relay, &server), (&relay, &relay)] {
        let viewer = follow(one).await;

        let mut viewer = viewer.move_to(other).await.unwrap();

        assert_eq!(viewer.next().await, Told::Nothing);
        viewer.assert_current(other).await;
    }
}

#[tokio::test]
async fn whoever_missed_a_change_gets_everything() {
    let chain = Chain::start().await;
    let key = chain.production.server_key().await;
    let [server, relay] = chain.callers(&key).await;
    let missed = follow(&server).await;
    let mut present = follow(&relay).await;
    chain.production.enable("payments").await;
    present.next_news().await;

    let mut missed = missed.move_to(&relay).await.unwrap();

    assert_eq!(missed.next().await, Told::Everything);
    assert_eq!(missed.results, present.results);
}

#[tokio::test]
async fn a_client_key_follows_visible_flags_and_learns_nothing_about_rules() {
    let chain = Chain::start().await;
    chain.shop.create_flag(boolean_flag("secret")).await;
    let key = chain.production.client_key().await;
    let callers = chain.callers(&key).await;
    let mut viewers = follow_each(&callers).await;
    for viewer in &viewers {
        let keys: Vec<_> = viewer.results.keys().map(String::as_str).collect();
        assert_eq!(keys, ["banner", "checkout", "payments"]);
        assert_eq!(viewer.results["banner"].reason(), Reason::Rule);
        for result in viewer.results.values() {
            assert_eq!((result.rule_id.as_str(), &result.metadata), ("", &None));
        }
    }

    chain.shop.set_client_visible("banner", false).await;

    for viewer in &mut viewers {
        assert_eq!(viewer.next_news().await, changed(&[], &["banner"]));
    }
    chain.shop.set_client_visible("banner", true).await;
    for (viewer, caller) in viewers.iter_mut().zip(&callers) {
        assert_eq!(viewer.next_news().await, changed(&["banner"], &[]));
        viewer.assert_current(caller).await;
    }
}

#[tokio::test]
async fn a_revoked_key_ends_its_streams_at_server_and_relay() {
    let chain = Chain::start().await;
    let admin = chain.server.admin();
    let (key, secret) = api_key(admin, AccessKeyKind::Client, &[&chain.production]).await;
    let viewers = follow_each(&chain.callers(&secret).await).await;

    let request = RevokeApiKeyRequest {
        name: key.name,
        etag: key.etag,
        ..RevokeApiKeyRequest::default()
    };
    admin.api_keys().revoke_api_key(request).await.unwrap();

    for mut viewer in viewers {
        let told = viewer.next_news().await;
        assert_eq!(told, Told::Goodbye(GoodbyeReason::KeyRevoked));
    }
}

#[tokio::test]
async fn a_viewer_that_is_ahead_of_a_relay_waits_for_it() {
    let server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    fill(&shop, &production).await;
    let address = server.address().trim_start_matches("http://");
    let proxy = FaultProxy::start(Target::Tcp(address.parse().unwrap())).await;
    let relay = TestRelay::start(&proxy.url(), &production.relay_key().await).await;
    let key = production.client_key().await;
    takes_key(&relay.caller(&key)).await;
    let behind = follow(&relay.caller(&key)).await;
    proxy.refuse();
    let mut viewer = behind.move_to(&server.caller(&key)).await.unwrap();
    viewer.next().await;
    let held = production.enable("payments").await;
    viewer.next_news().await;
    assert_eq!(viewer.position, held);

    let mut viewer = viewer.move_to(&relay.caller(&key)).await.unwrap();

    assert_eq!(viewer.next().await, Told::Behind);
    assert_eq!(viewer.results["checkout"].variant, "on", "nobody goes back");
    proxy.heal();
    while viewer.next().await == Told::Behind {}
    assert!(viewer.position >= held);
    viewer.assert_current(&server.caller(&key)).await;
}

async fn explain(caller: &Caller, flag_key: &str) -> Result<Explanation, Status> {
    let request = ExplainRequest {
        flag_key: flag_key.to_owned(),
        context: Some(context("alice", &[("plan", "pro")])),
        ..ExplainRequest::default()
    };
    let response = caller.evaluation().explain(request).await?;
    Ok(response.into_inner().explanation.unwrap())
}

#[tokio::test]
async fn an_evaluation_is_explained_to_server_keys_alone_at_server_and_relay() {
    let chain = Chain::start().await;
    let server_key = chain.production.server_key().await;
    let client_key = chain.production.client_key().await;
    for caller in chain.callers(&server_key).await {
        let explanation = explain(&caller, "checkout").await.unwrap();
        let [payments] = &explanation.prerequisites[..] else {
            panic!("not one prerequisite: {explanation:#?}");
        };
        assert_eq!(
            (payments.flag_key.as_str(), payments.reason()),
            ("payments", Reason::Disabled)
        );
        let explanation = explain(&caller, "banner").await.unwrap();
        assert_eq!(explanation.flag.unwrap().rules[0].id, "for-pro");
    }
    for caller in chain.callers(&client_key).await {
        let status = refused(explain(&caller, "banner").await, Code::PermissionDenied);
        assert_eq!(reason(&status), "PERMISSION_DENIED");
    }
}
