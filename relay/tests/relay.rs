//! A relay between a scripted upstream and real clients.

// A test stops at the first thing that is not as it should be, helpers included.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

// The SDK's own tests play the same upstream.
#[allow(dead_code, unreachable_pub)]
#[path = "../../clients/rust/tests/support/scripted.rs"]
mod scripted;
#[path = "support/relay.rs"]
mod support;

use std::path::Path;

use burgee::State;
use burgee::proto::sync::v1::{GoodbyeReason, Item, RulesetUpdate, WatchRulesetResponse};
use burgee_evaluator::{Receiver, RulesetState};
use burgee_hub::credential::{Kind, generate};
use tempfile::TempDir;
use tonic::{Code, Status};

use scripted::{
    ENVIRONMENT, OTHER, RulesetCall, Scripted, Stream, at, bookmark, delta, flag, goodbye,
    snapshot, soon,
};
use support::{
    Above, Health, Running, alice, files, reaches, ruleset, saved, sdk_key, until_no_files,
};

/// A relay that is live with a ruleset.
async fn live(
    ruleset: &RulesetState,
    data_dir: &Path,
) -> (Running, Above, Stream<WatchRulesetResponse>) {
    let upstream = Scripted::start().await;
    let relay = Running::start(&upstream.url(), data_dir).await;
    let above = Above::names(upstream, &[ENVIRONMENT]).await;
    let call = above.upstream.call().await;
    assert_eq!(call.request.environment, ENVIRONMENT);
    let (_, stream) = call.accept();
    stream.send_whole(ruleset).await;
    (relay, above, stream)
}

#[tokio::test]
async fn a_change_upstream_reaches_a_client_below() {
    let disk = TempDir::new().unwrap();
    let first = ruleset(3, &[flag("on", false, 1)]);
    let (relay, _above, stream) = live(&first, disk.path()).await;
    let client = relay.client().await;
    assert_eq!(*client.changes().borrow(), Some(at(3)));

    let on = flag("on", true, 4);
    let second = first.apply(at(4), vec![on.clone().into()], &[]);
    stream.send(delta(&first, &second, &[on], &[])).await;
    soon(client.wait_for_position(at(4))).await.unwrap();
    assert!(client.bool("on", &alice(), false));
    relay.stop().await;
}

#[tokio::test]
async fn positions_hashes_and_bytes_pass_unchanged_and_access_keys_stay_above() {
    let disk = TempDir::new().unwrap();
    let unknown_kind = Item {
        kind: 77,
        ..flag("later", true, 2)
    };
    let held = ruleset(3, &[flag("on", true, 1), unknown_kind]);
    let (relay, _above, _stream) = live(&held, disk.path()).await;
    let _live = relay.client().await;

    let mut receiver = Receiver::new(Some(ENVIRONMENT.into()), false);
    for update in relay.get(&sdk_key()).await.unwrap() {
        receiver.receive(update).unwrap();
    }
    let received = receiver.state().unwrap();
    assert_eq!(received.position(), held.position());
    assert_eq!(received.state_hash(), held.state_hash());
    assert_eq!(received.items().len(), 2);
    for item in received.items() {
        assert_eq!(Some(item), held.get(item.kind, &item.key));
    }
    relay.stop().await;
}

#[tokio::test]
async fn relays_chain() {
    let (disk, lower_disk) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let first = ruleset(3, &[flag("on", false, 1)]);
    let (upper, _above, stream) = live(&first, disk.path()).await;
    let lower = Running::start(&upper.url, lower_disk.path()).await;
    let client = lower.client().await;
    reaches(&client, State::Ready).await;

    let on = flag("on", true, 4);
    let second = first.apply(at(4), vec![on.clone().into()], &[]);
    stream.send(delta(&first, &second, &[on], &[])).await;
    soon(client.wait_for_position(at(4))).await.unwrap();
    assert!(client.bool("on", &alice(), false));
    lower.stop().await;
    upper.stop().await;
}

#[tokio::test]
async fn it_starts_from_disk_with_upstream_down_and_resumes_when_it_is_back() {
    let disk = TempDir::new().unwrap();
    let first = ruleset(3, &[flag("on", true, 1)]);
    let (relay, above, stream) = live(&first, disk.path()).await;
    let _live = relay.client().await;
    relay.stop().await;
    let address = above.upstream.address;
    drop((above, stream));

    let relay = Running::start(&format!("http://{address}"), disk.path()).await;
    let client = relay.client().await;
    assert!(client.bool("on", &alice(), false));
    assert_eq!(*client.changes().borrow(), Some(at(3)));
    // It knows its own keys, and cannot know that there is no other.
    let stranger = generate(Kind::Server, [9; 32]);
    let refused = relay.get(&stranger).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");

    let upstream = Scripted::start_at(address).await;
    let (request, stream) = upstream.call().await.accept();
    assert_eq!(request.resume_token, scripted::token(&first));
    stream.send(bookmark(&first)).await;
    let _above = Above::names(upstream, &[ENVIRONMENT]).await;
    relay.answers(&stranger, Code::Unauthenticated).await;
    relay.stop().await;
}

#[tokio::test]
async fn without_a_snapshot_it_answers_unavailable_and_is_not_ready() {
    let disk = TempDir::new().unwrap();
    let relay = Running::start("http://127.0.0.1:1", disk.path()).await;
    let refused = relay.get(&sdk_key()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    assert_eq!(relay.health().await, Health::NotServing);
    relay.stop().await;
    assert!(files(disk.path()).is_empty(), "nothing was made up");
}

#[tokio::test]
async fn it_is_ready_with_a_ruleset_or_with_upstreams_word_that_there_is_none() {
    let disk = TempDir::new().unwrap();
    let (relay, above, stream) = live(&ruleset(3, &[]), disk.path()).await;
    relay.until_serving().await;
    // Losing upstream changes nothing about that.
    drop((above, stream));
    assert_eq!(relay.health().await, Health::Serving);
    relay.stop().await;

    let (upstream, disk) = (Scripted::start().await, TempDir::new().unwrap());
    let relay = Running::start(&upstream.url(), disk.path()).await;
    let _above = Above::names(upstream, &[]).await;
    relay.until_serving().await;
    relay.stop().await;
}

#[tokio::test]
async fn a_lie_from_upstream_changes_nothing_below() {
    let disk = TempDir::new().unwrap();
    let first = ruleset(5, &[flag("on", true, 1)]);
    let (relay, above, mut stream) = live(&first, disk.path()).await;
    let client = relay.client().await;

    let wrong_hash = RulesetUpdate {
        access_hash: vec![7; 16].into(),
        ..snapshot(&ruleset(9, &[]))
    };
    let other = snapshot(&RulesetState::new(OTHER, at(9), []));
    let older = snapshot(&ruleset(2, &[]));
    for lie in [wrong_hash, other, older] {
        stream.send(lie).await;
        stream.gone().await;
        stream = above.upstream.accept().await;
        stream.send_whole(&first).await;
    }
    let whole = relay.get(&sdk_key()).await.unwrap();
    assert_eq!(whole[0].position, Some(at(5)));
    assert_eq!(*client.changes().borrow(), Some(at(5)));
    assert!(client.bool("on", &alice(), false));
    assert_eq!(*client.state().borrow(), State::Ready);
    relay.stop().await;
}

#[tokio::test]
async fn a_refused_key_drops_nothing() {
    let disk = TempDir::new().unwrap();
    let held = ruleset(5, &[flag("on", true, 1)]);
    let (relay, above, stream) = live(&held, disk.path()).await;
    let client = relay.client().await;
    stream.send(goodbye(&held, GoodbyeReason::KeyRevoked)).await;
    drop(above.membership);
    let refusal = || Status::unauthenticated("revoked");
    for _ in 0..2 {
        let call = above.upstream.environments_call().await;
        call.refuse(refusal());
    }
    let again: RulesetCall = above.upstream.call().await;
    again.refuse(refusal());
    assert!(relay.get(&sdk_key()).await.is_ok());
    assert!(client.bool("on", &alice(), false));
    relay.stop().await;
    assert!(!files(disk.path()).is_empty());
}

#[tokio::test]
async fn an_environment_that_is_removed_is_dropped_with_its_files() {
    let disk = TempDir::new().unwrap();
    let (relay, above, stream) = live(&ruleset(5, &[]), disk.path()).await;
    let client = relay.client().await;
    saved(disk.path()).await;
    above.changes(&[], &[ENVIRONMENT]).await;
    stream.gone().await;
    until_no_files(disk.path()).await;
    reaches(&client, State::Stale).await;
    relay.answers(&sdk_key(), Code::Unauthenticated).await;

    // And it may come back.
    above.changes(&[ENVIRONMENT], &[]).await;
    let stream = above.upstream.accept().await;
    stream.send_whole(&ruleset(6, &[])).await;
    let _back = relay.client().await;
    relay.stop().await;
}

#[tokio::test]
async fn an_environment_that_upstream_deleted_is_dropped_with_its_files() {
    let disk = TempDir::new().unwrap();
    let held = ruleset(5, &[]);
    let (relay, _above, stream) = live(&held, disk.path()).await;
    let _client = relay.client().await;
    saved(disk.path()).await;
    stream
        .send(goodbye(&held, GoodbyeReason::EnvironmentDeleted))
        .await;
    until_no_files(disk.path()).await;
    relay.stop().await;
}

#[tokio::test]
async fn an_environment_that_is_not_in_the_set_is_dropped_and_others_are_followed() {
    let disk = TempDir::new().unwrap();
    let (relay, above, _stream) = live(&ruleset(5, &[]), disk.path()).await;
    let _client = relay.client().await;
    relay.stop().await;
    saved(disk.path()).await;

    let relay = Running::start(&above.upstream.url(), disk.path()).await;
    let above = Above::names(above.upstream, &[OTHER, "no/uid/at/all"]).await;
    let followed = soon(async {
        loop {
            let call = above.upstream.call().await;
            // The first is of what was on disk, before the set was known.
            if call.request.environment != ENVIRONMENT {
                return call;
            }
        }
    })
    .await;
    assert_eq!(followed.request.environment, OTHER);
    relay.stop().await;
    assert!(files(disk.path()).is_empty());
}

#[tokio::test]
async fn stopping_says_goodbye_and_leaves_the_last_state_on_disk() {
    let disk = TempDir::new().unwrap();
    let first = ruleset(3, &[]);
    let (relay, _above, stream) = live(&first, disk.path()).await;
    let client = relay.client().await;
    saved(disk.path()).await;
    // Within five seconds of the last write: only the end brings it to disk.
    let second = first.apply(at(4), vec![flag("on", true, 4).into()], &[]);
    stream
        .send(delta(&first, &second, &[flag("on", true, 4)], &[]))
        .await;
    soon(client.wait_for_position(at(4))).await.unwrap();
    relay.stop().await;
    let file = disk.path().join(format!("{ENVIRONMENT}.snapshot"));
    let snapshot = burgee::snapshot_file::read(&file, Some(ENVIRONMENT)).unwrap();
    assert_eq!(snapshot.held.state.position(), at(4));
    assert!(snapshot.held.with_access_keys);
}
