use std::time::Duration;

use axum::Router;
use axum::extract::{Extension, Request};
use axum::routing::get;
use burgee_runtime::{Connection, Limits, Listening};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tonic::transport::server::TcpConnectInfo;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::ServiceBuilder;

use crate::served::{Served, call, closed, grpc, within};

/// gRPC and gRPC-web, and beside them a page.
async fn health_and_page() -> Router {
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter
        .set_service_status("test", ServingStatus::Serving)
        .await;
    let web = ServiceBuilder::new().layer(tonic_web::GrpcWebLayer::new());
    tonic::service::Routes::new(service)
        .into_axum_router()
        .layer(web)
        .route("/page", get(|| async { "a page" }))
}

async fn is_serving(served: &Served) -> bool {
    let mut client = HealthClient::new(served.channel().await);
    let request = HealthCheckRequest {
        service: "test".to_owned(),
    };
    let response = within(client.check(request)).await.unwrap().into_inner();
    response.status == ServingStatus::Serving as i32
}

#[tokio::test]
async fn grpc_grpc_web_and_plain_http_share_a_port() {
    let served = Served::new(health_and_page().await).await;

    assert!(is_serving(&served).await);

    let page = served.http1("GET /page HTTP/1.1", b"").await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(page.ends_with("a page"), "{page}");

    // A frame that holds a HealthCheckRequest with service "test".
    let message = b"\0\0\0\0\x06\x0a\x04test";
    let head = "POST /grpc.health.v1.Health/Check HTTP/1.1\r\n\
                content-type: application/grpc-web+proto";
    let answer = served.http1(head, message).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("grpc-status:0"), "{answer}");
}

#[tokio::test]
async fn a_call_knows_its_peer_and_its_connection() {
    async fn peer(Extension(connection): Extension<Connection>, request: Request) -> String {
        let info = request.extensions().get::<TcpConnectInfo>().unwrap();
        assert_eq!(info.remote_addr(), Some(connection.remote_addr));
        format!("{} {}", connection.remote_addr, info.local_addr().unwrap())
    }
    let mut served = Served::new(Router::new().route("/", get(peer))).await;
    let answer = served.http1("GET / HTTP/1.1", b"").await;
    let connection = served.connection().await;
    let expected = format!("{} {}", connection.remote_addr, served.address);
    assert!(answer.ends_with(&expected), "{answer}");
}

#[tokio::test]
async fn a_peer_that_begins_and_does_not_go_on_is_cut_off() {
    let limits = Limits {
        first_bytes_timeout: Duration::from_millis(50),
        http1_head_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let served = Served::with(health_and_page().await, limits, None).await;
    let beginnings: [&[u8]; 4] = [
        b"",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nhost:",
    ];
    for beginning in beginnings {
        let mut stream = served.connect().await;
        stream.write_all(beginning).await.unwrap();
        closed(&mut stream).await;
    }
    assert!(is_serving(&served).await);
}

#[tokio::test]
async fn a_connection_over_the_limit_is_closed_and_a_later_one_served() {
    let limits = Limits {
        connections: 1,
        ..Limits::default()
    };
    let mut served = Served::with(health_and_page().await, limits, None).await;
    let held = served.connect().await;
    served.connection().await;

    let mut refused = served.connect().await;
    closed(&mut refused).await;

    drop(held);
    // The place is free a moment after the connection has gone.
    within(async {
        loop {
            let answer = served.try_http1("GET /page HTTP/1.1", b"").await;
            if answer.is_ok_and(|answer| answer.ends_with("a page")) {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn closing_a_connection_drops_what_runs_on_it() {
    let (running, mut runs) = mpsc::unbounded_channel();
    let hang = move || {
        let (alive, dropped) = tokio::sync::oneshot::channel::<()>();
        running.send(dropped).unwrap();
        async move {
            std::future::pending::<()>().await;
            drop(alive);
        }
    };
    let mut served = Served::new(Router::new().route("/hang", get(hang))).await;
    let channel = served.channel().await;
    let calling = tokio::spawn({
        let channel = channel.clone();
        async move { call(&channel, http::Request::get("/hang")).await }
    });
    let dropped = within(runs.recv()).await.unwrap();

    served.connection().await.close.cancel();

    // Its sender goes with the handler.
    assert!(within(dropped).await.is_err());
    assert!(within(calling).await.is_err());
}

#[tokio::test]
async fn request_headers_over_16_kib_are_refused() {
    let served = Served::new(health_and_page().await).await;
    let channel = served.channel().await;
    let request = grpc("/grpc.health.v1.Health/Check").header("x-large", "x".repeat(17 << 10));
    let answer = call(&channel, request).await;
    assert_eq!(
        answer.status(),
        http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
    );
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_it() {
    let served = Served::new(Router::new()).await;
    let error = Listening::bind(served.address).await.unwrap_err();
    assert!(error.to_string().contains(&served.address.to_string()));
}
