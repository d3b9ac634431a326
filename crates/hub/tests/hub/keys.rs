//! Who may open what, and for how long.

use std::sync::atomic::Ordering;
use std::time::Duration;

use burgee_evaluator::Receiver;
use burgee_hub::credential::Kind;
use burgee_proto::evaluation::v1::EvaluateRequest;
use burgee_proto::sync::v1::watch_environments_response::Message;
use burgee_proto::sync::v1::{GoodbyeReason, WatchEnvironmentsResponse, WatchRulesetRequest};
use burgee_proto::types::v1::AccessKey;
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::{Instant, advance};
use tonic::{Code, Request, Status, Streaming};

use crate::harness::{TestHub, reason, with_key};
use crate::world::{TestKey, World};

async fn refusal(test: &TestHub, key: &TestKey) -> Status {
    let receiver = Receiver::new(None, false);
    let opened = test.open(key, receiver, Bytes::new()).await;
    opened.err().expect("the stream was opened")
}

fn assert_refused(status: &Status, code: Code, wanted: &str) {
    assert_eq!(
        (status.code(), reason(status).as_str()),
        (code, wanted),
        "{status:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn access_keys_go_to_relay_keys_only() {
    let test = TestHub::new();
    let mut stream = test.watch(&test.server).await;
    let mut relay = test.watch(&test.relay).await;
    stream.synchronised().await;
    relay.synchronised().await;
    assert_eq!(stream.state().unwrap().items().len(), 20);
    assert_eq!(relay.state().unwrap().items().len(), 23);
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_ends_its_streams_and_calls() {
    let mut test = TestHub::new();
    let mut stream = test.watch(&test.server).await;
    let mut relay = test.watch(&test.relay).await;
    stream.synchronised().await;
    let delta = test.world.set_key(&test.server.revoked());
    let start = Instant::now();
    test.publish(delta);
    let refused = refusal(&test, &test.server).await;
    assert_refused(&refused, Code::Unauthenticated, "CREDENTIAL_INVALID");
    assert_eq!(stream.until_goodbye().await, GoodbyeReason::KeyRevoked);
    assert!(start.elapsed() <= Duration::from_secs(5));
    relay.until(test.world.position).await;
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_is_sent_nothing_more_of_a_snapshot_under_way() {
    let mut test = TestHub::new();
    let large = "x".repeat(250 * 1024);
    for number in 0..10 {
        test.world.set_flag(&format!("large-{number}"), &large);
    }
    test.source.hold(&test.world);
    let mut stream = test.watch(&test.server).await;
    assert_eq!(stream.next().await.name(), "snapshot");
    let delta = test.world.set_key(&test.server.revoked());
    test.publish(delta);
    advance(Duration::from_secs(2)).await;
    tokio::task::yield_now().await;
    assert_eq!(stream.next().await.name(), "goodbye");
    assert!(stream.state().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_removed_key_ends_its_streams() {
    let mut test = TestHub::new();
    let mut stream = test.watch(&test.server).await;
    stream.synchronised().await;
    advance(Duration::from_secs(2)).await;
    test.source
        .keys
        .lock()
        .unwrap()
        .remove(&test.server.key.hash[..]);
    let delta = test.world.remove_key(&test.server.key);
    let start = Instant::now();
    test.publish(delta);
    assert_eq!(stream.until_goodbye().await, GoodbyeReason::KeyRevoked);
    assert!(start.elapsed() <= Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn an_expired_key_ends_its_streams() {
    let mut test = TestHub::new();
    let mut stream = test.watch(&test.server).await;
    stream.synchronised().await;
    let delta = test.world.set_key(&test.server.ending_in(Duration::ZERO));
    test.publish(delta);
    assert_eq!(stream.until_goodbye().await, GoodbyeReason::KeyRevoked);
    let refused = refusal(&test, &test.server).await;
    assert_refused(&refused, Code::Unauthenticated, "CREDENTIAL_INVALID");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_no_longer_opens_an_environment_ends_its_streams_there() {
    let mut test = TestHub::new();
    let mut stream = test.watch(&test.relay).await;
    stream.synchronised().await;
    let moved = AccessKey {
        environments: vec![World::new(2).uid],
        ..test.relay.key.clone()
    };
    let delta = test.world.set_key(&moved);
    test.publish(delta);
    assert_eq!(
        stream.until_goodbye().await,
        GoodbyeReason::EnvironmentDeleted
    );
}

#[tokio::test(start_paused = true)]
async fn a_looked_up_key_is_believed_for_a_second_at_most() {
    let test = TestHub::new();
    test.watch(&test.server).await.synchronised().await;
    // Made a moment ago: the feed has not brought it yet.
    let fresh = TestKey::new(Kind::Server, 7, &[&test.uid()]);
    test.know(&fresh);
    let mut stream = test.watch(&fresh).await;
    stream.synchronised().await;
    let revoked = fresh.revoked();
    (test.source.keys.lock().unwrap()).insert(revoked.hash.to_vec(), revoked);
    let start = Instant::now();
    assert_eq!(stream.until_goodbye().await, GoodbyeReason::KeyRevoked);
    assert!(start.elapsed() <= Duration::from_secs(5));
    let refused = refusal(&test, &fresh).await;
    assert_refused(&refused, Code::Unauthenticated, "CREDENTIAL_INVALID");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_is_refused_only_while_the_source_is_current() {
    let test = TestHub::new();
    let unknown = TestKey::new(Kind::Server, 99, &[&test.uid()]);
    let refused = refusal(&test, &unknown).await;
    assert_refused(&refused, Code::Unauthenticated, "CREDENTIAL_INVALID");
    test.set_away(true);
    let refused = refusal(&test, &unknown).await;
    assert_refused(&refused, Code::Unavailable, "NOT_CURRENT");
    advance(Duration::from_secs(2)).await;
    let refused = refusal(&test, &unknown).await;
    assert_refused(&refused, Code::Unavailable, "NOT_CURRENT");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_costs_one_look_up_a_second() {
    let test = TestHub::new();
    let unknown = TestKey::new(Kind::Server, 99, &[&test.uid()]);
    join_all((0..50).map(|_| refusal(&test, &unknown))).await;
    refusal(&test, &unknown).await;
    assert_eq!(test.source.lookups.load(Ordering::SeqCst), 1);
    advance(Duration::from_millis(1001)).await;
    refusal(&test, &unknown).await;
    assert_eq!(test.source.lookups.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_well_formed_credential_is_refused() {
    let test = TestHub::new();
    let mut missing = Vec::new();
    missing.push(Request::new(WatchRulesetRequest::default()));
    for value in ["", "Bearer", "Bearer burgee_srv_short", "Basic YTpi"] {
        let mut request = Request::new(WatchRulesetRequest::default());
        (request.metadata_mut()).insert("authorization", value.parse().unwrap());
        missing.push(request);
    }
    for request in missing {
        let refused = test.sync().watch_ruleset(request).await.unwrap_err();
        assert_refused(&refused, Code::Unauthenticated, "CREDENTIAL_MISSING");
    }
    assert_eq!(test.source.lookups.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_key_of_the_wrong_kind_is_denied() {
    let test = TestHub::new();
    let refused = refusal(&test, &test.client).await;
    assert_refused(&refused, Code::PermissionDenied, "PERMISSION_DENIED");
    let refused = test.watch_environments(&test.server).await.unwrap_err();
    assert_refused(&refused, Code::PermissionDenied, "PERMISSION_DENIED");
    let evaluate = with_key(&test.relay.secret, EvaluateRequest::default());
    let refused = test.evaluation().evaluate(evaluate).await.unwrap_err();
    assert_refused(&refused, Code::PermissionDenied, "PERMISSION_DENIED");
}

#[tokio::test(start_paused = true)]
async fn a_token_of_the_control_plane_is_no_key_here() {
    let test = TestHub::new();
    // Nothing here can tell whether it is anybody's.
    let person = TestKey::new(Kind::Personal, 5, &[&test.uid()]);
    let refused = refusal(&test, &person).await;
    assert_refused(&refused, Code::Unauthenticated, "CREDENTIAL_INVALID");
}

#[tokio::test(start_paused = true)]
async fn an_environment_of_others_is_indistinguishable_from_an_absent_one() {
    let test = TestHub::new();
    let other = World::new(2);
    let watch = |environment: &str| {
        let message = WatchRulesetRequest {
            environment: environment.to_owned(),
            ..WatchRulesetRequest::default()
        };
        let request = with_key(&test.server.secret, message);
        async { test.sync().watch_ruleset(request).await.unwrap_err() }
    };
    let absent = watch(&other.uid).await;
    assert_refused(&absent, Code::NotFound, "RESOURCE_NOT_FOUND");
    test.source.hold(&other);
    test.hub.publish_whole(other.whole());
    let others = watch(&other.uid).await;
    assert_eq!(absent.message(), others.message());
    assert_eq!(absent.details(), others.details());
}

#[tokio::test(start_paused = true)]
async fn a_key_of_several_environments_must_name_one() {
    let test = TestHub::new();
    let wide = TestKey::new(Kind::Relay, 8, &[&test.uid(), &World::new(2).uid]);
    test.know(&wide);
    let refused = refusal(&test, &wide).await;
    assert_refused(&refused, Code::InvalidArgument, "INVALID_FIELD");
}

async fn next(stream: &mut Streaming<WatchEnvironmentsResponse>) -> Message {
    let message = tokio::time::timeout(Duration::from_secs(60), stream.message()).await;
    message.unwrap().unwrap().unwrap().message.unwrap()
}

/// The next message that is no sign of life.
async fn next_news(stream: &mut Streaming<WatchEnvironmentsResponse>) -> Message {
    loop {
        match next(stream).await {
            Message::Bookmark(_) => {}
            news => return news,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_relay_follows_which_environments_its_key_opens() {
    let mut test = TestHub::new();
    let second = World::new(2).uid;
    let mut stream = test.watch_environments(&test.relay).await.unwrap();
    let Message::Current(set) = next(&mut stream).await else {
        panic!("not the whole set")
    };
    assert_eq!(set.environments, [test.uid()]);
    // Nothing is loaded: only look-ups can bring it.
    let wider = AccessKey {
        environments: vec![test.uid(), second.clone()],
        ..test.relay.key.clone()
    };
    (test.source.keys.lock().unwrap()).insert(wider.hash.to_vec(), wider.clone());
    let start = Instant::now();
    let Message::Change(change) = next_news(&mut stream).await else {
        panic!("not a change")
    };
    assert_eq!(
        (change.added, change.removed.len()),
        (vec![second.clone()], 0)
    );
    assert!(start.elapsed() <= Duration::from_secs(3));
    // Loaded: its own item brings it, at once.
    let delta = test.world.set_key(&wider);
    test.publish(delta);
    let mut followed = test.watch_environment(&test.relay).await;
    followed.synchronised().await;
    let start = Instant::now();
    let delta = test.world.set_key(&test.relay.key);
    test.publish(delta);
    let Message::Change(change) = next_news(&mut stream).await else {
        panic!("not a change")
    };
    assert_eq!((change.removed, change.added.len()), (vec![second], 0));
    assert!(start.elapsed() < Duration::from_millis(10));
    // Deleted, though the key still names it.
    test.hub.delete(&test.uid());
    let Message::Change(change) = next_news(&mut stream).await else {
        panic!("not a change")
    };
    assert_eq!(change.removed, [test.uid()]);
    assert_eq!(
        followed.until_goodbye().await,
        GoodbyeReason::EnvironmentDeleted
    );
    // And revoked.
    let revoked = test.relay.revoked();
    (test.source.keys.lock().unwrap()).insert(revoked.hash.to_vec(), revoked);
    let Message::Goodbye(goodbye) = next_news(&mut stream).await else {
        panic!("not a goodbye")
    };
    assert_eq!(goodbye.reason(), GoodbyeReason::KeyRevoked);
    assert!(stream.message().await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_hop_that_is_not_current_names_no_set_and_takes_nothing_from_one() {
    let test = TestHub::new();
    let mut stream = test.watch_environments(&test.relay).await.unwrap();
    assert!(matches!(next(&mut stream).await, Message::Current(_)));
    test.set_away(true);
    let refused = test.watch_environments(&test.relay).await.unwrap_err();
    assert_refused(&refused, Code::Unavailable, "NOT_CURRENT");
    for _ in 0..5 {
        assert!(matches!(next(&mut stream).await, Message::Bookmark(_)));
    }
}
