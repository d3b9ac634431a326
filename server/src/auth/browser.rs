//! Sessions in browsers: a cookie that no script of a page reads, and that only pages of this
//! server's own origin make use of.
//!
//! A browser sends the cookie along with whatever any page asks of this server. So it is taken
//! for a credential in gRPC-web calls alone, whose content type no form can send, and if `Origin`
//! says that the page came from here. `SameSite=Strict` says the same once more.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use burgee_hub::credential::{self, Kind};
use burgee_runtime::ClientAddress;
use burgee_runtime::browsers::is_loopback_host;
use burgee_runtime::calls::Kind as ContentKind;
use http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue};
use tonic::metadata::{Ascii, MetadataValue};

use crate::error::Error;
use crate::oidc::flow;

/// The cookie that holds a session's secret, where pages come without TLS.
const NAME: &str = "burgee_session";
/// The same with TLS. Of this prefix browsers take no cookie that another host of the same domain
/// set. (RFC 6265bis, section 4.1.3.2.)
const SECURE_NAME: &str = "__Host-burgee_session";
/// What is true of it always.
const ATTRIBUTES: &str = "Path=/; HttpOnly; SameSite=Strict";
/// The cookie that ties a sign-in with an identity provider to the browser. It comes back with
/// calls of the page that the provider sends people back to, which are of the own origin as any
/// others: strictness does not stand in its way.
const FLOW_NAME: &str = "burgee_sign_in";
/// What is true of that one.
const FLOW_ATTRIBUTES: &str = "Path=/burgee.admin.v1.AuthService/; HttpOnly; SameSite=Strict";

/// A call of a page of this server's own origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Browser {
    /// The page came over a network.
    secure: bool,
}

/// The secret of a flow, and the browser that keeps it.
#[derive(Clone)]
pub(super) struct KeptFlow {
    browser: Browser,
    secret: String,
}

impl KeptFlow {
    /// The secret.
    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    /// The cookie that takes it away.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub(super) fn forget(&self) -> Result<MetadataValue<Ascii>, Error> {
        self.browser.cookie((FLOW_NAME, FLOW_ATTRIBUTES), "", 0)
    }
}

impl Browser {
    /// The page behind a gRPC-web call. None: another program, or a page of another origin.
    fn of(request: &Request) -> Option<Self> {
        let headers = request.headers();
        let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
        let origin = headers.get(ORIGIN).and_then(text)?;
        let (scheme, origin) = origin.split_once("://")?;
        let authority = request.uri().authority().map(Authority::to_string);
        let host = authority.or_else(|| headers.get(HOST).and_then(text))?;
        let own = origin.eq_ignore_ascii_case(&host);
        // Whoever is in between wrote what came without TLS.
        let tls = ClientAddress::of(request.extensions()).is_some_and(|client| client.tls);
        let as_safe = !tls || scheme == "https";
        (ContentKind::of(headers) == ContentKind::GrpcWeb && own && as_safe).then(|| Self {
            secure: tls || !is_loopback_host(&host),
        })
    }

    /// The cookie that keeps a session of so many seconds, for `Set-Cookie`.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub(super) fn keep(self, secret: &str, seconds: i64) -> Result<MetadataValue<Ascii>, Error> {
        self.cookie((self.session_name(), ATTRIBUTES), secret, seconds)
    }

    /// The cookie that keeps a flow.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub(super) fn keep_flow(self, secret: &str) -> Result<MetadataValue<Ascii>, Error> {
        let seconds = i64::from(flow::LIFETIME_SECONDS);
        self.cookie((FLOW_NAME, FLOW_ATTRIBUTES), secret, seconds)
    }

    /// The cookie that takes it away.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub(super) fn forget(self) -> Result<MetadataValue<Ascii>, Error> {
        self.cookie((self.session_name(), ATTRIBUTES), "", 0)
    }

    /// What the session's cookie is called.
    fn session_name(self) -> &'static str {
        if self.secure { SECURE_NAME } else { NAME }
    }

    fn cookie(
        self,
        (name, attributes): (&str, &str),
        value: &str,
        seconds: i64,
    ) -> Result<MetadataValue<Ascii>, Error> {
        let secure = if self.secure { "; Secure" } else { "" };
        let cookie = format!("{name}={value}; {attributes}; Max-Age={seconds}{secure}");
        cookie.parse().map_err(Error::internal)
    }
}

/// The layer, outside of the gRPC-web layer, which makes content types the same: turns the
/// cookie of an own page into the credential that all that follows knows.
pub async fn admit_cookies(mut request: Request, next: Next) -> Response {
    if let Some(browser) = Browser::of(&request) {
        request.extensions_mut().insert(browser);
        if let Some(secret) = kept(request.headers(), FLOW_NAME, Kind::Flow) {
            request
                .extensions_mut()
                .insert(KeptFlow { browser, secret });
        }
        let headers = request.headers_mut();
        if let Some(credential) = session(headers, browser.session_name())
            && !headers.contains_key(AUTHORIZATION)
        {
            headers.insert(AUTHORIZATION, credential);
        }
    }
    request.headers_mut().remove(COOKIE);
    next.run(request).await
}

/// The session in the cookies of that name, as a credential.
fn session(headers: &HeaderMap, name: &str) -> Option<HeaderValue> {
    let secret = kept(headers, name, Kind::Session)?;
    let mut credential = HeaderValue::try_from(format!("Bearer {secret}")).ok()?;
    credential.set_sensitive(true);
    Some(credential)
}

/// The secret of this kind in the cookies of this name.
fn kept(headers: &HeaderMap, name: &str, kind: Kind) -> Option<String> {
    let cookies = headers.get_all(COOKIE).into_iter();
    let cookies = cookies.filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';'));
    let secret = pairs.find_map(|pair| {
        let (other, value) = pair.trim().split_once('=')?;
        (other == name && credential::parse(value) == Ok(kind)).then_some(value)
    })?;
    Some(secret.to_owned())
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;

    use super::*;

    const GRPC_WEB: &str = "application/grpc-web";

    fn request(content_type: &str, host: &str, origin: &str) -> Request {
        let request = Request::builder().uri("/a.B/C").header(HOST, host);
        let request = request.header(CONTENT_TYPE, content_type);
        let request = request.header(ORIGIN, origin);
        request.body(axum::body::Body::empty()).unwrap()
    }

    #[test]
    fn only_grpc_web_of_the_own_origin_is_a_page_of_ours() {
        let ours = request(
            "application/grpc-web+proto",
            "flags.example.com",
            "https://flags.example.com",
        );
        assert_eq!(Browser::of(&ours), Some(Browser { secure: true }));
        let local = request(GRPC_WEB, "127.0.0.1:4000", "http://127.0.0.1:4000");
        assert_eq!(Browser::of(&local), Some(Browser { secure: false }));
        for (content_type, host, origin) in [
            ("application/grpc", "a.example", "https://a.example"),
            ("text/plain", "a.example", "https://a.example"),
            (GRPC_WEB, "a.example", "https://b.example"),
            (GRPC_WEB, "a.example", "https://a.example.b.example"),
            (GRPC_WEB, "a.example:4000", "https://a.example"),
            (GRPC_WEB, "a.example", "null"),
        ] {
            let request = request(content_type, host, origin);
            assert_eq!(
                Browser::of(&request),
                None,
                "{content_type} {host} {origin}"
            );
        }
    }

    #[test]
    fn a_page_that_came_without_tls_is_none_of_a_server_with_it() {
        for (scheme, own) in [("https", true), ("http", false)] {
            let origin = format!("{scheme}://flags.example.com");
            let mut request = request(GRPC_WEB, "flags.example.com", &origin);
            request.extensions_mut().insert(ClientAddress {
                ip: [192, 0, 2, 7].into(),
                tls: true,
            });
            assert_eq!(Browser::of(&request).is_some(), own, "{scheme}");
        }
    }

    #[test]
    fn the_cookie_is_secure_but_for_this_machine() {
        let kept = |host| {
            let browser = Browser {
                secure: !is_loopback_host(host),
            };
            browser
                .keep("x", 604_800)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        };
        for host in ["localhost:4000", "127.0.0.1", "[::1]:4000"] {
            assert!(!kept(host).contains("Secure"), "{host}");
        }
        let cookie = kept("localhost.example.com");
        assert_eq!(
            cookie,
            "__Host-burgee_session=x; Path=/; HttpOnly; SameSite=Strict; Max-Age=604800; Secure"
        );
    }

    #[test]
    fn a_session_is_found_among_cookies_and_nothing_else_is() {
        let secret = |kind| credential::generate(kind, [7; 32]).expose().to_owned();
        let found = |cookies: String| {
            let headers = HeaderMap::from_iter([(COOKIE, cookies.parse().unwrap())]);
            session(&headers, NAME).map(|value| value.to_str().unwrap().to_owned())
        };
        let own = secret(Kind::Session);
        assert_eq!(
            found(format!("a=b; {NAME}=x; {NAME}={own}")),
            Some(format!("Bearer {own}"))
        );
        assert_eq!(
            found(format!("{NAME}={}", secret(Kind::ServiceAccount))),
            None
        );
        assert_eq!(found(format!("other={own}")), None);
    }
}
