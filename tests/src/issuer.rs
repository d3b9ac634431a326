//! An OpenID Connect issuer on loopback, which says whatever a test wants.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use url::Url;
use url::form_urlencoded::parse;

use crate::id_token::{Key, Token};

/// What the issuer knows Burgee by.
pub const CLIENT_ID: &str = "burgee";
/// What Burgee proves to be itself with.
pub const CLIENT_SECRET: &str = "canary-client-secret-4711";
/// How much an issuer says that says too much.
const HUGE_BYTES: usize = 2 << 20;

/// What is wrong with the issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// It has a fault of its own.
    Fault,
    /// It says nothing.
    Silent,
    /// It says too much.
    Huge,
    /// It leads elsewhere.
    Redirect,
    /// What it says is no JSON, and must be told to nobody.
    Garbage,
    /// It names another issuer.
    OtherIssuer,
    /// It signs with shared secrets alone.
    SharedSecrets,
    /// It sends people to a script.
    Script,
}

/// What the browser comes back with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// Where to.
    pub uri: String,
    /// `code`.
    pub code: String,
    /// `state`.
    pub state: String,
    /// `iss`, if the issuer says it.
    pub issuer: String,
}

type Forge = Arc<dyn Fn(&mut Token) + Send + Sync>;

/// A running issuer.
pub struct Issuer {
    url: String,
    state: Arc<Mutex<State>>,
    serving: JoinHandle<()>,
}

/// What a test says of it.
pub struct State {
    /// The claims of whoever signs in next.
    pub person: Value,
    /// Claims that are told by the user info endpoint alone.
    pub in_user_info: Vec<&'static str>,
    /// What is wrong with it.
    pub trouble: Trouble,
    /// The keys that it publishes; the last one signs.
    pub keys: Vec<Arc<Key>>,
    /// It says who it is in the redirect.
    pub says_who: bool,
    /// It takes the client's secret in the body alone.
    pub secret_in_body: bool,
    forge: Option<Forge>,
    asked: BTreeMap<String, usize>,
    codes: HashMap<String, Grant>,
    tokens: HashMap<String, Value>,
}

/// What a code is good for.
struct Grant {
    redirect_uri: String,
    challenge: String,
    nonce: String,
    person: Value,
}

impl Issuer {
    /// One that knows Ada, who is in the group `staff`.
    ///
    /// # Panics
    ///
    /// When there is no port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State {
            person: person("ada", "ada@example.com", &["staff"]),
            in_user_info: Vec::new(),
            trouble: Trouble::None,
            keys: vec![Key::rsa("first")],
            says_who: false,
            secret_in_body: false,
            forge: None,
            asked: BTreeMap::new(),
            codes: HashMap::new(),
            tokens: HashMap::new(),
        }));
        let serving = tokio::spawn(serve(listener, url.clone(), Arc::clone(&state)));
        Self {
            url,
            state,
            serving,
        }
    }

    /// Its issuer identifier.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What a test says of it.
    pub fn state(&self) -> MutexGuard<'_, State> {
        held(&self.state)
    }

    /// From now on, `forge` has the last word on every ID token.
    pub fn forge(&self, forge: impl Fn(&mut Token) + Send + Sync + 'static) {
        self.state().forge = Some(Arc::new(forge));
    }

    /// From now on, ID tokens are as they should be.
    pub fn be_honest(&self) {
        self.state().forge = None;
    }

    /// How often it was asked at a path.
    #[must_use]
    pub fn asked(&self, path: &str) -> usize {
        self.state().asked.get(path).copied().unwrap_or_default()
    }

    /// The next person who signs in.
    pub fn sends(&self, subject: &str, email: &str, groups: &[&str]) {
        self.state().person = person(subject, email, groups);
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The claims of a person whose address is verified.
#[must_use]
pub fn person(subject: &str, email: &str, groups: &[&str]) -> Value {
    json!({
        "sub": subject, "email": email, "email_verified": true, "groups": groups,
        "name": format!("{subject} of the provider"),
    })
}

/// What a browser does that is sent to an issuer: it signs in there, and comes back.
///
/// # Panics
///
/// When the issuer does not send it back.
pub async fn visit(authorization_url: &str) -> Redirect {
    let url = Url::parse(authorization_url).unwrap();
    let (host, port) = (url.host_str().unwrap(), url.port().unwrap());
    let mut stream = TcpStream::connect((host, port)).await.unwrap();
    let path = &url[url::Position::BeforePath..];
    let head = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let location = answer.lines().find_map(|it| it.strip_prefix("location: "));
    let location = Url::parse(location.unwrap_or_else(|| panic!("{answer}"))).unwrap();
    let parameters: HashMap<_, _> = location.query_pairs().into_owned().collect();
    let parameter = |name: &str| parameters.get(name).cloned().unwrap_or_default();
    Redirect {
        uri: location[..url::Position::AfterPath].to_owned(),
        code: parameter("code"),
        state: parameter("state"),
        issuer: parameter("iss"),
    }
}

fn held(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, url: String, state: Arc<Mutex<State>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (url, state) = (url.clone(), Arc::clone(&state));
        let service = service_fn(move |request| {
            let (url, state) = (url.clone(), Arc::clone(&state));
            async move { Ok::<_, Infallible>(answer(&url, &state, request).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new();
        tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(
    url: &str,
    state: &Mutex<State>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let query = head.uri.query().unwrap_or_default().to_owned();
    let authorization = head.headers.get(AUTHORIZATION);
    let authorization = authorization.map(|value| value.to_str().unwrap().to_owned());
    let body = body.collect().await.unwrap().to_bytes();
    let trouble = {
        let mut state = held(state);
        *state.asked.entry(path.clone()).or_default() += 1;
        state.trouble
    };
    if let Some(trouble) = troubled(trouble).await {
        return trouble;
    }
    let mut state = held(state);
    let authorization = authorization.unwrap_or_default();
    match path.as_str() {
        "/.well-known/openid-configuration" => ok(&state.configuration(url)),
        "/keys" => ok(&json!({
            "keys": state.keys.iter().map(|key| key.public()).collect::<Vec<_>>()
        })),
        "/authorize" => state.authorize(url, &fields(query.as_bytes())),
        "/token" => state.token(url, &fields(&body), &authorization),
        "/userinfo" => state.user_info(&authorization),
        _ => respond(StatusCode::NOT_FOUND, "no such page"),
    }
}

async fn troubled(trouble: Trouble) -> Option<Response<Full<Bytes>>> {
    match trouble {
        Trouble::None | Trouble::OtherIssuer | Trouble::SharedSecrets | Trouble::Script => None,
        Trouble::Fault => Some(respond(StatusCode::BAD_GATEWAY, "canary-body")),
        Trouble::Silent => std::future::pending().await,
        Trouble::Huge => Some(respond(StatusCode::OK, "x".repeat(HUGE_BYTES))),
        Trouble::Redirect => {
            let mut response = respond(StatusCode::FOUND, "");
            let elsewhere = "http://169.254.169.254/latest/meta-data";
            response
                .headers_mut()
                .insert(LOCATION, elsewhere.parse().unwrap());
            Some(response)
        }
        Trouble::Garbage => Some(respond(StatusCode::OK, "canary-body")),
    }
}

impl State {
    fn configuration(&self, url: &str) -> Value {
        let issuer = match self.trouble {
            Trouble::OtherIssuer => "https://login.example.com",
            _ => url,
        };
        let algorithms = match self.trouble {
            Trouble::SharedSecrets => json!(["HS256"]),
            // A shared secret is offered, and must not be taken.
            _ => json!(["RS256", "EdDSA", "HS256"]),
        };
        let page = match self.trouble {
            Trouble::Script => "javascript://x/%0aalert(1)".to_owned(),
            _ => format!("{url}/authorize"),
        };
        let method = match self.secret_in_body {
            true => "client_secret_post",
            false => "client_secret_basic",
        };
        json!({
            "issuer": issuer,
            "authorization_endpoint": page,
            "token_endpoint": format!("{url}/token"),
            "userinfo_endpoint": format!("{url}/userinfo"),
            "jwks_uri": format!("{url}/keys"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": algorithms,
            "token_endpoint_auth_methods_supported": [method],
            "authorization_response_iss_parameter_supported": self.says_who,
        })
    }

    /// Sends the browser back: whoever comes is signed in.
    fn authorize(&mut self, url: &str, asked: &HashMap<String, String>) -> Response<Full<Bytes>> {
        let field = |name: &str| asked.get(name).cloned().unwrap_or_default();
        assert_eq!(field("response_type"), "code");
        assert_eq!(field("client_id"), CLIENT_ID);
        assert_eq!(field("code_challenge_method"), "S256");
        assert!(field("scope").split(' ').any(|scope| scope == "openid"));
        let code = uuid::Uuid::now_v7().to_string();
        let grant = Grant {
            redirect_uri: field("redirect_uri"),
            challenge: field("code_challenge"),
            nonce: field("nonce"),
            person: self.person.clone(),
        };
        let mut back = Url::parse(&grant.redirect_uri).unwrap();
        back.query_pairs_mut()
            .append_pair("code", &code)
            .append_pair("state", &field("state"));
        if self.says_who {
            back.query_pairs_mut().append_pair("iss", url);
        }
        self.codes.insert(code, grant);
        let mut response = respond(StatusCode::FOUND, "");
        let back = back.as_str().parse().unwrap();
        response.headers_mut().insert(LOCATION, back);
        response
    }

    /// A token for a code, once, for whoever asked for it.
    fn token(
        &mut self,
        url: &str,
        asked: &HashMap<String, String>,
        authorization: &str,
    ) -> Response<Full<Bytes>> {
        let field = |name: &str| asked.get(name).cloned().unwrap_or_default();
        let basic = format!(
            "Basic {}",
            STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"))
        );
        let in_body = field("client_id") == CLIENT_ID && field("client_secret") == CLIENT_SECRET;
        let known = match self.secret_in_body {
            true => in_body,
            false => authorization == basic,
        };
        if !known {
            return refuse(StatusCode::UNAUTHORIZED, "invalid_client");
        }
        let grant = self.codes.remove(&field("code"));
        let grant = grant.filter(|grant| {
            let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(field("code_verifier")));
            grant.challenge == challenge && grant.redirect_uri == field("redirect_uri")
        });
        let Some(grant) = grant else {
            return refuse(StatusCode::BAD_REQUEST, "invalid_grant");
        };
        let access_token = uuid::Uuid::now_v7().to_string();
        self.tokens
            .insert(access_token.clone(), grant.person.clone());
        let key = Arc::clone(self.keys.last().unwrap());
        let mut claims = grant.person;
        for claim in &self.in_user_info {
            claims.as_object_mut().unwrap().remove(*claim);
        }
        let mut token = Token::new(key, url, CLIENT_ID, &grant.nonce, claims);
        token.came_with(&access_token);
        if let Some(forge) = &self.forge {
            forge(&mut token);
        }
        ok(&json!({
            "access_token": access_token, "token_type": "Bearer", "expires_in": 300,
            "id_token": token.encode(),
        }))
    }

    fn user_info(&self, authorization: &str) -> Response<Full<Bytes>> {
        let token = authorization.strip_prefix("Bearer ").unwrap_or_default();
        match self.tokens.get(token) {
            Some(person) => ok(person),
            None => respond(StatusCode::UNAUTHORIZED, ""),
        }
    }
}

fn fields(encoded: &[u8]) -> HashMap<String, String> {
    parse(encoded).into_owned().collect()
}

fn ok(message: &Value) -> Response<Full<Bytes>> {
    respond(StatusCode::OK, message.to_string())
}

fn refuse(status: StatusCode, error: &str) -> Response<Full<Bytes>> {
    respond(status, json!({"error": error}).to_string())
}

fn respond(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status);
    let response = response.header(CONTENT_TYPE, "application/json");
    response.body(Full::new(body.into())).unwrap()
}
