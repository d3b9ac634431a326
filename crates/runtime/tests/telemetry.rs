//! Traces reach a collector. Telemetry is of the whole process, so this test has
//! one of its own.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may stop at the first thing that is not as it should be"
)]

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::routing::post;
use burgee_runtime::telemetry::{self, LogFormat, Options};
use burgee_runtime::{Limits, Listening};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Answers like a collector, and passes on what it was sent.
async fn collect(State(sent): State<mpsc::Sender<Bytes>>, body: Bytes) -> http::Response<Body> {
    sent.send(body).await.unwrap();
    tonic::Status::ok("").into_http()
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_are_sent_to_the_collector_before_the_process_ends() {
    let (sent, mut received) = mpsc::channel(16);
    let router = Router::new().route(EXPORT, post(collect)).with_state(sent);
    let listening = Listening::bind("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let endpoint = format!("http://{}", listening.local_addr());
    let shutdown = CancellationToken::new();
    tokio::spawn(listening.serve(router, |_, _| {}, Limits::default(), shutdown));

    let options = Options {
        service: "burgee-test",
        version: "1.2.3",
        filter: "info".to_owned(),
        format: LogFormat::Json,
        otlp_endpoint: Some(endpoint),
    };
    let telemetry = telemetry::init(&options).unwrap();
    tracing::info_span!("a span to look for").in_scope(|| {});
    assert!(matches!(
        telemetry::init(&options),
        Err(telemetry::Error::Repeated(_))
    ));
    telemetry.finish().await;

    let received = tokio::time::timeout(Duration::from_secs(20), received.recv());
    let received = received.await.unwrap().unwrap();
    let holds = |text: &str| {
        received
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    for text in ["a span to look for", "burgee-test", "1.2.3"] {
        assert!(holds(text), "no {text:?} in what was sent");
    }
}
