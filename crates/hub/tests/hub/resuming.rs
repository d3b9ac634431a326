//! What a resume token deserves.

use std::sync::atomic::Ordering;
use std::time::Duration;

use burgee_evaluator::{Received, Receiver};
use burgee_proto::sync::v1::{GoodbyeReason, ResumeToken};
use burgee_proto::types::v1::Position;
use bytes::Bytes;
use prost::Message as _;
use tokio::time::Instant;

use crate::harness::{Follower, TestHub, assert_same, is_relay, name};
use crate::world::{TestKey, World, at};

fn token(world: &World, position: Position, with_access_keys: bool) -> ResumeToken {
    ResumeToken {
        version: 1,
        environment: world.uid.clone(),
        position: Some(position),
        with_access_keys,
    }
}

fn encoded(token: &ResumeToken) -> Bytes {
    token.encode_to_vec().into()
}

/// A receiver that holds what an earlier world shipped.
async fn holding(test: &TestHub, key: &TestKey, earlier: &World) -> Follower {
    let relay = is_relay(key);
    let token = encoded(&token(earlier, earlier.position, relay));
    let receiver = Receiver::resume(earlier.state(relay), token.clone(), relay);
    test.open(key, receiver, token).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn who_missed_nothing_gets_a_bookmark_at_once() {
    let test = TestHub::new();
    let mut first = test.watch(&test.server).await;
    first.synchronised().await;
    let start = Instant::now();
    let mut again = test.go_on(&test.server, first).await;
    assert_eq!(again.next().await.name(), "bookmark");
    assert!(start.elapsed() < Duration::from_millis(1));
}

#[tokio::test(start_paused = true)]
async fn who_missed_some_of_the_history_gets_the_difference() {
    let mut test = TestHub::new();
    for key in [test.server.clone(), test.relay.clone()] {
        let earlier = test.world.clone();
        test.set_flag("flag-01", "changed");
        let gone = test.world.remove_flag("flag-02");
        test.publish(gone);
        let mut stream = holding(&test, &key, &earlier).await;
        assert_eq!(stream.next().await.name(), "delta");
        assert_eq!(stream.next().await.name(), "bookmark");
        assert_same(stream.state().unwrap(), &test.world.state(is_relay(&key)));
        test.set_flag("flag-02", "back");
    }
}

#[tokio::test(start_paused = true)]
async fn who_missed_only_what_is_not_for_him_gets_a_bookmark() {
    let mut test = TestHub::new();
    let earlier = test.world.clone();
    test.world
        .set_key(&test.client.ending_in(Duration::from_secs(3600)));
    test.source.hold(&test.world);
    let mut stream = holding(&test, &test.server, &earlier).await;
    assert_eq!(stream.next().await.name(), "bookmark");
    assert_same(stream.state().unwrap(), &test.world.state(false));
}

#[tokio::test(start_paused = true)]
async fn who_missed_more_than_half_gets_a_snapshot() {
    let mut test = TestHub::new();
    let earlier = test.world.clone();
    for flag in 0..15 {
        test.world
            .set_flag(&format!("flag-{flag:02}"), "changed as a whole, everywhere");
    }
    test.source.hold(&test.world);
    let mut stream = holding(&test, &test.server, &earlier).await;
    assert_eq!(stream.next().await.name(), "snapshot");
    assert_same(stream.state().unwrap(), &test.world.state(false));
}

#[tokio::test(start_paused = true)]
async fn who_is_below_the_floor_gets_a_snapshot_and_who_is_on_it_the_difference() {
    let mut test = TestHub::new();
    let earlier = test.world.clone();
    test.world.set_flag("flag-01", "changed");
    let on_floor = test.world.clone();
    test.world.floor = test.world.position.revision;
    test.world.set_flag("flag-02", "changed");
    test.source.hold(&test.world);
    let mut below = holding(&test, &test.server, &earlier).await;
    assert_eq!(below.next().await.name(), "snapshot");
    let mut on = holding(&test, &test.server, &on_floor).await;
    assert_eq!(on.next().await.name(), "delta");
}

#[tokio::test(start_paused = true)]
async fn who_is_of_a_lower_epoch_gets_a_snapshot() {
    let mut test = TestHub::new();
    let earlier = test.world.clone();
    test.world.position.epoch = 2;
    test.source.hold(&test.world);
    let mut stream = holding(&test, &test.server, &earlier).await;
    assert_eq!(stream.next().await.name(), "snapshot");
}

#[tokio::test(start_paused = true)]
async fn tokens_that_fit_nothing_deserve_a_snapshot() {
    let test = TestHub::new();
    let position = test.world.position;
    let good = token(&test.world, position, false);
    let other_environment = ResumeToken {
        environment: World::new(9).uid,
        ..good.clone()
    };
    let other_version = ResumeToken {
        version: 2,
        ..good.clone()
    };
    let no_position = ResumeToken {
        position: None,
        ..good.clone()
    };
    for unfit in [other_environment, other_version, no_position] {
        let mut stream = test.resume(&test.server, encoded(&unfit)).await;
        assert_eq!(stream.next().await.name(), "snapshot", "{unfit:?}");
    }
    let garbage = Bytes::from_static(b"\xff\xff\xff garbage");
    let mut stream = test.resume(&test.server, garbage).await;
    assert_eq!(stream.next().await.name(), "snapshot");
    // A relay needs the access keys, which this receiver does not hold.
    let mut stream = test.resume(&test.relay, encoded(&good)).await;
    assert_eq!(stream.next().await.name(), "snapshot");
}

#[tokio::test(start_paused = true)]
async fn who_is_ahead_is_held_until_the_hop_has_caught_up() {
    let mut test = TestHub::new();
    test.watch(&test.server).await.synchronised().await;
    // Another replica has delivered a change that this one has not read.
    test.source.lags.store(true, Ordering::SeqCst);
    let behind = test.world.position;
    test.world.set_flag("flag-01", "ahead");
    let ahead = test.world.clone();
    let mut stream = holding(&test, &test.server, &ahead).await;
    let step = stream.next().await;
    assert_eq!(step.name(), "behind");
    assert_eq!(step.update.position, Some(behind));
    assert!(step.update.resume_token.is_empty() && step.update.state_hash.is_empty());
    let asked = test.source.catch_ups.load(Ordering::SeqCst);
    assert!(asked >= 1, "the source was not asked");
    // What comes next is newer than what the receiver holds.
    test.world.set_flag("flag-02", "newer");
    test.source.hold(&test.world);
    test.source.lags.store(false, Ordering::SeqCst);
    assert_eq!(stream.next().await.name(), "delta");
    assert_eq!(stream.next().await.name(), "bookmark");
    assert_same(stream.state().unwrap(), &test.world.state(false));
}

#[tokio::test(start_paused = true)]
async fn who_is_ahead_for_thirty_seconds_is_sent_elsewhere_and_never_gets_a_snapshot() {
    let mut test = TestHub::new();
    test.watch(&test.server).await.synchronised().await;
    test.source.lags.store(true, Ordering::SeqCst);
    let mut ahead = test.world.clone();
    ahead.position = at(2, 1);
    let start = Instant::now();
    let mut stream = holding(&test, &test.server, &ahead).await;
    let mut silent_since = Instant::now();
    loop {
        let step = stream.next().await;
        assert!(silent_since.elapsed() < Duration::from_secs(20));
        silent_since = Instant::now();
        match step.received {
            Received::Goodbye(goodbye) => {
                assert_eq!(goodbye.reason(), GoodbyeReason::Behind);
                break;
            }
            _ => assert_eq!(step.name(), "behind"),
        }
        // Still lower: nothing for this receiver.
        test.set_flag("flag-01", "lower");
    }
    assert_eq!(start.elapsed().as_secs(), 30);
    assert!(stream.try_next().await.is_none());
    assert_same(stream.state().unwrap(), &ahead.state(false));
}

#[tokio::test(start_paused = true)]
async fn a_finite_synchronisation_has_the_same_messages_and_ends() {
    let mut test = TestHub::new();
    let names = |updates: Vec<_>| updates.iter().map(name).collect::<Vec<_>>();
    let first = test.get(&test.server, None, Bytes::new()).await.unwrap();
    let token = first.last().unwrap().resume_token.clone();
    assert_eq!(names(first), ["snapshot", "bookmark"]);
    let same = test.get(&test.server, None, token.clone()).await.unwrap();
    assert_eq!(names(same), ["bookmark"]);
    test.set_flag("flag-01", "changed");
    let changed = test.get(&test.server, None, token).await.unwrap();
    assert_eq!(names(changed), ["delta", "bookmark"]);
}

#[tokio::test(start_paused = true)]
async fn a_wanted_position_is_waited_for_and_never_answered_older() {
    let mut test = TestHub::new();
    test.watch(&test.server).await.synchronised().await;
    test.world.set_flag("flag-01", "not delivered");
    test.source.hold(&test.world);
    let wanted = Some(test.world.position);
    let updates = test.get(&test.server, wanted, Bytes::new()).await.unwrap();
    assert_eq!(updates.last().unwrap().position, wanted);
    let never = Some(at(1, 1_000_000));
    let start = Instant::now();
    let refused = test
        .get(&test.server, never, Bytes::new())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    assert_eq!(crate::harness::reason(&refused), "NOT_CURRENT");
    assert_eq!(start.elapsed().as_secs(), 5);
}
