//! What speaks besides plain gRPC on the same port: reflection, health, and
//! gRPC-web for browsers.

use burgee_proto::evaluation::v1::watch_evaluations_response::Message;
use burgee_proto::evaluation::v1::{
    EvaluateRequest, EvaluateResponse, WatchEvaluationsRequest, WatchEvaluationsResponse,
};
use burgee_tests::builders::{boolean_flag, context};
use burgee_tests::callers::channel;
use burgee_tests::relay::TestRelay;
use burgee_tests::server::TestServer;
use burgee_tests::wait::{SOON, within};
use burgee_tests::watcher::RulesetWatcher;
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// Asks a version of the reflection service what there is, without a credential.
macro_rules! reflected_services {
    ($version:ident, $address:expr) => {{
        use tonic_reflection::pb::$version::ServerReflectionRequest;
        use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
        use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
        use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut client = ServerReflectionClient::new(channel($address));
        let answers = client
            .server_reflection_info(tokio_stream::once(request))
            .await;
        let answer = answers
            .unwrap()
            .into_inner()
            .message()
            .await
            .unwrap()
            .unwrap();
        match answer.message_response.unwrap() {
            MessageResponse::ListServicesResponse(list) => list
                .service
                .into_iter()
                .map(|service| service.name)
                .collect::<Vec<_>>(),
            other => panic!("not a list: {other:?}"),
        }
    }};
}

#[tokio::test]
async fn reflection_lists_the_services_in_both_versions() {
    let server = TestServer::start().await;
    let services = [
        "burgee.admin.v1.ApiKeyService",
        "burgee.admin.v1.EnvironmentService",
        "burgee.admin.v1.FlagService",
        "burgee.admin.v1.ProjectService",
        "burgee.admin.v1.SegmentService",
        "burgee.evaluation.v1.EvaluationService",
        "burgee.sync.v1.SyncService",
        "grpc.health.v1.Health",
    ];
    let listed = reflected_services!(v1, server.address());
    let listed_alpha = reflected_services!(v1alpha, server.address());
    for service in services {
        assert!(
            listed.iter().any(|name| name == service),
            "v1: {service} in {listed:?}"
        );
        assert!(
            listed_alpha.iter().any(|name| name == service),
            "v1alpha: {service}"
        );
    }
}

#[tokio::test]
async fn health_says_serving_at_server_and_relay() {
    let server = TestServer::start().await;
    let (_, production) = server.shop().await;
    let relay = TestRelay::start(server.address(), &production.relay_key().await).await;
    let sdk = relay.caller(&production.server_key().await);
    RulesetWatcher::follow(&sdk).synchronised().await;
    for address in [server.address(), relay.address()] {
        let request = HealthCheckRequest::default();
        let answer = HealthClient::new(channel(address)).check(request).await;
        assert_eq!(
            answer.unwrap().into_inner().status(),
            ServingStatus::Serving
        );
    }
}

#[tokio::test]
async fn a_browser_evaluates_over_grpc_web_on_http_1() {
    let server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    let mut visible = boolean_flag("banner");
    visible.client_visible = true;
    shop.create_flag(visible).await;
    production.enable("banner").await;
    let key = production.client_key().await;
    let request = EvaluateRequest {
        flag_key: "banner".to_owned(),
        context: Some(context("alice", &[])),
        ..EvaluateRequest::default()
    };
    let path = "/burgee.evaluation.v1.EvaluationService/Evaluate";

    let (head, body) = grpc_web(
        server.address(),
        path,
        &bearer(&key),
        &request.encode_to_vec(),
    )
    .await;

    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(
        head.contains("content-type: application/grpc-web"),
        "{head}"
    );
    let (messages, trailers) = frames(&body);
    let response = EvaluateResponse::decode(messages[0].as_slice()).unwrap();
    assert_eq!(response.evaluation.unwrap().variant, "on");
    assert!(trailers.contains("grpc-status:0"), "{trailers}");
}

#[tokio::test]
async fn a_browser_follows_evaluations_over_grpc_web_on_http_1() {
    let server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    let mut visible = boolean_flag("banner");
    visible.client_visible = true;
    shop.create_flag(visible).await;
    let key = production.client_key().await;
    let request = WatchEvaluationsRequest {
        context: Some(context("alice", &[])),
        ..WatchEvaluationsRequest::default()
    };
    let path = "/burgee.evaluation.v1.EvaluationService/WatchEvaluations";
    let stream = send_grpc_web(
        server.address(),
        path,
        &bearer(&key),
        &request.encode_to_vec(),
    )
    .await;
    let mut body = WebBody::new(stream);

    let snapshot = match body.message().await {
        Message::Snapshot(snapshot) => snapshot,
        other => panic!("not a snapshot: {other:?}"),
    };

    assert!(snapshot.last_chunk);
    assert_eq!(snapshot.evaluations[0].variant, "off");
    production.enable("banner").await;
    loop {
        match body.message().await {
            Message::Delta(delta) => {
                assert_eq!(delta.updated[0].variant, "on");
                break;
            }
            Message::Bookmark(_) => {}
            other => panic!("not a delta: {other:?}"),
        }
    }
}

/// A gRPC-web answer that is read while it comes.
struct WebBody {
    stream: TcpStream,
    received: Vec<u8>,
    messages_taken: usize,
}

impl WebBody {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            received: Vec::new(),
            messages_taken: 0,
        }
    }

    /// The next message of an evaluations watch.
    async fn message(&mut self) -> Message {
        loop {
            if let Some(end) = end_of_head(&self.received) {
                let body = unchunked(&self.received[end..]);
                let (messages, _) = frames(&body);
                if let Some(message) = messages.get(self.messages_taken) {
                    self.messages_taken += 1;
                    let response = WatchEvaluationsResponse::decode(message.as_slice());
                    return response.unwrap().message.unwrap();
                }
            }
            let read = self.stream.read_buf(&mut self.received);
            let read = within("more of the answer", SOON, read).await.unwrap();
            assert!(read > 0, "the answer ended");
        }
    }
}

/// Sends one gRPC-web request as HTTP/1.1; gives the head in lower case, and
/// the body.
pub(crate) async fn grpc_web(
    address: &str,
    path: &str,
    headers: &str,
    message: &[u8],
) -> (String, Vec<u8>) {
    answer(send_grpc_web(address, path, headers, message).await).await
}

/// Sends a request of HTTP/1.1 that closes the connection; gives the head, and the
/// body.
pub(crate) async fn exchange(address: &str, request: &[u8]) -> (String, Vec<u8>) {
    let host = address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.write_all(request).await.unwrap();
    answer(stream).await
}

async fn answer(mut stream: TcpStream) -> (String, Vec<u8>) {
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    within("the answer", SOON, read).await.unwrap();
    let (head, body) = answer.split_at(end_of_head(&answer).unwrap());
    let head = String::from_utf8(head.to_vec()).unwrap();
    if head.contains("transfer-encoding: chunked") {
        return (head, unchunked(body));
    }
    (head, body.to_vec())
}

/// A header that shows a credential.
pub(crate) fn bearer(credential: &str) -> String {
    format!("authorization: Bearer {credential}\r\n")
}

/// Sends one gRPC-web request as HTTP/1.1; the answer is still to be read.
async fn send_grpc_web(address: &str, path: &str, headers: &str, message: &[u8]) -> TcpStream {
    let host = address.trim_start_matches("http://");
    let length = message.len() + FRAME_HEAD_BYTES;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\n{headers}\
         content-type: application/grpc-web+proto\r\nx-grpc-web: 1\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n"
    );
    let mut request = head.into_bytes();
    request.push(0);
    request.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    request.extend(message);
    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.write_all(&request).await.unwrap();
    stream
}

/// Where the body of an answer begins, if that has come.
fn end_of_head(answer: &[u8]) -> Option<usize> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(end + 4)
}

/// A frame's flags and length.
const FRAME_HEAD_BYTES: usize = 5;
/// Set in a frame's flags: it holds the trailers.
const TRAILERS: u8 = 0x80;

/// The messages of a gRPC-web body that have come whole, and its trailers as
/// text.
pub(crate) fn frames(mut body: &[u8]) -> (Vec<Vec<u8>>, String) {
    let (mut messages, mut trailers) = (Vec::new(), String::new());
    while let [flags, a, b, c, d, rest @ ..] = body {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let Some((frame, after)) = rest.split_at_checked(length) else {
            break;
        };
        if flags & TRAILERS == 0 {
            messages.push(frame.to_vec());
        } else {
            trailers = String::from_utf8(frame.to_vec())
                .unwrap()
                .replace(": ", ":");
        }
        body = after;
    }
    (messages, trailers)
}

/// A body without HTTP/1.1's chunk sizes, as far as it has come.
fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(line) = body.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&body[..line]).unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let chunk = line + 2;
        if size == 0 || body.len() < chunk + size + 2 {
            break;
        }
        whole.extend(&body[chunk..chunk + size]);
        body = &body[chunk + size + 2..];
    }
    whole
}
