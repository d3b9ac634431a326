//! A page keeps its session in a cookie that it cannot read, and no other page
//! makes use of.

use burgee_proto::admin::v1::{
    SignInRequest, SignInResponse, SignOutRequest, WhoAmIRequest, WhoAmIResponse,
};
use burgee_tests::errors::{fields, refused};
use burgee_tests::people::PASSWORD;
use burgee_tests::server::TestServer;
use burgee_tests::wait::{SOON, until};
use prost::Message;
use tonic::Code;

use crate::protocols::{bearer, frames, grpc_web};

const ADA: &str = "ada@example.com";

/// What came of a call.
pub(crate) struct Answer {
    pub(crate) head: String,
    pub(crate) messages: Vec<Vec<u8>>,
    trailers: String,
}

impl Answer {
    /// The cookie that it sets, with its attributes.
    pub(crate) fn cookie(&self) -> Option<&str> {
        self.cookies().next()
    }

    /// The cookies that it sets, likewise.
    pub(crate) fn cookies(&self) -> impl Iterator<Item = &str> {
        let lines = self.head.lines();
        lines.filter_map(|line| line.strip_prefix("set-cookie: "))
    }

    /// Refusals without a message come in the head.
    fn is_unauthenticated(&self) -> bool {
        self.trailers.contains("grpc-status:16") || self.head.contains("grpc-status: 16")
    }
}

pub(crate) async fn call(
    server: &TestServer,
    method: &str,
    headers: &str,
    request: &impl Message,
) -> Answer {
    let path = format!("/burgee.admin.v1.AuthService/{method}");
    let message = request.encode_to_vec();
    let (head, body) = grpc_web(server.address(), &path, headers, &message).await;
    let (messages, trailers) = frames(&body);
    Answer {
        head,
        messages,
        trailers,
    }
}

pub(crate) fn origin(server: &TestServer) -> String {
    format!("origin: {}\r\n", server.address())
}

fn sign_in() -> SignInRequest {
    SignInRequest {
        email: ADA.to_owned(),
        password: PASSWORD.to_owned(),
        set_cookie: true,
        ..SignInRequest::default()
    }
}

#[tokio::test]
async fn a_page_of_the_own_origin_signs_in_by_a_cookie_and_out_again() {
    let server = TestServer::start().await;
    let (_, member) = server.admin().person(ADA, "viewer", "").await;
    let own = origin(&server);
    let signed_in = call(&server, "SignIn", &own, &sign_in()).await;
    let response = SignInResponse::decode(signed_in.messages[0].as_slice()).unwrap();
    assert_eq!(response.secret, "", "scripts see nothing of it");
    let cookie = signed_in.cookie().unwrap();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(
        attributes,
        "Path=/; HttpOnly; SameSite=Strict; Max-Age=604800"
    );
    assert!(pair.starts_with("burgee_session=burgee_ses_"), "{pair}");

    let with_cookie = format!("cookie: a=b; {pair}\r\n");
    let headers = format!("{own}{with_cookie}");
    let who = call(&server, "WhoAmI", &headers, &WhoAmIRequest {}).await;
    let who = WhoAmIResponse::decode(who.messages[0].as_slice()).unwrap();
    assert_eq!(who.subject, member.name);
    // A page of another origin, or whoever does not say where it comes from.
    for others in ["", "origin: https://evil.example\r\n", "origin: null\r\n"] {
        let headers = format!("{others}{with_cookie}");
        let who = call(&server, "WhoAmI", &headers, &WhoAmIRequest {}).await;
        assert!(who.is_unauthenticated(), "{others}: {}", who.head);
    }

    let signed_out = call(&server, "SignOut", &headers, &SignOutRequest {}).await;
    let cookie = signed_out.cookie().unwrap();
    assert!(
        cookie.starts_with("burgee_session=; ") && cookie.contains("Max-Age=0"),
        "{cookie}"
    );
    until("the cookie opens nothing", SOON, async || {
        let who = call(&server, "WhoAmI", &headers, &WhoAmIRequest {}).await;
        who.is_unauthenticated()
    })
    .await;
}

#[tokio::test]
async fn a_cookie_is_given_to_own_pages_alone() {
    let server = TestServer::start().await;
    server.admin().person(ADA, "viewer", "").await;
    let outcome = server.nobody().auth().sign_in(sign_in()).await;
    let status = refused(outcome, Code::InvalidArgument);
    assert_eq!(fields(&status), ["set_cookie"]);
    let evil = "origin: https://evil.example\r\n";
    let refused = call(&server, "SignIn", evil, &sign_in()).await;
    assert!(
        refused.messages.is_empty() && refused.cookie().is_none(),
        "{}",
        refused.head
    );
    // Whoever does not ask for a cookie gets the secret, as any other program.
    let request = SignInRequest {
        set_cookie: false,
        ..sign_in()
    };
    let signed_in = call(&server, "SignIn", &origin(&server), &request).await;
    assert!(signed_in.cookie().is_none());
    let response = SignInResponse::decode(signed_in.messages[0].as_slice()).unwrap();
    let headers = bearer(&response.secret);
    let who = call(&server, "WhoAmI", &headers, &WhoAmIRequest {}).await;
    assert_eq!(who.messages.len(), 1);
}
