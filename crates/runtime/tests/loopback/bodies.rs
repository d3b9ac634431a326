//! Requests that never come whole, and streams that never end: whoever opens them has
//! their own share of what there is, and loses it in time.

use std::net::IpAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body as ServedBody;
use axum::routing::post;
use burgee_runtime::calls::{CallLimits, Shapes, guard};
use burgee_runtime::shares::Quota;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::stream::{self, FuturesUnordered, StreamExt as _};
use http::{Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tower::Service as _;

use crate::served::{DEADLINE, Served, call, grpc, grpc_status, within};

const OK: &str = "0";
const DEADLINE_EXCEEDED: &str = "4";
const RESOURCE_EXHAUSTED: &str = "8";
const INVALID_ARGUMENT: &str = "3";

const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// Whoever attacks; everybody else calls from 127.0.0.1.
const ATTACKER: [u8; 4] = [127, 0, 0, 2];

/// So much that no test comes to it by accident.
const PLENTY: Quota = Quota {
    all: 1 << 30,
    per_site: 1 << 30,
};

fn limits() -> CallLimits {
    CallLimits {
        calls: PLENTY,
        body_bytes: PLENTY,
        open_streams: PLENTY,
        deadline: DEADLINE * 2,
        body_deadline: DEADLINE * 2,
        answer_deadline: DEADLINE * 2,
        reflection: DEADLINE * 2,
    }
}

/// A call that answers at once, one that tells how long its request was, and streams
/// that end when their requests do.
async fn served(limits: &CallLimits) -> Served {
    let ok = || async { Status::ok("").into_http::<ServedBody>() };
    let length = |body: ServedBody| async move {
        let body = body.collect().await.unwrap().to_bytes();
        let mut response = Status::ok("").into_http::<ServedBody>();
        let length = body.len().into();
        response.headers_mut().insert("x-length", length);
        response
    };
    let echo = |body: ServedBody| async { Response::new(body) };
    let router = Router::new()
        .route("/ok", post(ok))
        .route("/length", post(length))
        .route(REFLECTION, post(echo))
        .route(WATCH, post(async || pending()));
    Served::new(guard(router, limits, Shapes::default(), |bare| bare)).await
}

fn pending() -> Response<ServedBody> {
    Response::new(ServedBody::from_stream(stream::pending::<
        Result<Bytes, Status>,
    >()))
}

async fn channel_from(served: &Served, address: [u8; 4]) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", served.address)).unwrap();
    let endpoint = endpoint.local_address(Some(IpAddr::from(address)));
    within(endpoint.connect()).await.unwrap()
}

/// A request of which this is sent, and never the end.
fn unfinished(path: &str, sent: usize) -> Request<Body> {
    let sent = Frame::data(Bytes::from(vec![0; sent]));
    let parts = stream::iter([Ok::<_, Status>(sent)]).chain(stream::pending());
    grpc(path).body(Body::new(StreamBody::new(parts))).unwrap()
}

async fn send(channel: &Channel, request: Request<Body>) -> Response<Body> {
    let mut channel = channel.clone();
    std::future::poll_fn(|context| channel.poll_ready(context))
        .await
        .unwrap();
    within(channel.call(request)).await.unwrap()
}

/// Sends so many of them at the same time.
fn attack(
    channel: &Channel,
    path: &'static str,
    sent: usize,
    times: usize,
) -> FuturesUnordered<JoinHandle<Response<Body>>> {
    let calls = (0..times).map(|_| {
        let channel = channel.clone();
        tokio::spawn(async move { send(&channel, unfinished(path, sent)).await })
    });
    calls.collect()
}

async fn is_answered(channel: &Channel) -> bool {
    grpc_status(&call(channel, grpc("/ok")).await) == OK
}

/// Waits until the address of the attacker has its share again.
async fn has_recovered(channel: &Channel, path: &'static str) {
    within(async {
        loop {
            let request = grpc(path).body(Body::empty()).unwrap();
            let answer = send(channel, request).await;
            match answer.headers().get("grpc-status") {
                Some(status) if status == RESOURCE_EXHAUSTED => tokio::task::yield_now().await,
                _ => break,
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_that_is_awaited_holds_no_place_and_not_for_long() {
    let limits = CallLimits {
        calls: Quota {
            all: 1,
            per_site: 1,
        },
        body_deadline: Duration::from_millis(500),
        ..limits()
    };
    let served = served(&limits).await;
    let attacker = channel_from(&served, ATTACKER).await;
    let mut waiting = attack(&attacker, "/ok", 1, 100);
    let other = served.channel().await;
    let mut answered = 0;
    while !waiting.is_empty() {
        assert!(is_answered(&other).await);
        answered += 1;
        while let Some(Some(ended)) = waiting.next().now_or_never() {
            assert_eq!(grpc_status(&ended.unwrap()), DEADLINE_EXCEEDED);
        }
    }
    assert!(answered > 10, "{answered} others were answered meanwhile");
    assert!(is_answered(&attacker).await);
}

#[tokio::test]
async fn the_requests_of_an_address_hold_no_more_memory_than_its_share() {
    const MIB: usize = 1 << 20;
    let limits = CallLimits {
        body_bytes: Quota {
            all: 8 * MIB,
            per_site: 4 * MIB,
        },
        ..limits()
    };
    let served = served(&limits).await;
    let attacker = channel_from(&served, ATTACKER).await;
    let mut waiting = attack(&attacker, "/ok", MIB, 20);
    // What each weighs beside its bytes leaves room for three of a MiB.
    for _ in 0..17 {
        let refused = within(waiting.next()).await.unwrap().unwrap();
        assert_eq!(grpc_status(&refused), RESOURCE_EXHAUSTED);
    }
    // Whoever else calls has a share too, whole.
    let other = served.channel().await;
    let request = grpc("/length").body(Body::new(http_body_util::Full::new(Bytes::from(
        vec![0; 3 * MIB],
    ))));
    let answer = send(&other, request.unwrap()).await;
    assert_eq!(answer.headers()["x-length"], (3 * MIB).to_string());
    assert_eq!(waiting.len(), 3);

    drop(waiting);
    drop(attacker);
    let attacker = channel_from(&served, ATTACKER).await;
    has_recovered(&attacker, "/ok").await;
}

#[tokio::test]
async fn a_request_that_is_longer_than_any_is_refused_before_its_end() {
    let served = served(&limits()).await;
    let endless = unfinished("/ok", 7 << 20);
    let answer = send(&served.channel().await, endless).await;
    assert_eq!(grpc_status(&answer), INVALID_ARGUMENT);
}

#[tokio::test]
async fn a_request_in_many_parts_arrives_as_it_was_sent() {
    let served = served(&limits()).await;
    let parts = (0..500).map(|_| Ok::<_, Status>(Frame::data(Bytes::from_static(&[7; 999]))));
    let request = grpc("/length").body(Body::new(StreamBody::new(stream::iter(parts))));
    let answer = send(&served.channel().await, request.unwrap()).await;
    assert_eq!(answer.headers()["x-length"], (500 * 999).to_string());
}

#[tokio::test]
async fn an_address_has_its_share_of_open_streams_until_they_end() {
    let limits = CallLimits {
        open_streams: Quota {
            all: 10,
            per_site: 2,
        },
        ..limits()
    };
    let served = served(&limits).await;
    let attacker = channel_from(&served, ATTACKER).await;
    let watched = call(&attacker, grpc(WATCH)).await;
    let reflected = send(&attacker, unfinished(REFLECTION, 1)).await;
    for path in [WATCH, REFLECTION] {
        let refused = call(&attacker, grpc(path)).await;
        assert_eq!(grpc_status(&refused), RESOURCE_EXHAUSTED);
    }
    let other = served.channel().await;
    let open = call(&other, grpc(WATCH)).await;
    assert!(!open.headers().contains_key("grpc-status"));
    assert!(is_answered(&attacker).await);

    drop((watched, reflected));
    has_recovered(&attacker, WATCH).await;
}

#[tokio::test]
async fn reflection_ends_although_nobody_says_that_all_is_asked() {
    let limits = CallLimits {
        reflection: Duration::from_millis(20),
        ..limits()
    };
    let served = served(&limits).await;
    let answer = send(&served.channel().await, unfinished(REFLECTION, 5)).await;
    let said = within(answer.into_body().collect()).await.unwrap();
    assert_eq!(said.to_bytes().len(), 5);
}
