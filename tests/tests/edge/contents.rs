//! What is sent is read as it is, or not at all, and whoever sent it is told why.

use burgee_tests::callers::channel;
use burgee_tests::errors::reason;
use burgee_tests::relay::TestRelay;
use burgee_tests::server::TestServer;
use http::{HeaderMap, HeaderName, HeaderValue};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::protocols::exchange;

const SIGN_IN: &str = "/burgee.admin.v1.AuthService/SignIn";
const EVALUATE: &str = "/burgee.evaluation.v1.EvaluationService/Evaluate";

/// How a frame of gRPC-web is refused.
async fn send(address: &str, path: &str, headers: &str, frame: &[u8]) -> Status {
    send_part(address, path, headers, (frame, frame.len())).await
}

/// The same, of a frame of which more is said to come.
async fn send_part(
    address: &str,
    path: &str,
    headers: &str,
    (frame, length): (&[u8], usize),
) -> Status {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/grpc-web+proto\r\n\
         {headers}content-length: {length}\r\nconnection: close\r\n\r\n"
    );
    let request = [head.as_bytes(), frame].concat();
    let (head, _) = exchange(address, &request).await;
    assert!(
        head.contains("content-type: application/grpc-web+proto"),
        "{head}"
    );
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    let fields = fields.map(|(name, value)| {
        let name: HeaderName = name.parse().unwrap();
        (name, HeaderValue::from_str(value).unwrap())
    });
    let fields: HeaderMap = fields.collect();
    Status::from_header_map(&fields).unwrap_or_else(|| panic!("no status: {head}"))
}

/// How a method is refused that is not there.
async fn call(address: &str, path: &'static str) -> Status {
    let mut client = Grpc::new(channel(address));
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static(path);
    let codec = ProstCodec::<(), ()>::default();
    client
        .unary(Request::new(()), path, codec)
        .await
        .unwrap_err()
}

#[tokio::test]
async fn what_is_compressed_is_refused_and_never_unpacked() {
    let server = TestServer::start().await;
    // One KiB that would be a MiB.
    let frame = [&[1, 0, 0, 4, 0][..], &[0x78; 1_024]].concat();
    let status = send(server.address(), SIGN_IN, "grpc-encoding: gzip\r\n", &frame).await;
    assert_eq!(
        (status.code(), reason(&status)),
        (Code::Unimplemented, "UNIMPLEMENTED".to_owned())
    );
    let status = send(server.address(), SIGN_IN, "", &frame).await;
    is_unreadable(&status);
}

fn is_unreadable(status: &Status) {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert_eq!(reason(status), "REQUEST_UNREADABLE");
    assert!(!status.message().is_empty());
}

#[tokio::test]
async fn a_message_that_says_that_it_is_huge_is_refused_before_it_comes() {
    let server = TestServer::start().await;
    // 4 GiB less a byte, of which five bytes are there.
    let frame = [0, 255, 255, 255, 255, 1, 2, 3, 4, 5];
    is_unreadable(&send(server.address(), SIGN_IN, "", &frame).await);
    assert!(server.peak_memory_bytes() < 1 << 30);
}

#[tokio::test]
async fn what_no_service_answers_has_a_reason_too() {
    let server = TestServer::start().await;
    let (_, environment) = server.shop().await;
    let relay = TestRelay::start(server.address(), &environment.relay_key().await).await;
    for address in [server.address(), relay.address()] {
        let frame = [0, 0, 0, 0, 2, 0xff, 0xff];
        is_unreadable(&send(address, EVALUATE, "", &frame).await);
        for path in [
            "/burgee.evaluation.v1.EvaluationService/Guess",
            "/burgee.guesses.v1.GuessService/Guess",
        ] {
            let status = call(address, path).await;
            assert_eq!(status.code(), Code::Unimplemented);
            assert_eq!(reason(&status), "UNIMPLEMENTED");
            assert!(status.message().contains(path), "{status:?}");
        }
        let status = send_part(address, EVALUATE, "grpc-timeout: 50m\r\n", (&[0; 5], 6)).await;
        assert_eq!(status.code(), Code::DeadlineExceeded);
        assert_eq!(reason(&status), "DEADLINE_EXCEEDED");
    }
}
