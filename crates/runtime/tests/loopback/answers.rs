//! Answers that nobody takes: they have their room, and cost the connection in time.

use std::time::Duration;

use axum::Router;
use axum::body::Body as ServedBody;
use axum::routing::post;
use burgee_runtime::calls::{CallLimits, Shapes, guard};
use burgee_runtime::shares::Quota;
use http::Response;
use http_body_util::BodyExt as _;
use tonic::Status;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};

use crate::served::{DEADLINE, Served, call, grpc, grpc_status, within};

const OK: &str = "0";
const RESOURCE_EXHAUSTED: &str = "8";
/// What answers with one message, of the descriptors below.
const UNARY: &str = "/grpc.health.v1.Health/Check";
const LONG: usize = 1 << 20;

/// What answers with so many bytes.
async fn served(bytes: usize, limits: CallLimits) -> Served {
    let answer = move || async move {
        let mut response = Status::ok("").into_http::<ServedBody>();
        *response.body_mut() = ServedBody::from(vec![7; bytes]);
        response
    };
    let router = Router::new().route(UNARY, post(answer));
    let shapes = Shapes::read(tonic_health::pb::FILE_DESCRIPTOR_SET).unwrap();
    Served::new(guard(router, &limits, shapes, |bare| bare)).await
}

/// Room for so many bytes.
fn room(bytes: usize, answer_deadline: Duration) -> CallLimits {
    CallLimits {
        body_bytes: Quota {
            all: bytes,
            per_site: bytes,
        },
        answer_deadline,
        ..CallLimits::default()
    }
}

/// A caller who takes one byte of each answer, unless it asks for more.
async fn reluctant(served: &Served) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", served.address)).unwrap();
    let endpoint = endpoint.initial_stream_window_size(1);
    within(endpoint.connect()).await.unwrap()
}

async fn taken(answer: Response<Body>) -> usize {
    within(answer.collect()).await.unwrap().to_bytes().len()
}

#[tokio::test]
async fn an_answer_takes_its_room_until_it_is_taken() {
    let served = served(LONG, room(LONG * 3 / 2, DEADLINE * 2)).await;
    let (reluctant, other) = (reluctant(&served).await, served.channel().await);
    let waiting = call(&reluctant, grpc(UNARY)).await;
    assert_eq!(grpc_status(&waiting), OK);
    let refused = call(&other, grpc(UNARY)).await;
    assert_eq!(grpc_status(&refused), RESOURCE_EXHAUSTED);

    drop(waiting);
    within(async {
        while grpc_status(&call(&other, grpc(UNARY)).await) != OK {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let answer = call(&other, grpc(UNARY)).await;
    assert_eq!(taken(answer).await, LONG);
}

#[tokio::test]
async fn whoever_takes_no_long_answer_loses_the_connection_and_others_do_not() {
    let mut served = served(LONG, room(LONG * 64, Duration::from_millis(50))).await;
    let other = served.channel().await;
    let other_connection = served.connection().await;
    assert_eq!(taken(call(&other, grpc(UNARY)).await).await, LONG);

    let reluctant = reluctant(&served).await;
    let connection = served.connection().await;
    let waiting = call(&reluctant, grpc(UNARY)).await;
    within(connection.close.cancelled()).await;
    within(waiting.collect()).await.unwrap_err();
    assert!(!other_connection.close.is_cancelled());
}

#[tokio::test]
async fn short_answers_are_waited_for_when_room_gets_scarce() {
    let mut served = served(2, room(64 << 10, Duration::from_millis(50))).await;
    let reluctant = reluctant(&served).await;
    let connection = served.connection().await;
    let first = call(&reluctant, grpc(UNARY)).await;
    let second = call(&reluctant, grpc(UNARY)).await;
    assert!(!connection.close.is_cancelled());
    let third = call(&reluctant, grpc(UNARY)).await;
    within(connection.close.cancelled()).await;
    drop((first, second, third));
}
