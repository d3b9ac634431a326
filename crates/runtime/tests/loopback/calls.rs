use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use axum::routing::{get, post};
use burgee_runtime::calls::{CallLimits, Deadline, Shapes, guard, unknown_path};
use burgee_runtime::shares::Quota;
use tokio::sync::Notify;
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::served::{Served, call, grpc, grpc_status, within};

const OK: &str = "0";
const DEADLINE_EXCEEDED: &str = "4";
const RESOURCE_EXHAUSTED: &str = "8";
const UNIMPLEMENTED: &str = "12";
const INTERNAL: &str = "13";

async fn ok() -> http::Response<axum::body::Body> {
    Status::ok("").into_http()
}

async fn panics() -> &'static str {
    panic!("on purpose")
}

async fn hangs() {
    std::future::pending().await
}

async fn guarded(limits: CallLimits, router: Router) -> Served {
    let router = router.fallback(unknown_path);
    Served::new(guard(router, &limits, Shapes::default(), detailed)).await
}

/// With the code as its details.
fn detailed(bare: Status) -> Status {
    let details = format!("{:?}", bare.code()).into();
    Status::with_details(bare.code(), bare.message(), details)
}

#[tokio::test]
async fn an_error_without_details_gets_some_and_others_keep_theirs() {
    async fn details(code: Code, given: &'static str) -> (Code, String) {
        let answer = move || async move {
            Status::with_details(code, "", given.into()).into_http::<axum::body::Body>()
        };
        let router = Router::new().route("/fails", post(answer));
        let served = guarded(CallLimits::default(), router).await;
        let answer = call(&served.channel().await, grpc("/fails")).await;
        let status = Status::from_header_map(answer.headers()).unwrap();
        let details = String::from_utf8(status.details().to_vec()).unwrap();
        (status.code(), details)
    }
    let invalid = (Code::InvalidArgument, "InvalidArgument".to_owned());
    assert_eq!(details(Code::Internal, "").await, invalid);
    assert_eq!(details(Code::OutOfRange, "").await, invalid);
    let absent = (Code::NotFound, "NotFound".to_owned());
    assert_eq!(details(Code::NotFound, "").await, absent);
    let given = (Code::Internal, "given".to_owned());
    assert_eq!(details(Code::Internal, "given").await, given);
}

#[tokio::test]
async fn an_unknown_path_is_answered_in_the_callers_language() {
    let served = guarded(CallLimits::default(), Router::new()).await;

    let answer = call(&served.channel().await, grpc("/no.Such/Thing")).await;
    assert_eq!(answer.status(), http::StatusCode::OK);
    assert_eq!(grpc_status(&answer), UNIMPLEMENTED);

    let head = "POST /no.Such/Thing HTTP/1.1\r\ncontent-type: application/grpc-web-text";
    let answer = served.http1(head, b"").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.contains("content-type: application/grpc-web-text"),
        "{answer}"
    );
    assert!(answer.contains("grpc-status: 12"), "{answer}");

    let answer = served.http1("GET /no-such-thing HTTP/1.1", b"").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert!(!answer.contains("grpc-status"), "{answer}");
}

#[tokio::test]
async fn a_panic_is_an_answer_and_the_connection_goes_on() {
    let router = Router::new()
        .route("/panics", post(panics).get(panics))
        .route("/ok", post(ok));
    let served = guarded(CallLimits::default(), router).await;
    let channel = served.channel().await;

    let answer = call(&channel, grpc("/panics")).await;
    assert_eq!(grpc_status(&answer), INTERNAL);
    assert_eq!(answer.headers()["grpc-message"], "internal%20error");
    assert_eq!(grpc_status(&call(&channel, grpc("/ok")).await), OK);

    let answer = served.http1("GET /panics HTTP/1.1", b"").await;
    assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
    assert!(!answer.contains("on purpose"), "{answer}");
}

#[tokio::test]
async fn a_call_ends_at_its_own_deadline_or_the_servers() {
    /// As gRPC-web: tonic's client would end the call by itself.
    async fn ends(deadline: Duration, grpc_timeout: &str) {
        let limits = CallLimits {
            deadline,
            ..CallLimits::default()
        };
        let served = guarded(limits, Router::new().route("/hangs", post(hangs))).await;
        let head = format!(
            "POST /hangs HTTP/1.1\r\ncontent-type: application/grpc-web\r\n\
             grpc-timeout: {grpc_timeout}"
        );
        let answer = served.http1(&head, b"").await;
        let status = format!("grpc-status: {DEADLINE_EXCEEDED}");
        assert!(answer.contains(&status), "{answer}");
    }
    let (short, long) = (Duration::from_millis(20), Duration::from_secs(3600));
    ends(long, "20m").await;
    ends(short, "1H").await;
    ends(short, "malformed").await;
}

#[tokio::test]
async fn a_handler_knows_its_deadline() {
    let tells = |Extension(Deadline(deadline)): Extension<Deadline>| async move {
        let left = deadline - Instant::now();
        assert!(left > Duration::from_secs(4) && left <= Duration::from_secs(5));
        ok().await
    };
    let served = guarded(
        CallLimits::default(),
        Router::new().route("/tells", post(tells)),
    )
    .await;
    let request = grpc("/tells").header("grpc-timeout", "5S");
    let answer = call(&served.channel().await, request).await;
    assert_eq!(grpc_status(&answer), OK);
}

#[tokio::test]
async fn one_call_too_many_is_refused_at_once() {
    let begun = Arc::new(Notify::new());
    let may_end = Arc::new(Notify::new());
    let waits = {
        let (begun, may_end) = (Arc::clone(&begun), Arc::clone(&may_end));
        move || async move {
            begun.notify_one();
            may_end.notified().await;
            ok().await
        }
    };
    let router = Router::new()
        .route("/waits", post(waits))
        .route("/page", get(|| async { "a page" }));
    let limits = CallLimits {
        calls: Quota {
            all: 1,
            per_site: 1,
        },
        ..CallLimits::default()
    };
    let served = guarded(limits, router).await;
    let channel = served.channel().await;
    let first = tokio::spawn({
        let channel = channel.clone();
        async move { call(&channel, grpc("/waits")).await }
    });
    within(begun.notified()).await;

    let answer = call(&channel, grpc("/waits")).await;
    assert_eq!(grpc_status(&answer), RESOURCE_EXHAUSTED);
    let answer = served.http1("GET /page HTTP/1.1", b"").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");

    may_end.notify_one();
    assert_eq!(grpc_status(&within(first).await.unwrap()), OK);
    let answer = served.http1("GET /page HTTP/1.1", b"").await;
    assert!(answer.ends_with("a page"), "{answer}");
}
