//! What is sent is read as it is, or not at all.

use burgee_tests::server::TestServer;

use crate::protocols::exchange;

const PATH: &str = "/burgee.admin.v1.AuthService/SignIn";

/// The answer to a frame of gRPC-web, with trailers behind the head.
async fn send(server: &TestServer, headers: &str, frame: &[u8]) -> String {
    let length = frame.len();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/grpc-web+proto\r\n\
         {headers}content-length: {length}\r\nconnection: close\r\n\r\n"
    );
    let request = [head.as_bytes(), frame].concat();
    let (head, body) = exchange(server.address(), &request).await;
    head + &String::from_utf8_lossy(&body)
}

#[tokio::test]
async fn what_is_compressed_is_refused_and_never_unpacked() {
    let server = TestServer::start().await;
    // One KiB that would be a MiB.
    let frame = [&[1, 0, 0, 4, 0][..], &[0x78; 1_024]].concat();
    for (encoding, status) in [("grpc-encoding: gzip\r\n", 12), ("", 13)] {
        let answer = send(&server, encoding, &frame).await;
        let refused = format!("grpc-status: {status}");
        assert!(answer.contains(&refused), "{encoding}: {answer}");
    }
}

#[tokio::test]
async fn a_message_that_says_that_it_is_huge_is_refused_before_it_comes() {
    let server = TestServer::start().await;
    // 4 GiB less a byte, of which five bytes are there.
    let frame = [0, 255, 255, 255, 255, 1, 2, 3, 4, 5];
    let answer = send(&server, "", &frame).await;
    assert!(answer.contains("grpc-status: 11"), "{answer}");
    assert!(server.peak_memory_bytes() < 1 << 30);
}
