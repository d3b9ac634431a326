//! What a request makes a server hold is of the order of its bytes, and what nobody takes of an
//! answer is little.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use burgee_proto::admin::v1::{AuditFormat, ExportAuditEntriesRequest};
use burgee_tests::callers::{Caller, channel};
use burgee_tests::relay::TestRelay;
use burgee_tests::server::TestServer;
use bytes::Bytes;
use http_body_util::Full;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Service as _, ServiceExt as _};

const EVALUATE: &str = "/burgee.evaluation.v1.EvaluationService/Evaluate";
const UPDATE: &str = "/burgee.admin.v1.FlagService/UpdateFlagConfig";
const GRPC: &str = "application/grpc";
const GRPC_WEB_TEXT: &str = "application/grpc-web-text";
const MIB: u64 = 1 << 20;
/// What a few copies of the largest request take, and much less than it would become.
const COPIES: u64 = 64 * MIB;

/// Sends a message as it is; gives the code of the answer.
async fn send(
    (address, path): (&str, &str),
    content_type: &str,
    credential: &str,
    message: &[u8],
) -> Option<Code> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let mut body = [&[0], &length[..], message].concat();
    if content_type == GRPC_WEB_TEXT {
        body = STANDARD.encode(&body).into_bytes();
    }
    let request = http::Request::post(format!("http://test{path}"))
        .header("content-type", content_type)
        .header("authorization", format!("Bearer {credential}"))
        .header("te", "trailers")
        .body(Body::new(Full::new(Bytes::from(body))))
        .unwrap();
    let mut channel = channel(address);
    let answer = channel.ready().await.unwrap().call(request).await.unwrap();
    Status::from_header_map(answer.headers()).map(|status| status.code())
}

/// The field of that number, with this in it.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut encoded = vec![number << 3 | 2];
    prost::encode_length_delimiter(content.len(), &mut encoded).unwrap();
    encoded.extend_from_slice(content);
    encoded
}

/// As many empty messages, in the field of that number, as a request has room for.
fn empty_ones(number: u8) -> Vec<u8> {
    let room = (4 << 20) - 64;
    [number << 3 | 2, 0].repeat(room / 2)
}

#[tokio::test]
async fn a_message_that_would_become_enormous_is_refused_before_it_is_made() {
    let server = TestServer::start().await;
    let (_, production) = server.shop().await;
    let relay = TestRelay::start(server.address(), &production.relay_key().await).await;
    let token = server.database().admin_token().await;
    let key = production.server_key().await;
    // Two million rules of half a KiB each; two million values in the context.
    let rules = field(1, &empty_ones(9));
    let values = field(
        2,
        &field(2, &field(1, &field(2, &field(6, &empty_ones(1))))),
    );

    let before = server.peak_memory_bytes();
    for content_type in [GRPC, GRPC_WEB_TEXT] {
        for (address, path, credential, message) in [
            (server.address(), UPDATE, &token, &rules),
            (server.address(), EVALUATE, &key, &values),
            (relay.address(), EVALUATE, &key, &values),
        ] {
            let code = send((address, path), content_type, credential, message).await;
            assert_eq!(code, Some(Code::InvalidArgument), "{content_type} {path}");
        }
    }
    let grown = server.peak_memory_bytes() - before;
    assert!(grown < COPIES, "{} MiB", grown / MIB);
}

/// Entries of 256 KiB each.
const LARGE_ENTRIES: &str = "insert into audit_entries (organization_id, actor, method, request_id,
         resource, part, reason, before, address, user_agent, denied)
     select id, 'test', 'test', '', '', '', '', to_json(repeat('x', 256 * 1024)), '', '', 0
     from organizations cross join generate_series(1, 64)";

#[tokio::test]
async fn exports_that_nobody_takes_hold_little_each() {
    /// How many there are at a time.
    const EXPORTS: u64 = 32;
    /// What one of them holds at most: so much text, what it is made of, and HTTP/2's buffers.
    const EACH: u64 = 3 * MIB;

    let server = TestServer::start().await;
    server
        .database()
        .execute(LARGE_ENTRIES.to_owned())
        .await
        .unwrap();
    let token = server.database().admin_token().await;
    let before = server.memory_bytes();
    let mut held = Vec::new();
    for _ in 0..EXPORTS {
        let request = ExportAuditEntriesRequest {
            format: AuditFormat::Csv.into(),
            ..ExportAuditEntriesRequest::default()
        };
        // Each by a connection of its own, so that none waits for another's window.
        let reader = Caller::new(server.address(), &token);
        let export = reader.audit().export_audit_entries(request).await.unwrap();
        let mut export = export.into_inner();
        // The names of the columns, and the first entries.
        for _ in 0..2 {
            export.message().await.unwrap().unwrap();
        }
        held.push(export);
    }
    let grown = server.memory_bytes().saturating_sub(before);
    assert!(grown < EXPORTS * EACH, "{} MiB", grown / MIB);
}
