//! What the relay's port speaks.

// A test stops at the first thing that is not as it should be, helpers included.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

// The SDK's own tests play the same upstream.
#[allow(dead_code, unreachable_pub)]
#[path = "../../clients/rust/tests/support/scripted.rs"]
mod scripted;
#[allow(dead_code)]
#[path = "support/relay.rs"]
mod support;

use burgee::{Client, State};
use burgee_relay::config::TlsFiles;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::transport::Endpoint;
use tonic_reflection::pb::{v1, v1alpha};

use scripted::{ENVIRONMENT, Scripted, flag, soon};
use support::{Above, Running, alice, ruleset, sdk_key};

/// Asks over HTTP/1.1, and gives head and body as text.
async fn http1(relay: &Running, request: &[u8]) -> String {
    let address = relay.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer).to_lowercase()
}

async fn lonely() -> (TempDir, Running) {
    let disk = TempDir::new().unwrap();
    let relay = Running::start("http://127.0.0.1:1", disk.path()).await;
    (disk, relay)
}

#[tokio::test]
async fn a_probe_without_grpc_is_answered() {
    let (_disk, relay) = lonely().await;
    let request = b"GET /healthz HTTP/1.1\r\nhost: relay\r\nconnection: close\r\n\r\n";
    let answer = http1(&relay, request).await;
    assert!(answer.starts_with("http/1.1 200"), "{answer}");
    assert!(answer.ends_with("ok\n"), "{answer}");
    let request = b"GET /else HTTP/1.1\r\nhost: relay\r\nconnection: close\r\n\r\n";
    let answer = http1(&relay, request).await;
    assert!(answer.starts_with("http/1.1 404"), "{answer}");
    relay.stop().await;
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_evaluate_and_ask_for_nothing_else() {
    let (_disk, relay) = lonely().await;
    let preflight = |path: &str| {
        format!(
            "OPTIONS {path} HTTP/1.1\r\nhost: relay\r\norigin: https://shop.example\r\n\
             access-control-request-method: POST\r\n\
             access-control-request-headers: authorization,x-grpc-web\r\n\
             connection: close\r\n\r\n"
        )
    };
    let evaluate = preflight("/burgee.evaluation.v1.EvaluationService/Evaluate");
    let answer = http1(&relay, evaluate.as_bytes()).await;
    assert!(
        answer.contains("access-control-allow-origin: *"),
        "{answer}"
    );
    assert!(answer.contains("access-control-allow-headers: authorization,x-grpc-web"));
    let check = preflight("/grpc.health.v1.Health/Check");
    let answer = http1(&relay, check.as_bytes()).await;
    assert!(answer.starts_with("http/1.1 405"), "{answer}");
    assert!(!answer.contains("access-control"), "{answer}");

    // The empty message: five bytes of frame, and nothing.
    let call = |path: &str| {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: relay\r\norigin: https://shop.example\r\n\
             content-type: application/grpc-web+proto\r\ncontent-length: 5\r\n\
             connection: close\r\n\r\n"
        );
        [head.as_bytes(), &[0; 5]].concat()
    };
    let health = http1(&relay, &call("/grpc.health.v1.Health/Check")).await;
    assert!(health.starts_with("http/1.1 200"), "{health}");
    assert!(health.contains("grpc-status:0"), "{health}");
    assert!(!health.contains("access-control"), "{health}");
    // Without a key it is refused, and the page can read how.
    let path = "/burgee.evaluation.v1.EvaluationService/Evaluate";
    let refused = http1(&relay, &call(path)).await;
    assert!(refused.contains("grpc-status: 16"), "{refused}");
    assert!(refused.contains("access-control-expose-headers: grpc-status"));
    relay.stop().await;
}

#[tokio::test]
async fn both_versions_of_reflection_list_the_services() {
    let (_disk, relay) = lonely().await;
    let endpoint = Endpoint::from_shared(relay.url.clone()).unwrap();
    let channel = endpoint.connect().await.unwrap();
    let expected = [
        "burgee.evaluation.v1.EvaluationService",
        "burgee.sync.v1.SyncService",
        "grpc.health.v1.Health",
    ];

    let request = v1::ServerReflectionRequest {
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
        ..v1::ServerReflectionRequest::default()
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let answer = client
        .server_reflection_info(tokio_stream::once(request))
        .await;
    let answer = answer.unwrap().into_inner().message().await.unwrap();
    let Some(v1::server_reflection_response::MessageResponse::ListServicesResponse(list)) =
        answer.unwrap().message_response
    else {
        panic!("a list");
    };
    let names: Vec<String> = list.service.into_iter().map(|one| one.name).collect();
    assert!(
        expected
            .iter()
            .all(|name| names.contains(&(*name).to_owned())),
        "{names:?}"
    );

    let request = v1alpha::ServerReflectionRequest {
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(
                "google.rpc.ErrorInfo".into(),
            ),
        ),
        ..v1alpha::ServerReflectionRequest::default()
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let answer = client
        .server_reflection_info(tokio_stream::once(request))
        .await;
    let answer = answer.unwrap().into_inner().message().await.unwrap();
    let described = answer.unwrap().message_response;
    assert!(
        matches!(
            described,
            Some(v1alpha::server_reflection_response::MessageResponse::FileDescriptorResponse(_))
        ),
        "{described:?}"
    );
    relay.stop().await;
}

#[tokio::test]
async fn a_client_that_trusts_its_certificate_follows_it_over_tls_and_no_other_does() {
    let folder = TempDir::new().unwrap();
    let certificate = |name: &str| {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let files = TlsFiles {
            certificate: folder.path().join(format!("{name}.pem")),
            key: folder.path().join(format!("{name}.key")),
        };
        std::fs::write(&files.certificate, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        files
    };
    let (own, foreign) = (certificate("own"), certificate("foreign"));
    let upstream = Scripted::start().await;
    let data_dir = folder.path().join("data");
    let relay = Running::start_with(&upstream.url(), &data_dir, Some(own.clone())).await;
    let above = Above::names(upstream, &[ENVIRONMENT]).await;
    let stream = above.upstream.accept().await;
    stream.send_whole(&ruleset(1, &[flag("on", true, 1)])).await;

    let client = |trusted: &TlsFiles, patience| {
        Client::builder()
            .address(&relay.url)
            .sdk_key(sdk_key().expose())
            .ca_file(&trusted.certificate)
            .init_timeout(patience)
            .connect()
    };
    let trusting = client(&own, scripted::DEADLINE).await.unwrap();
    assert!(trusting.bool("on", &alice(), false));
    let other = client(&foreign, std::time::Duration::from_secs(1))
        .await
        .unwrap();
    assert_eq!(*other.state().borrow(), State::Error);
    relay.stop().await;
}
