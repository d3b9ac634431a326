//! A receiver that is ahead of the hop it connects to waits for it, and never
//! goes back.

use std::sync::Arc;

use burgee_tests::builders::boolean_flag;
use burgee_tests::fault_proxy::{FaultProxy, Target};
use burgee_tests::postgres::TestDatabase;
use burgee_tests::project::TestProject;
use burgee_tests::relay::TestRelay;
use burgee_tests::server::TestServer;
use burgee_tests::wait::SOON;
use burgee_tests::watcher::{Kind, Record, RulesetWatcher};

/// Whether the newest stream has said that its sender is behind.
fn told_to_wait(record: &Record) -> bool {
    let newest = record.ledger.seen.last();
    newest.is_some_and(|seen| seen.kind == Kind::Behind)
}

/// More than one flag: the difference of a change is sent as such only while it
/// is small beside the whole.
async fn fill(shop: &TestProject) {
    shop.create_flag(boolean_flag("banner")).await;
    for number in 0..10 {
        shop.create_flag(boolean_flag(&format!("flag-{number}")))
            .await;
    }
}

/// No stream after the first one needed a snapshot.
fn assert_resumed(record: &Record) {
    assert_eq!(
        record.ledger.counts()[&Kind::Snapshot],
        1,
        "{:#?}",
        record.ledger.seen
    );
}

#[tokio::test]
async fn a_client_that_moves_to_a_replica_that_is_behind_waits_for_it() {
    let database = Arc::new(TestDatabase::create().await);
    let ahead = TestServer::on(&database).await;
    let (proxy, url) = database.proxy().await;
    let behind = TestServer::connected_through(&database, url).await;
    let (shop, production) = ahead.shop().await;
    fill(&shop).await;
    let key = production.server_key().await;
    // The replica has the environment, and falls behind.
    RulesetWatcher::follow(&behind.caller(&key))
        .synchronised()
        .await;
    proxy.stall();
    let watcher = RulesetWatcher::follow(&ahead.caller(&key));
    let held = production.enable("banner").await;
    watcher.reaches(held).await;

    watcher.move_to(&behind.caller(&key));

    let record = watcher
        .wait_for("a bookmark of one that is behind", told_to_wait)
        .await;
    assert_eq!(record.ledger.position, held, "nobody goes back");
    let newer = production.disable("banner").await;
    proxy.heal();
    let record = watcher.wait_within(SOON * 3, "the news", |record| {
        record.ledger.position >= newer
    });
    assert_resumed(&record.await);
}

#[tokio::test]
async fn a_client_that_moves_to_a_relay_that_is_behind_waits_for_it() {
    let server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    fill(&shop).await;
    let key = production.server_key().await;
    let address = server
        .address()
        .trim_start_matches("http://")
        .parse()
        .unwrap();
    let proxy = FaultProxy::start(Target::Tcp(address)).await;
    let relay = TestRelay::start(&proxy.url(), &production.relay_key().await).await;
    let watcher = RulesetWatcher::follow(&relay.caller(&key));
    watcher.reaches(production.position().await).await;
    proxy.refuse();
    watcher.move_to(&server.caller(&key));
    let held = production.enable("banner").await;
    watcher.reaches(held).await;

    watcher.move_to(&relay.caller(&key));

    let record = watcher
        .wait_for("a bookmark of one that is behind", told_to_wait)
        .await;
    assert_eq!(record.ledger.position, held, "nobody goes back");
    let newer = production.disable("banner").await;
    proxy.heal();
    let record = watcher.wait_within(SOON * 3, "the news", |record| {
        record.ledger.position >= newer
    });
    assert_resumed(&record.await);
}

#[tokio::test]
async fn a_client_that_missed_nothing_is_told_so_at_once() {
    let database = Arc::new(TestDatabase::create().await);
    let one = TestServer::on(&database).await;
    let other = TestServer::on(&database).await;
    let (shop, production) = one.shop().await;
    fill(&shop).await;
    let key = production.server_key().await;
    let watcher = RulesetWatcher::follow(&one.caller(&key));
    let held = production.enable("banner").await;
    watcher.reaches(held).await;

    watcher.move_to(&other.caller(&key));

    let second_stream = |record: &Record| {
        let newest = record.ledger.seen.last();
        newest.is_some_and(|seen| seen.stream == 2 && seen.kind == Kind::Bookmark && seen.complete)
    };
    let record = watcher.wait_for("a bookmark", second_stream).await;
    assert_eq!(record.ledger.position, held);
    assert_resumed(&record);
}

#[tokio::test]
async fn a_read_at_a_position_that_is_not_reached_is_refused_and_never_older() {
    let server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    fill(&shop).await;
    let sdk = server.caller(&production.server_key().await);
    let changed = production.enable("banner").await;

    let at = |min_position| burgee_proto::evaluation::v1::EvaluateRequest {
        flag_key: "banner".to_owned(),
        min_position: Some(min_position),
        ..Default::default()
    };
    let evaluation = sdk.evaluate_with(at(changed)).await.unwrap();
    assert!(evaluation.position.unwrap() >= changed, "read your writes");
    assert_eq!(evaluation.variant, "on");
    let future = burgee_proto::types::v1::Position {
        revision: changed.revision + 1,
        ..changed
    };
    let mut request = tonic::Request::new(at(future));
    request.set_timeout(std::time::Duration::from_millis(500));
    let outcome = sdk.evaluation().evaluate(request).await;
    let code = outcome.expect_err("nothing is there yet").code();
    // Whichever notices the deadline first: the server, or the client itself.
    let late = [
        tonic::Code::Unavailable,
        tonic::Code::Cancelled,
        tonic::Code::DeadlineExceeded,
    ];
    assert!(late.contains(&code), "{code:?}");
}
