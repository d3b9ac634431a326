//! What goes up, what comes down, and what is said when nobody is there.

use std::sync::{Arc, Mutex};

use burgee::Address;
use burgee_hub::credential::{Kind, Secret, generate};
use burgee_hub::{EnvironmentLoad, HubConfig};
use burgee_proto::sync::v1::{Item, ItemKind};
use burgee_proto::types::v1::{AccessKey, AccessKeyKind, Position};
use http_body::Frame;
use http_body_util::StreamBody;
use prost::Message as _;
use tokio::net::TcpListener;

use super::*;

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        })
        .collect()
}

#[test]
fn what_is_of_the_call_goes_up_and_what_is_of_the_connection_does_not() {
    let sent = headers(&[
        ("authorization", "Bearer burgee_tst_x"),
        ("grpc-timeout", "3S"),
        ("x-mine", "kept"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=192.0.2.1;proto=https"),
        ("host", "relay"),
        ("cookie", "a=b"),
        ("origin", "https://shop.example"),
    ]);
    let caller = ClientAddress {
        ip: "198.51.100.7".parse().unwrap(),
        tls: false,
    };
    let up = headers_up(sent, Some(caller)).unwrap();
    let of = |name: &str| {
        let values = up.get_all(name).iter();
        values
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("authorization"), ["Bearer burgee_tst_x"]);
    assert_eq!(of("grpc-timeout"), ["3S"]);
    assert_eq!(of("x-mine"), ["kept"]);
    assert_eq!(of("x-forwarded-for"), ["198.51.100.7"]);
    assert_eq!(of("x-forwarded-proto"), ["http"]);
    assert_eq!(of("forwarded"), ["for=198.51.100.7;proto=http"]);
    assert_eq!(of("burgee-hops"), ["1"]);
    for name in ["host", "cookie", "origin"] {
        assert!(of(name).is_empty(), "{name}");
    }
}

#[test]
fn a_call_that_goes_round_in_a_circle_ends() {
    let mut passed = HeaderMap::new();
    for _ in 0..HOPS_MAX {
        passed = headers_up(passed, None).unwrap();
    }
    assert!(headers_up(passed, None).is_none());
}

#[test]
fn details_come_down_and_the_other_hops_cors_does_not() {
    let answered = headers(&[
        ("grpc-status", "9"),
        ("grpc-status-details-bin", "CAk"),
        ("x-theirs", "kept"),
        ("access-control-allow-origin", "*"),
        ("vary", "origin"),
    ]);
    let down = headers_down(&answered);
    let kept = headers(&[
        ("grpc-status", "9"),
        ("grpc-status-details-bin", "CAk"),
        ("x-theirs", "kept"),
    ]);
    assert_eq!(down, kept);
}

const METHOD: &str = TEST_KEY_METHODS[0];
const ENVIRONMENT: &str = "3f2b8c1e-0000-4000-8000-000000000001";
/// A frame with a field that nobody here knows: number 1000, text.
const REQUEST: &[u8] = b"\0\0\0\0\x08\xc2\x3e\x05hello";

/// What an upstream was asked with.
type Asked = (HeaderMap, Vec<u8>);

fn tester() -> Secret {
    generate(Kind::Test, [3; 32])
}

/// A hub that knows the test key.
fn hub() -> Hub {
    let secret = tester();
    let key = AccessKey {
        hash: secret.hash().to_vec().into(),
        kind: AccessKeyKind::Test.into(),
        environments: vec![ENVIRONMENT.to_owned()],
        ..AccessKey::default()
    };
    let hub = Hub::new(HubConfig::default());
    hub.publish_whole(EnvironmentLoad {
        environment: ENVIRONMENT.to_owned(),
        position: Position::default(),
        floor: 0,
        items: vec![Arc::new(Item {
            kind: ItemKind::AccessKey.into(),
            key: secret
                .hash()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            revision: 1,
            level: 1,
            body: key.encode_to_vec().into(),
        })],
        tombstones: Vec::new(),
        committed_at: None,
    });
    hub
}

/// What comes of a call through a relay below these addresses.
async fn pass(upstream: &str) -> Result<Response, Status> {
    let upstream = Connections::new(Address::list(upstream).unwrap(), "relay/1", None);
    let request = Request::post(METHOD)
        .header("authorization", format!("Bearer {}", tester().expose()))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "tester/1")
        .body(Body::from(REQUEST))
        .unwrap();
    Forwarding::new(hub(), upstream).pass(METHOD, request).await
}

/// An upstream that answers each call so; gives its address.
async fn upstream<F>(answer: impl FnOnce(Request) -> F + Clone + Send + Sync + 'static) -> String
where
    F: Future<Output = Response> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route(METHOD, post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test]
async fn bytes_metadata_and_trailers_pass_unchanged() {
    let seen: Arc<Mutex<Option<Asked>>> = Arc::default();
    let noted = seen.clone();
    let address = upstream(async move |request: Request| {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        *noted.lock().unwrap() = Some((head.headers, body.to_vec()));
        let trailers = headers(&[("grpc-status", "9"), ("grpc-status-details-bin", "CAk")]);
        let frames = [
            Ok::<_, std::convert::Infallible>(Frame::data(body)),
            Ok(Frame::trailers(trailers)),
        ];
        let body = StreamBody::new(futures_util::stream::iter(frames));
        Response::builder()
            .header("content-type", "application/grpc")
            .header("access-control-allow-origin", "*")
            .body(Body::new(body))
            .unwrap()
    })
    .await;
    // The first one is not there, and was asked for nothing.
    let (head, body) = pass(&format!("http://127.0.0.1:1,{address}"))
        .await
        .unwrap()
        .into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().unwrap();
    assert_eq!(trailers["grpc-status"], "9");
    assert_eq!(trailers["grpc-status-details-bin"], "CAk");
    assert_eq!(body.to_bytes(), REQUEST);
    assert!(!head.headers.contains_key("access-control-allow-origin"));

    let (asked, body) = seen.lock().unwrap().take().unwrap();
    assert_eq!(body, REQUEST);
    let authorization = asked["authorization"].to_str().unwrap();
    assert!(authorization.ends_with(tester().expose()));
    assert!(
        asked["user-agent"]
            .to_str()
            .unwrap()
            .starts_with("tester/1")
    );
}

#[tokio::test]
async fn a_refusal_of_headers_alone_stays_one() {
    let address = upstream(async |_: Request| Status::not_found("no such flag").into_http()).await;
    let answer = pass(&address).await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], "5");
    assert!(http_body::Body::is_end_stream(answer.body()));
}

#[tokio::test]
async fn where_nobody_was_asked_nothing_was_changed() {
    let status = pass("http://127.0.0.1:1,http://127.0.0.1:1")
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "NOT_CURRENT");
    assert!(details.retry_info().is_some());
}

#[tokio::test]
async fn where_the_connection_broke_the_outcome_is_unknown_and_nobody_else_is_asked() {
    let asked = Arc::new(Mutex::new(0));
    let counted = asked.clone();
    let sibling = upstream(async move |_: Request| {
        *counted.lock().unwrap() += 1;
        Response::new(Body::empty())
    })
    .await;
    let breaking = upstream(async |request: Request| {
        drop(request.into_body().collect().await);
        let body = StreamBody::new(futures_util::stream::iter([Err::<Frame<bytes::Bytes>, _>(
            std::io::Error::other("broken"),
        )]));
        Response::new(Body::new(body))
    })
    .await;
    let status = pass(&format!("{breaking},{sibling}")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "OUTCOME_UNKNOWN");
    assert!(details.retry_info().is_some());
    assert_eq!(*asked.lock().unwrap(), 0);
}
