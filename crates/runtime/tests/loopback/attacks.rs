//! Attacks on HTTP/2 and HTTP/1 themselves, by bytes that no client would send. Each
//! ends with its own connection, or waits there, and keeps nobody else waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::post;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::served::{Served, call, grpc, grpc_status, within};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Frame types and flags of RFC 9113, section 6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;
const CANCEL: [u8; 4] = [0, 0, 0, 8];
/// How a peer is told that it asks too much.
const ENHANCE_YOUR_CALM: u8 = 11;
/// Calls at the same time on one connection.
const STREAMS_MAX: usize = 1_024;

/// Calls that run, and the most that did at the same time.
#[derive(Debug, Default)]
struct Running {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// One running call.
struct Run(Arc<Running>);

impl Run {
    fn begin(running: &Arc<Running>) -> Self {
        let now = running.now.fetch_add(1, Ordering::SeqCst) + 1;
        running.most.fetch_max(now, Ordering::SeqCst);
        Self(Arc::clone(running))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A server with a call that never ends and one that does at once.
async fn served() -> (Served, Arc<Running>) {
    let running = Arc::new(Running::default());
    let counted = Arc::clone(&running);
    let hang = move || {
        let run = Run::begin(&counted);
        async move {
            std::future::pending::<()>().await;
            drop(run);
        }
    };
    let ok = || async { tonic::Status::ok("").into_http::<axum::body::Body>() };
    let router = Router::new()
        .route("/hang", post(hang))
        .route("/ok", post(ok));
    (Served::new(router).await, running)
}

async fn is_serving(served: &Served) {
    let channel = served.channel().await;
    for _ in 0..20 {
        assert_eq!(grpc_status(&call(&channel, grpc("/ok")).await), "0");
    }
}

/// A connection that has said hello, in HTTP/2.
async fn connect(served: &Served) -> (OwnedReadHalf, OwnedWriteHalf) {
    let mut stream: TcpStream = served.connect().await;
    let hello = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    stream.write_all(&hello).await.unwrap();
    stream.into_split()
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags];
    [&head, &stream.to_be_bytes()[..], payload].concat()
}

/// The headers of a call, as HPACK has them without a table of its own.
fn headers(path: &str) -> Vec<u8> {
    let mut block = vec![0x83, 0x86];
    for (name, value) in [(0x04, path), (0x01, "test")] {
        block.push(name);
        block.push(u8::try_from(value.len()).unwrap());
        block.extend(value.as_bytes());
    }
    block
}

/// Writes as much as the peer takes, at most `times`; gives how often that was.
async fn flood(to: &mut OwnedWriteHalf, bytes: &[u8], times: usize) -> usize {
    for time in 0..times {
        if to.write_all(bytes).await.is_err() {
            return time;
        }
    }
    times
}

/// The frames that have come whole: their types and contents.
fn frames(mut received: &[u8]) -> Vec<(u8, &[u8])> {
    let mut frames = Vec::new();
    while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = received {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let Some((payload, after)) = rest.split_at_checked(length) else {
            break;
        };
        frames.push((*kind, payload));
        received = after;
    }
    frames
}

/// Reads until the connection ends, or enough has come.
async fn read(from: &mut OwnedReadHalf, enough: impl Fn(&[(u8, &[u8])]) -> bool) -> Vec<u8> {
    let mut received = Vec::new();
    while !enough(&frames(&received)) {
        // A reset is as good an end as any.
        if within(from.read_buf(&mut received)).await.unwrap_or(0) == 0 {
            break;
        }
    }
    received
}

/// The error code of the goodbye with which the peer closes the connection. None: it
/// says none.
async fn goodbye(mut from: OwnedReadHalf) -> Option<u8> {
    let received = read(&mut from, |_| false).await;
    let frames = frames(&received);
    let goodbye = frames.iter().find(|(kind, _)| *kind == GOAWAY);
    goodbye.and_then(|(_, payload)| payload.get(7).copied())
}

#[tokio::test]
async fn calls_that_are_taken_back_at_once_end_the_connection() {
    let (served, running) = served().await;
    let (from, mut to) = connect(&served).await;
    let mut resets = Vec::new();
    for stream in (1..40_001).step_by(2) {
        resets.extend(frame(HEADERS, END_HEADERS, stream, &headers("/hang")));
        resets.extend(frame(RST_STREAM, 0, stream, &CANCEL));
    }
    let _ = to.write_all(&resets).await;
    assert_eq!(goodbye(from).await, Some(ENHANCE_YOUR_CALM));
    is_serving(&served).await;
    let most = running.most.load(Ordering::SeqCst);
    assert!(most <= STREAMS_MAX, "{most} calls ran at once");
    assert_eq!(running.now.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn no_more_calls_run_on_a_connection_than_it_may_have() {
    let (served, running) = served().await;
    let (mut from, mut to) = connect(&served).await;
    let too_many = 500;
    let mut opened = Vec::new();
    for stream in (1..).step_by(2).take(STREAMS_MAX + too_many) {
        opened.extend(frame(HEADERS, END_HEADERS, stream, &headers("/hang")));
    }
    to.write_all(&opened).await.unwrap();
    // The refusals say that all have been looked at.
    let refused = |frames: &[(u8, &[u8])]| {
        let resets = frames.iter().filter(|(kind, _)| *kind == RST_STREAM);
        resets.count() == too_many
    };
    let received = read(&mut from, refused).await;
    assert!(refused(&frames(&received)), "the connection ended");
    within(async {
        while running.now.load(Ordering::SeqCst) < STREAMS_MAX {
            tokio::task::yield_now().await;
        }
    })
    .await;
    is_serving(&served).await;
    assert_eq!(running.most.load(Ordering::SeqCst), STREAMS_MAX);
}

#[tokio::test]
async fn headers_that_never_end_end_the_connection() {
    let (served, _) = served().await;
    let (from, mut to) = connect(&served).await;
    let begin = frame(HEADERS, 0, 1, &headers("/hang"));
    to.write_all(&begin).await.unwrap();
    // Each part is a header of its own: 128 MiB of them, if they were taken.
    let name = [&[0x00, 0x01, b'x', 0x7f, 0x81, 0x7e][..], &[b'y'; 16_256]].concat();
    let more = frame(CONTINUATION, 0, 1, &name);
    let taken = flood(&mut to, &more, 8_192).await;
    assert!(taken < 1_024, "{taken} parts were taken");
    goodbye(from).await;
    is_serving(&served).await;
}

#[tokio::test]
async fn headers_without_content_that_never_end_end_the_connection() {
    let (served, _) = served().await;
    let (from, mut to) = connect(&served).await;
    to.write_all(&frame(HEADERS, 0, 1, &headers("/hang")))
        .await
        .unwrap();
    let more = frame(CONTINUATION, 0, 1, &[]).repeat(1_024);
    let taken = flood(&mut to, &more, 8_192).await;
    assert!(taken < 8_192, "all were taken");
    goodbye(from).await;
    is_serving(&served).await;
}

#[tokio::test]
async fn a_small_block_of_headers_that_means_a_large_one_is_refused() {
    let (served, running) = served().await;
    let (mut from, mut to) = connect(&served).await;
    // A header of 3,800 bytes is put into the table, and named 4,000 times: 15 MB.
    let value = [b'y'; 3_800];
    let entry = [&[0x40, 0x01, b'x', 0x7f, 0xd9, 0x1c][..], &value].concat();
    let block = [headers("/hang"), entry, vec![0xbe; 4_000]].concat();
    to.write_all(&frame(HEADERS, END_HEADERS, 1, &block))
        .await
        .unwrap();
    // An answer that is a refusal, or the end of the connection.
    read(&mut from, |frames| {
        frames.iter().any(|(kind, _)| *kind == HEADERS)
    })
    .await;
    assert_eq!(running.most.load(Ordering::SeqCst), 0);
    is_serving(&served).await;
}

#[tokio::test]
async fn floods_of_small_frames_keep_nobody_waiting() {
    let (served, _) = served().await;
    let open = frame(HEADERS, END_HEADERS, 1, &headers("/hang"));
    let floods = [
        frame(PING, 0, 0, &[7; 8]),
        frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255]),
        frame(SETTINGS, 0, 0, &[]),
        frame(DATA, 0, 1, &[]),
        frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1]),
        frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]),
    ];
    for small in floods {
        let (from, mut to) = connect(&served).await;
        to.write_all(&open).await.unwrap();
        // What is answered is not read: then the peer waits, and takes no more.
        let flooding = tokio::spawn(async move { flood(&mut to, &small.repeat(256), 4_096).await });
        is_serving(&served).await;
        flooding.abort();
        drop(from);
    }
    is_serving(&served).await;
}

#[tokio::test]
async fn a_head_of_http_1_that_never_ends_is_refused() {
    let (served, _) = served().await;
    let mut stream = served.connect().await;
    stream.write_all(b"POST /ok HTTP/1.1\r\n").await.unwrap();
    let line = format!("x: {}\r\n", "y".repeat(1_000));
    let mut taken = 0;
    while taken < 10_000 && stream.write_all(line.as_bytes()).await.is_ok() {
        taken += 1;
    }
    assert!(taken < 10_000, "10 MB were taken");
    is_serving(&served).await;
}
