//! A change made over gRPC travels to whoever follows the ruleset: a stream of
//! the server, a relay, and an SDK behind the relay.

use burgee_proto::types::v1::Position;
use burgee_tests::builders::boolean_flag;
use burgee_tests::project::{TestEnvironment, TestProject};
use burgee_tests::relay::TestRelay;
use burgee_tests::server::TestServer;
use burgee_tests::wait::{SOON, until, within};
use burgee_tests::watcher::{Kind, RulesetWatcher};

/// Changes of a busy minute.
const CHANGES: usize = 20;

/// A server, a relay below it, an SDK below that, and a stream at each hop.
struct Chain {
    server: TestServer,
    shop: TestProject,
    production: TestEnvironment,
    relay: TestRelay,
    at_server: RulesetWatcher,
    at_relay: RulesetWatcher,
    sdk: burgee::Client,
    sdk_key: String,
}

impl Chain {
    /// With a flag, `banner`, that is off, among others.
    async fn start() -> Self {
        let server = TestServer::start().await;
        let (shop, production) = server.shop().await;
        shop.create_flag(boolean_flag("banner")).await;
        // Others, beside which one change is small enough to be sent as such.
        for number in 0..10 {
            shop.create_flag(boolean_flag(&format!("other-{number}")))
                .await;
        }
        let key = production.server_key().await;
        let relay = TestRelay::start(server.address(), &production.relay_key().await).await;
        let connect = burgee::Client::builder()
            .address(relay.address())
            .sdk_key(&key)
            .connect();
        Self {
            at_server: RulesetWatcher::follow(&server.caller(&key)),
            at_relay: RulesetWatcher::follow(&relay.caller(&key)),
            sdk: within("the SDK is ready", SOON, connect).await.unwrap(),
            sdk_key: key,
            server,
            shop,
            production,
            relay,
        }
    }

    /// Every hop holds `position` or a newer one.
    async fn all_reach(&self, position: Position) {
        self.at_server.reaches(position).await;
        self.at_relay.reaches(position).await;
        let arrival = self.sdk.wait_for_position(position);
        within("the SDK has the change", SOON, arrival)
            .await
            .unwrap();
    }

    /// The position that the relay evaluates a flag at, asked by a newcomer.
    async fn relay_answers(&self, flag: &str) -> Option<Position> {
        let caller = self.relay.caller(&self.sdk_key);
        caller.evaluate_for_alice(flag).await.unwrap().position
    }

    /// What the SDK makes of `banner` for Alice.
    fn banner(&self) -> bool {
        let alice = burgee::Context::new("alice");
        self.sdk.bool("banner", &alice, false)
    }
}

#[tokio::test]
async fn a_change_reaches_a_stream_a_relay_and_an_sdk_behind_it() {
    let chain = Chain::start().await;
    assert!(!chain.banner());

    let changed = chain.production.enable("banner").await;

    chain.all_reach(changed).await;
    assert!(
        chain
            .at_server
            .record()
            .ledger
            .flag("banner")
            .unwrap()
            .enabled
    );
    assert!(
        chain
            .at_relay
            .record()
            .ledger
            .flag("banner")
            .unwrap()
            .enabled
    );
    assert!(chain.banner());
}

#[tokio::test]
async fn positions_come_in_order_and_each_hop_ends_at_the_same_bytes() {
    let chain = Chain::start().await;
    for change in 0..CHANGES {
        chain
            .production
            .set_enabled("banner", change % 2 == 0)
            .await;
        chain
            .shop
            .create_flag(boolean_flag(&format!("flag-{change}")))
            .await;
    }
    let head = chain.production.position().await;

    chain.all_reach(head).await;

    let (at_server, at_relay) = (chain.at_server.record(), chain.at_relay.record());
    for record in [&at_server, &at_relay] {
        let positions = record.ledger.positions();
        assert!(positions.is_sorted(), "{positions:?}");
        assert_eq!(record.ledger.position, head);
    }
    assert_eq!(at_server.ledger.items, at_relay.ledger.items);
    assert_eq!(at_server.ledger.resume_token, at_relay.ledger.resume_token);
}

#[tokio::test]
async fn a_change_travels_on_after_the_server_was_killed() {
    let mut chain = Chain::start().await;
    let before = chain.production.enable("banner").await;
    chain.all_reach(before).await;

    chain.server.kill9();
    assert!(chain.banner(), "the SDK serves on");
    let evaluated = chain.relay_answers("banner").await;
    assert_eq!(evaluated, Some(before), "the relay serves on");
    chain.server.start_again().await;

    assert_eq!(chain.production.position().await, before);
    let after = chain.production.disable("banner").await;
    chain.all_reach(after).await;
    assert!(!chain.banner());
    let counts = chain.at_server.record().ledger.counts();
    assert_eq!(counts[&Kind::Snapshot], 1, "the rest was resumed");
}

#[tokio::test]
async fn a_killed_relay_starts_from_its_disk_while_the_server_is_down() {
    let mut chain = Chain::start().await;
    let saved = chain.production.enable("banner").await;
    chain.all_reach(saved).await;
    until("the relay has saved the change", SOON, async || {
        chain.relay.saved(&chain.production.uid) >= Some(saved)
    })
    .await;

    chain.server.kill9();
    chain.relay.kill9();
    assert!(chain.banner(), "the SDK serves on");
    chain.relay.start_again().await;

    assert_eq!(chain.relay_answers("banner").await, Some(saved));
    chain.server.start_again().await;
    let after = chain.production.disable("banner").await;
    chain.all_reach(after).await;
    assert!(!chain.banner());
}

#[tokio::test]
async fn a_server_that_is_asked_to_end_says_goodbye_and_ends() {
    let mut chain = Chain::start().await;
    let before = chain.production.enable("banner").await;
    chain.all_reach(before).await;

    chain.server.stop().await;
    chain.server.start_again().await;

    let after = chain.production.disable("banner").await;
    chain.all_reach(after).await;
    let ends = chain.at_server.record().ends;
    let goodbye = burgee_proto::sync::v1::GoodbyeReason::Draining;
    assert!(
        ends.contains(&burgee_tests::watcher::End::Goodbye(goodbye)),
        "{ends:?}"
    );
}
