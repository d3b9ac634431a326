//! What pages may do with a browser: every origin, kind of content and credential, at
//! both planes and at both hops. A browser sends a form without asking, and a cookie
//! along with whatever a page asks of the server; it asks before anything else.

use std::fmt::Write as _;

use burgee_proto::admin::v1::{ApiKey, CreateApiKeyRequest, WhoAmIRequest};
use burgee_proto::evaluation::v1::EvaluateRequest;
use burgee_proto::types::v1::AccessKeyKind;
use burgee_tests::builders::{boolean_flag, context};
use burgee_tests::callers::Caller;
use burgee_tests::dev_server::DevServer;
use burgee_tests::people::PASSWORD;
use burgee_tests::project::TestEnvironment;
use burgee_tests::relay::TestRelay;
use burgee_tests::server::TestServer;
use burgee_tests::watcher::RulesetWatcher;
use prost::Message as _;

use crate::protocols::exchange;

const ADA: &str = "ada@example.com";
/// An origin that the operator allows.
const ALLOWED: &str = "https://shop.example";
const ADMIN: &str = "/burgee.admin.v1.AuthService/WhoAmI";
const DATA: &str = "/burgee.evaluation.v1.EvaluationService/Evaluate";

const WEB: &str = "application/grpc-web+proto";
/// All that a page may send without asking first, what scripts send, and nothing.
const OTHERS: [&str; 6] = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/json",
    "application/grpc-web+proto; charset=utf-8",
    "",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Own,
    Allowed,
    Foreign,
    Null,
    Absent,
}

use Origin::{Absent, Allowed, Foreign, Null, Own};

const ORIGINS: [Origin; 5] = [Own, Allowed, Foreign, Null, Absent];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Credential {
    Cookie,
    Bearer,
}

use Credential::{Bearer, Cookie};

/// What comes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Answered,
    Unauthenticated,
    /// Its content is none that a call has: 415.
    NoCall,
}

use Outcome::{Answered, NoCall, Unauthenticated};

/// A path, a credential, origins, whether it is gRPC-web; what comes of it, and whether
/// a page of another origin may read that.
type Row = (
    &'static str,
    Credential,
    &'static [Origin],
    bool,
    Outcome,
    bool,
);

/// What a page's calls come to.
const TABLE: [Row; 11] = [
    // A cookie counts for own pages alone, that call as no form can.
    (ADMIN, Cookie, &[Own], true, Answered, false),
    (
        ADMIN,
        Cookie,
        &[Allowed, Foreign, Null, Absent],
        true,
        Unauthenticated,
        false,
    ),
    (ADMIN, Cookie, &ORIGINS, false, NoCall, false),
    // Who shows a credential is no browser's victim; a page cannot read it even so.
    (ADMIN, Bearer, &ORIGINS, true, Answered, false),
    (ADMIN, Bearer, &ORIGINS, false, NoCall, false),
    // The data plane knows no cookies, and pages that the operator allows.
    (DATA, Cookie, &[Allowed], true, Unauthenticated, true),
    (
        DATA,
        Cookie,
        &[Own, Foreign, Null, Absent],
        true,
        Unauthenticated,
        false,
    ),
    (DATA, Bearer, &[Allowed], true, Answered, true),
    (
        DATA,
        Bearer,
        &[Own, Foreign, Null, Absent],
        true,
        Answered,
        false,
    ),
    (DATA, Bearer, &[Allowed], false, NoCall, true),
    (
        DATA,
        Bearer,
        &[Own, Foreign, Null, Absent],
        false,
        NoCall,
        false,
    ),
];

/// A hop, and what a page there may have.
struct Hop {
    address: String,
    /// A session in a cookie, and a credential, for each plane.
    cookie: String,
    token: String,
    key: String,
}

/// A hop at a server, and the environment that its key opens.
struct World {
    hop: Hop,
    production: TestEnvironment,
}

impl World {
    async fn of(server: &TestServer) -> Self {
        server.admin().person(ADA, "viewer", "").await;
        let signed_in = server.nobody().sign_in(ADA, PASSWORD).await.unwrap();
        let (shop, production) = server.shop().await;
        let mut banner = boolean_flag("banner");
        banner.client_visible = true;
        shop.create_flag(banner).await;
        server.admin().create_account("page").await;
        let hop = Hop {
            address: server.address().to_owned(),
            cookie: signed_in.secret,
            token: server.admin().token("page").await.unwrap(),
            key: production.client_key().await,
        };
        Self { hop, production }
    }
}

impl Hop {
    fn origin(&self, origin: Origin) -> Option<&str> {
        match origin {
            Own => Some(&self.address),
            Allowed => Some(ALLOWED),
            Foreign => Some("https://evil.example"),
            Null => Some("null"),
            Absent => None,
        }
    }

    /// The head of an answer to a page, in lower case, with trailers behind it.
    async fn send(&self, verb: &str, path: &str, headers: &str, message: &[u8]) -> String {
        let host = self.address.trim_start_matches("http://");
        let length = message.len();
        let head = format!(
            "{verb} {path} HTTP/1.1\r\nhost: {host}\r\n{headers}connection: close\r\n\
             content-length: {length}\r\n\r\n"
        );
        let request = [head.as_bytes(), message].concat();
        let (head, body) = exchange(&self.address, &request).await;
        (head + &String::from_utf8_lossy(&body)).to_lowercase()
    }

    async fn call(
        &self,
        path: &str,
        credential: Credential,
        origin: Origin,
        content_type: &str,
    ) -> String {
        let mut headers = String::new();
        if let Some(origin) = self.origin(origin) {
            write!(headers, "origin: {origin}\r\n").unwrap();
        }
        if !content_type.is_empty() {
            write!(headers, "content-type: {content_type}\r\n").unwrap();
        }
        let bearer = if path == ADMIN {
            &self.token
        } else {
            &self.key
        };
        match credential {
            Cookie => write!(headers, "cookie: burgee_session={}\r\n", self.cookie),
            Bearer => write!(headers, "authorization: Bearer {bearer}\r\n"),
        }
        .unwrap();
        self.send("POST", path, &headers, &message(path)).await
    }

    async fn preflight(&self, path: &str, origin: Origin) -> String {
        let origin = self.origin(origin).unwrap_or("https://nowhere.example");
        let headers = format!(
            "origin: {origin}\r\naccess-control-request-method: POST\r\n\
             access-control-request-headers: authorization,content-type,x-grpc-web\r\n"
        );
        self.send("OPTIONS", path, &headers, b"").await
    }
}

/// A call's message, in its frame.
fn message(path: &str) -> Vec<u8> {
    let message = if path == ADMIN {
        WhoAmIRequest {}.encode_to_vec()
    } else {
        let request = EvaluateRequest {
            flag_key: "banner".to_owned(),
            context: Some(context("alice", &[])),
            ..EvaluateRequest::default()
        };
        request.encode_to_vec()
    };
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, &message].concat()
}

/// A client key for pages of one origin.
async fn client_key_of(admin: &Caller, environment: &TestEnvironment, origin: &str) -> String {
    let request = CreateApiKeyRequest {
        api_key: Some(ApiKey {
            display_name: "a shop's".to_owned(),
            kind: AccessKeyKind::Client.into(),
            environments: vec![environment.name.clone()],
            allowed_origins: vec![origin.to_owned()],
            ..ApiKey::default()
        }),
        ..CreateApiKeyRequest::default()
    };
    let response = admin.api_keys().create_api_key(request).await.unwrap();
    response.into_inner().secret
}

fn outcome(answer: &str) -> Outcome {
    match answer {
        _ if answer.starts_with("http/1.1 415") => NoCall,
        _ if answer.contains("grpc-status: 16") => Unauthenticated,
        _ if answer.contains("grpc-status:0") => Answered,
        other => panic!("{other}"),
    }
}

/// The origin whose pages may read an answer.
fn readable(answer: &str) -> Option<&str> {
    let mut lines = answer.lines();
    lines.find_map(|line| line.strip_prefix("access-control-allow-origin: "))
}

/// Holds a hop that allows one origin against the rows of the table for these paths.
async fn check_table(hop: &Hop, paths: &[&str]) {
    let mut cells = 0;
    for (path, credential, origins, web, expected, may_read) in TABLE {
        if !paths.contains(&path) {
            continue;
        }
        let contents = if web { &[WEB][..] } else { &OTHERS };
        for origin in origins {
            for content_type in contents {
                let cell = format!("{path} {credential:?} {origin:?} {content_type:?}");
                let answer = hop.call(path, credential, *origin, content_type).await;
                assert_eq!(outcome(&answer), expected, "{cell}: {answer}");
                let reader = may_read.then_some(ALLOWED);
                assert_eq!(readable(&answer), reader, "{cell}: {answer}");
                assert!(
                    !answer.contains("access-control-allow-credentials"),
                    "{cell}"
                );
                cells += 1;
            }
        }
    }
    assert!(cells > 30, "{cells}");
}

#[tokio::test]
async fn a_page_does_what_its_origin_and_its_credential_allow_and_nothing_else() {
    let server = TestServer::with(&[("BURGEE_ALLOWED_ORIGINS", ALLOWED)]).await;
    let World { hop, .. } = World::of(&server).await;
    check_table(&hop, &[ADMIN, DATA]).await;
    for origin in ORIGINS {
        let answer = hop.preflight(ADMIN, origin).await;
        assert!(answer.starts_with("http/1.1 405"), "{origin:?}: {answer}");
        assert!(!answer.contains("access-control"), "{origin:?}: {answer}");
        let answer = hop.preflight(DATA, origin).await;
        let reader = (origin == Allowed).then_some(ALLOWED);
        assert_eq!(readable(&answer), reader, "{origin:?}: {answer}");
    }
    let answer = hop.preflight(DATA, Allowed).await;
    for line in [
        "access-control-allow-methods: post",
        "access-control-allow-headers: authorization,content-type,x-grpc-web",
        "access-control-max-age: 7200",
        "vary: origin",
    ] {
        assert!(answer.contains(line), "{line}: {answer}");
    }
    let answer = hop.call(DATA, Bearer, Allowed, WEB).await;
    let exposed = "access-control-expose-headers: grpc-status,grpc-message,grpc-status-details-bin";
    assert!(answer.contains(exposed), "{answer}");
    assert!(answer.contains("vary: origin"), "{answer}");
}

#[tokio::test]
async fn a_relay_lets_pages_do_no_more() {
    let server = TestServer::start().await;
    let World {
        mut hop,
        production,
    } = World::of(&server).await;
    let key = production.relay_key().await;
    let environment = [("BURGEE_RELAY_ALLOWED_ORIGINS", ALLOWED)];
    let relay = TestRelay::with(server.address(), &key, &environment).await;
    let sdk = relay.caller(&production.server_key().await);
    RulesetWatcher::follow(&sdk).synchronised().await;
    hop.address = relay.address().to_owned();
    check_table(&hop, &[DATA]).await;
    let answer = hop.call(ADMIN, Cookie, Own, WEB).await;
    assert!(answer.contains("grpc-status: 12"), "{answer}");
}

#[tokio::test]
async fn without_configuration_no_page_of_another_origin_is_answered() {
    let server = TestServer::start().await;
    let World { hop, .. } = World::of(&server).await;
    for path in [ADMIN, DATA] {
        for origin in ORIGINS {
            let answer = hop.preflight(path, origin).await;
            assert!(answer.starts_with("http/1.1 405"), "{path}: {answer}");
            assert!(!answer.contains("access-control"), "{path}: {answer}");
            let answer = hop.call(path, Bearer, origin, WEB).await;
            assert_eq!(outcome(&answer), Answered, "{path}: {answer}");
            assert!(!answer.contains("access-control"), "{path}: {answer}");
        }
    }
}

#[tokio::test]
async fn where_all_origins_are_allowed_the_key_says_which_it_serves() {
    let server = TestServer::with(&[("BURGEE_ALLOWED_ORIGINS", "*")]).await;
    let World {
        mut hop,
        production,
    } = World::of(&server).await;
    let answer = hop.call(DATA, Bearer, Foreign, WEB).await;
    assert_eq!((outcome(&answer), readable(&answer)), (Answered, Some("*")));
    assert_eq!(readable(&hop.preflight(ADMIN, Foreign).await), None);
    hop.key = client_key_of(server.admin(), &production, ALLOWED).await;
    let answer = hop.call(DATA, Bearer, Allowed, WEB).await;
    assert_eq!(outcome(&answer), Answered, "{answer}");
    let answer = hop.call(DATA, Bearer, Foreign, WEB).await;
    assert!(answer.contains("grpc-status: 7"), "{answer}");
    assert_eq!(readable(&answer), Some("*"));
}

#[tokio::test]
async fn the_development_server_answers_pages_of_its_own_machine() {
    let folder = tempfile::tempdir().unwrap();
    let server = DevServer::start(folder.path(), "127.0.0.1:0").await;
    let hop = Hop {
        address: server.address().to_owned(),
        cookie: String::new(),
        token: String::new(),
        key: server.credential("burgee_pub_"),
    };
    for (origin, allowed) in [
        ("http://localhost:5173", true),
        ("https://evil.example", false),
    ] {
        let headers = format!("origin: {origin}\r\naccess-control-request-method: POST\r\n");
        let answer = hop.send("OPTIONS", DATA, &headers, b"").await;
        assert_eq!(readable(&answer), allowed.then_some(origin), "{answer}");
    }
}
