//! In virtual time, and without a network: `open` is whatever a test says.

use std::sync::atomic::{AtomicUsize, Ordering};

use burgee_proto::sync::v1::{ClientInfo, EnvironmentSet};
use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::channel::{Channel as Body, Sender};
use prost::Message as _;
use tonic_prost::ProstCodec;

use super::*;
use crate::Address;

struct Scripted;

type Opened = Pin<Box<dyn Future<Output = Result<Streaming<EnvironmentSet>, Status>> + Send>>;

impl Method for Scripted {
    type Request = Opened;
    type Message = EnvironmentSet;

    async fn open(
        _channel: Channel,
        request: Request<Opened>,
    ) -> Result<Streaming<EnvironmentSet>, Status> {
        request.into_inner().await
    }
}

fn watch_with_key() -> (Watch<Scripted>, watch::Sender<Key>) {
    let (sender, key) = watch::channel(Key::new("burgee_rly_old").unwrap());
    let addresses = Address::list("http://127.0.0.1:1").unwrap();
    let origin = Origin {
        connections: Connections::new(addresses, "test", None),
        key,
        client: ClientInfo::default(),
    };
    (Watch::new(&origin), sender)
}

fn stream() -> (Sender<Bytes, Status>, Opened) {
    let (sender, body) = Body::new(8);
    let mut codec = ProstCodec::<EnvironmentSet, EnvironmentSet>::default();
    let decoder = tonic::codec::Codec::decoder(&mut codec);
    let stream = Streaming::new_request(decoder, body, None, None);
    (sender, Box::pin(async move { Ok(stream) }))
}

async fn send(sender: &mut Sender<Bytes, Status>) {
    let message = EnvironmentSet::default().encode_to_vec();
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.put_slice(&message);
    sender.send_data(frame.freeze()).await.unwrap();
}

/// A request that is made once; asking for it twice fails the test.
fn once(opened: Opened) -> impl Fn() -> Opened {
    let opened = Mutex::new(Some(opened));
    move || opened.lock().unwrap().take().expect("opened once")
}

fn refused() -> Opened {
    Box::pin(async { Err(Status::unauthenticated("no")) })
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_lost_after_45_s_without_a_message() {
    let (mut watch, _key) = watch_with_key();
    let (mut sender, opened) = stream();
    let request = once(opened);
    send(&mut sender).await;
    assert!(matches!(watch.next(&request).await, Signal::Message(_)));
    watch.mark_live();

    let started = Instant::now();
    let liveness = watch.liveness();
    // The next message comes just in time, and the time runs anew.
    let (signal, ()) = tokio::join!(watch.next(&request), async {
        tokio::time::advance(SILENCE_MAX - Duration::from_secs(1)).await;
        assert!(liveness.is_live());
        send(&mut sender).await;
    });
    assert!(matches!(signal, Signal::Message(_)), "{signal:?}");
    let signal = watch.next(&request).await;
    assert!(matches!(signal, Signal::Lost(Lost::Silent)), "{signal:?}");
    assert_eq!(
        started.elapsed().as_secs(),
        SILENCE_MAX.as_secs() * 2 - 1,
        "45 s after the last message"
    );
    assert!(!liveness.is_live());
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_stopped_knows_at_once_that_it_is_not_live() {
    let (mut watch, _key) = watch_with_key();
    watch.mark_live();
    let liveness = watch.liveness();
    assert!(liveness.is_live());
    // Nothing polls the watch meanwhile.
    tokio::time::advance(SILENCE_MAX).await;
    assert!(!liveness.is_live());
}

#[tokio::test(start_paused = true)]
async fn a_hop_that_does_not_answer_is_given_up() {
    let (mut watch, _key) = watch_with_key();
    let started = Instant::now();
    let signal = watch.next(once(Box::pin(std::future::pending()))).await;
    assert!(
        matches!(signal, Signal::Lost(Lost::Failed(_))),
        "{signal:?}"
    );
    assert_eq!(started.elapsed().as_secs(), OPEN_TIMEOUT.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_is_tried_again_after_1_2_and_4_s() {
    let (mut watch, _key) = watch_with_key();
    let started = Instant::now();
    let mut at = Vec::new();
    for _ in 0..4 {
        let signal = watch.next(refused).await;
        assert!(
            matches!(signal, Signal::Lost(Lost::Refused(_))),
            "{signal:?}"
        );
        at.push(started.elapsed().as_secs());
    }
    assert_eq!(at, [0, 1, 3, 7]);
}

#[tokio::test(start_paused = true)]
async fn a_new_key_is_tried_at_once() {
    let (mut watch, key) = watch_with_key();
    for _ in 0..10 {
        watch.next(refused).await;
    }
    let started = Instant::now();
    let (mut sender, opened) = stream();
    send(&mut sender).await;
    let request = once(opened);
    let (signal, ()) = tokio::join!(watch.next(&request), async {
        tokio::time::advance(Duration::from_secs(3)).await;
        key.send_replace(Key::new("burgee_rly_new").unwrap());
    });
    assert!(matches!(signal, Signal::Message(_)), "{signal:?}");
    assert_eq!(started.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_hurry_ends_the_wait_after_a_failure_but_not_after_a_refusal() {
    let away = || -> Opened { Box::pin(async { Err(Status::unavailable("away")) }) };
    for (request, hurried) in [(away as fn() -> Opened, true), (refused, false)] {
        let (mut watch, _key) = watch_with_key();
        for _ in 0..10 {
            watch.next(request).await;
        }
        let hurry = watch.hurry();
        let started = Instant::now();
        tokio::join!(watch.next(request), async {
            tokio::task::yield_now().await;
            hurry.notify_waiters();
        });
        if hurried {
            assert!(started.elapsed() < Duration::from_millis(10));
        } else {
            assert!(started.elapsed() > Duration::from_secs(60));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_a_wait_for_the_next_message_opens_no_second_stream() {
    let (mut watch, _key) = watch_with_key();
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    let request = move || -> Opened {
        count.fetch_add(1, Ordering::Relaxed);
        Box::pin(async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Err(Status::unavailable("later"))
        })
    };
    for _ in 0..8 {
        let given_up = timeout(Duration::from_millis(100), watch.next(&request)).await;
        assert!(given_up.is_err());
    }
    watch.next(&request).await;
    assert_eq!(opened.load(Ordering::Relaxed), 1);
}
