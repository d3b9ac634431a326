//! What comes and goes: environments, streams, the source, the hub itself.

use std::sync::atomic::Ordering;
use std::time::Duration;

use burgee_evaluator::Receiver;
use burgee_hub::HubConfig;
use burgee_hub::credential::Kind;
use burgee_proto::sync::v1::GoodbyeReason;
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::{Instant, advance, sleep};
use tonic::Code;

use crate::harness::{TestHub, assert_same, reason};
use crate::world::{TestKey, World};

#[tokio::test(start_paused = true)]
async fn a_herd_costs_one_load() {
    let test = TestHub::new();
    let streams = join_all((0..100).map(|_| test.watch(&test.server))).await;
    for mut stream in streams {
        stream.synchronised().await;
    }
    assert_eq!(test.source.loads.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn loaded_environments_serve_on_while_the_source_is_away() {
    let test = TestHub::new();
    let mut stream = test.watch(&test.server).await;
    stream.synchronised().await;
    test.set_away(true);
    // Long enough for everything that is let go when idle.
    drop(stream);
    advance(Duration::from_secs(3600)).await;
    let mut stream = test.watch(&test.server).await;
    stream.synchronised().await;
    assert_same(stream.state().unwrap(), &test.world.state(false));
    assert_eq!(test.source.loads.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn an_environment_that_cannot_be_loaded_is_unavailable_and_never_empty() {
    let test = TestHub::new();
    test.set_away(true);
    let open = || test.open(&test.server, Receiver::new(None, false), Bytes::new());
    let refused = open().await.err().unwrap();
    assert_eq!(
        (refused.code(), reason(&refused)),
        (Code::Unavailable, "NOT_CURRENT".to_owned())
    );
    test.set_away(false);
    let mut stream = open().await.unwrap();
    stream.synchronised().await;
    assert_same(stream.state().unwrap(), &test.world.state(false));
}

#[tokio::test(start_paused = true)]
async fn an_idle_environment_is_let_go_and_loaded_again() {
    let test = TestHub::new();
    let mut stream = test.watch(&test.server).await;
    stream.synchronised().await;
    let read = async {
        loop {
            stream.next().await;
        }
    };
    // Never while a stream follows it.
    let _ = tokio::time::timeout(Duration::from_secs(1800), read).await;
    assert_eq!(test.hub.loaded().len(), 1);
    drop(stream);
    sleep(Duration::from_secs(660)).await;
    assert_eq!(test.hub.loaded(), []);
    test.watch(&test.server).await.synchronised().await;
    assert_eq!(test.source.loads.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn further_environments_are_refused_when_memory_is_full() {
    let test = TestHub::with(HubConfig {
        memory_max_bytes: 40_000,
        ..HubConfig::default()
    });
    let mut stream = test.watch(&test.server).await;
    stream.synchronised().await;
    let mut large = World::new(2);
    large.set_flag("large", &"x".repeat(50_000));
    test.source.hold(&large);
    let key = TestKey::new(Kind::Server, 9, &[&large.uid]);
    test.know(&key);
    let refused = test
        .open(&key, Receiver::new(None, false), Bytes::new())
        .await;
    let refused = refused.err().unwrap();
    assert_eq!(
        (refused.code(), reason(&refused)),
        (Code::ResourceExhausted, "RESOURCE_EXHAUSTED".to_owned())
    );
    assert_eq!(stream.next().await.name(), "bookmark");
}

#[tokio::test(start_paused = true)]
async fn a_key_has_a_limit_of_streams() {
    let test = TestHub::with(HubConfig {
        streams_per_key_max: 2,
        ..HubConfig::default()
    });
    let first = test.watch(&test.server).await;
    let _second = test.watch(&test.server).await;
    let open = || test.open(&test.server, Receiver::new(None, false), Bytes::new());
    let refused = open().await.err().unwrap();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    drop(first);
    assert!(open().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_takes_nothing_is_closed_after_thirty_seconds() {
    let test = TestHub::new();
    let mut healthy = test.watch(&test.server).await;
    let mut stalled = test.watch(&test.server).await;
    stalled.synchronised().await;
    let start = Instant::now();
    let read = async {
        loop {
            healthy.next().await;
        }
    };
    tokio::select! {
        () = stalled.close.cancelled() => {}
        () = read => {}
    }
    let seconds = start.elapsed().as_secs();
    assert!((30..=32).contains(&seconds), "{seconds}");
    assert!(!healthy.close.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_take_its_goodbye_is_closed_after_five_seconds() {
    let mut test = TestHub::new();
    let mut stalled = test.watch(&test.server).await;
    stalled.synchronised().await;
    let delta = test.world.set_key(&test.server.revoked());
    test.publish(delta);
    let start = Instant::now();
    stalled.close.cancelled().await;
    let seconds = start.elapsed().as_secs();
    assert!((5..=7).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_environment_ends_its_streams_and_is_not_found() {
    let test = TestHub::new();
    let mut stream = test.watch(&test.server).await;
    stream.synchronised().await;
    test.source.environments.lock().unwrap().clear();
    test.hub.delete(&test.uid());
    assert_eq!(
        stream.until_goodbye().await,
        GoodbyeReason::EnvironmentDeleted
    );
    let refused = test
        .open(&test.server, Receiver::new(None, false), Bytes::new())
        .await;
    let refused = refused.err().unwrap();
    assert_eq!(
        (refused.code(), reason(&refused)),
        (Code::NotFound, "RESOURCE_NOT_FOUND".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn a_drain_spreads_its_goodbyes_and_takes_no_more_streams() {
    let test = TestHub::new();
    let mut streams = join_all((0..10).map(|_| test.watch(&test.server))).await;
    for stream in &mut streams {
        stream.synchronised().await;
    }
    let start = Instant::now();
    let goodbyes = join_all(streams.into_iter().map(|mut stream| async move {
        assert_eq!(stream.until_goodbye().await, GoodbyeReason::Draining);
        start.elapsed()
    }));
    let refused = async {
        sleep(Duration::from_secs(1)).await;
        let open = test.open(&test.server, Receiver::new(None, false), Bytes::new());
        let refused = open.await.err().unwrap();
        assert_eq!(
            (refused.code(), reason(&refused)),
            (Code::Unavailable, "DRAINING".to_owned())
        );
    };
    let window = Duration::from_secs(10);
    let (_, mut times, ()) = tokio::join!(test.hub.drain(window), goodbyes, refused);
    assert!(start.elapsed() <= window);
    times.sort();
    for pair in times.windows(2) {
        assert_eq!((pair[1] - pair[0]).as_secs(), 1);
    }
    assert_eq!(test.hub.stream_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_whole_environment_is_loaded_before_anybody_asks() {
    let test = TestHub::new();
    test.hub.publish_whole(test.world.whole());
    test.set_away(true);
    let mut stream = test.watch(&test.server).await;
    stream.synchronised().await;
    assert_same(stream.state().unwrap(), &test.world.state(false));
    assert_eq!(test.source.loads.load(Ordering::SeqCst), 0);
}
