//! What the control plane asks of others, at addresses that its users chose: identity providers.
//!
//! A user who chooses where the server connects to must not reach with it what they could not
//! reach themselves. So a call goes over TLS; it follows no redirect; it connects only to
//! addresses of the open internet, or to those that the operator allowed; and it connects to the
//! very address that was looked at, whatever the name means a moment later. It takes a bounded
//! time, and so much of an answer as it has room for. Nothing that was fetched is told to
//! whoever caused the call, but what is wrong with it is.

mod address;
pub mod options;
mod resolver;

use std::error::Error as StdError;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use url::{Host, Url};

pub use address::Allowed;
use resolver::{Forbidden, Resolver};

/// How long a call may take, from the look-up of the name to the last byte of the answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer, in bytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The most of an answer's head that is read, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long a connection is kept for another call.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How many connections to one host are kept for another call.
const IDLE_CONNECTIONS_MAX: usize = 4;

/// Calls others. Cheap to clone.
#[derive(Clone)]
pub struct Outbound {
    client: Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>,
    allowed: Allowed,
}

/// Why a call was not made, or has no answer. Safe to tell whoever chose the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// What was given is no address to call.
    #[error("is no https:// URL with a host, and without a user name or a fragment")]
    NotCallable,
    /// The name has no address, or none that may be called.
    #[error("has no address that this server may call; its operator can allow networks")]
    Forbidden,
    /// The name is unknown.
    #[error("has no address")]
    Unresolved,
    /// Nobody answers there, or nobody who proves to be the host.
    #[error("cannot be connected to, or shows no certificate that is trusted")]
    Unreachable,
    /// It took too long.
    #[error("did not answer in time")]
    TimedOut,
    /// The answer leads elsewhere.
    #[error("answered with a redirect, which is not followed")]
    Redirected,
    /// There is too much of it.
    #[error("answered with more than is read")]
    TooLarge,
    /// The answer ended early, or is none.
    #[error("gave an answer that cannot be read")]
    Broken,
}

impl Refusal {
    /// Whether the same call may have an answer later.
    #[must_use]
    pub fn is_passing(self) -> bool {
        match self {
            Self::Unresolved | Self::Unreachable | Self::TimedOut | Self::Broken => true,
            Self::NotCallable | Self::Forbidden | Self::Redirected | Self::TooLarge => false,
        }
    }
}

impl Outbound {
    /// A client that reaches the open internet and what is allowed beside it, and trusts the
    /// usual authorities and these.
    ///
    /// # Errors
    /// [`rustls::Error`] for a certificate that cannot be trusted.
    pub fn new(
        allowed: Allowed,
        authorities: Vec<CertificateDer<'static>>,
    ) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        for authority in authorities {
            roots.add(authority)?;
        }
        // Named, and not the process's default, which tests do not install.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut http = HttpConnector::new_with_resolver(Resolver::new(allowed.clone()));
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT_TIMEOUT));
        http.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .http1_max_buf_size(HEAD_BYTES_MAX)
            .build(connector);
        Ok(Self { client, allowed })
    }

    /// Whether a URL can be called at all, as far as it says so itself: what its name means is
    /// looked at with each call.
    ///
    /// # Errors
    /// [`Refusal::NotCallable`], [`Refusal::Forbidden`].
    pub fn check(&self, url: &Url) -> Result<(), Refusal> {
        let plain = url.username().is_empty() && url.password().is_none();
        if !plain || url.fragment().is_some() {
            return Err(Refusal::NotCallable);
        }
        let address = match url.host().ok_or(Refusal::NotCallable)? {
            Host::Ipv4(address) => Some(IpAddr::from(address)),
            Host::Ipv6(address) => Some(IpAddr::from(address)),
            Host::Domain(_) => None,
        };
        match url.scheme() {
            "https" => {}
            // What never leaves the machine needs no TLS.
            "http" if address.is_some_and(|it| it.is_loopback()) => {}
            _ => return Err(Refusal::NotCallable),
        }
        match address {
            // A name is looked at when it is resolved; an address never is.
            Some(address) if !self.allowed.allows(address) => Err(Refusal::Forbidden),
            _ => Ok(()),
        }
    }

    /// Calls, once.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn call(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Refusal> {
        let url = Url::parse(&request.uri().to_string()).map_err(|_| Refusal::NotCallable)?;
        self.check(&url)?;
        let calling = self.call_unbounded(request.map(Full::new));
        let called = tokio::time::timeout(CALL_TIMEOUT, calling).await;
        called.unwrap_or(Err(Refusal::TimedOut))
    }

    async fn call_unbounded(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, Refusal> {
        let response = self.client.request(request).await.map_err(|error| {
            tracing::debug!(?error, "an outbound call failed");
            match error.is_connect() {
                true => why_not_connected(&error),
                false => Refusal::Broken,
            }
        })?;
        if response.status().is_redirection() {
            return Err(Refusal::Redirected);
        }
        let (head, body) = response.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
        let body = body.map_err(|error| match error.is::<LengthLimitError>() {
            true => Refusal::TooLarge,
            false => Refusal::Broken,
        })?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }
}

/// What the resolver said is the cause of a cause.
fn why_not_connected(error: &(dyn StdError + 'static)) -> Refusal {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(refusal) = error.downcast_ref::<Forbidden>() {
            return refusal.0;
        }
        cause = error.source();
    }
    Refusal::Unreachable
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    fn outbound(allowed: &str) -> Outbound {
        Outbound::new(Allowed::parse(allowed).unwrap(), Vec::new()).unwrap()
    }

    async fn get(outbound: &Outbound, url: &str) -> Result<Response<Bytes>, Refusal> {
        let request = Request::get(url).body(Bytes::new()).unwrap();
        outbound.call(request).await
    }

    /// Says this to whoever connects first, and nothing more.
    async fn saying(answer: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 1024];
            assert!(stream.read(&mut asked).await.unwrap() > 0);
            // Whoever has read enough may have gone.
            let _ = stream.write_all(&answer).await;
        });
        format!("http://{address}/x")
    }

    #[test]
    fn only_tls_to_the_open_internet_is_callable() {
        let usual = outbound("");
        let check = |url: &str| usual.check(&Url::parse(url).unwrap());
        assert_eq!(check("https://login.example.com/tenant"), Ok(()));
        assert_eq!(check("https://93.184.216.34/"), Ok(()));
        for url in [
            "http://login.example.com",
            "http://localhost",
            "ftp://login.example.com",
            "https://user@login.example.com",
            "https://user:password@login.example.com",
            "https://login.example.com/#fragment",
            "data:text/plain,x",
        ] {
            assert_eq!(check(url), Err(Refusal::NotCallable), "{url}");
        }
        for url in [
            "https://127.0.0.1",
            "https://2130706433",
            "https://0x7f.1",
            "https://0177.0.0.1",
            "https://[::ffff:127.0.0.1]",
            "https://[::1]:8443",
            "https://169.254.169.254/latest/meta-data",
            "http://127.0.0.1",
        ] {
            assert_eq!(check(url), Err(Refusal::Forbidden), "{url}");
        }
        let loopback = outbound("127.0.0.0/8");
        let url = Url::parse("http://127.0.0.1:8080").unwrap();
        assert_eq!(loopback.check(&url), Ok(()));
        let url = Url::parse("http://10.0.0.1").unwrap();
        let allowed = outbound("10.0.0.0/8").check(&url);
        assert_eq!(allowed, Err(Refusal::NotCallable), "not without TLS");
    }

    #[tokio::test]
    async fn an_answer_is_given_back_as_it_is() {
        let url = saying(b"HTTP/1.1 418 I'm\r\ncontent-length: 3\r\n\r\ntea".to_vec()).await;
        let response = get(&outbound("127.0.0.1/32"), &url).await.unwrap();
        assert_eq!(response.status(), 418);
        assert_eq!(response.body(), "tea");
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let answer = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\n\
                      content-length: 0\r\n\r\n";
        let url = saying(answer.into()).await;
        let refusal = get(&outbound("127.0.0.1/32"), &url).await.unwrap_err();
        assert_eq!(refusal, Refusal::Redirected);
    }

    #[tokio::test]
    async fn no_more_is_read_than_there_is_room_for() {
        let mut answer = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        answer.resize(BODY_BYTES_MAX + 1_000, b'x');
        let url = saying(answer).await;
        let refusal = get(&outbound("127.0.0.1/32"), &url).await.unwrap_err();
        assert_eq!(refusal, Refusal::TooLarge);
        let head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(1 << 20));
        let url = saying(head.into_bytes()).await;
        let refusal = get(&outbound("127.0.0.1/32"), &url).await.unwrap_err();
        assert_eq!(refusal, Refusal::Broken);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let refusal = get(&outbound("127.0.0.1/32"), &url).await.unwrap_err();
        assert_eq!(refusal, Refusal::TimedOut);
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_not_connected_to() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("https://localhost:{port}/");
        let refusal = get(&outbound(""), &url).await.unwrap_err();
        assert_eq!(refusal, Refusal::Forbidden);
        // Where it is allowed it is, and shows no certificate.
        let calling = outbound("127.0.0.0/8, ::1/128");
        let (refusal, ()) = tokio::join!(get(&calling, &url), async {
            drop(listener.accept().await.unwrap());
        });
        assert_eq!(refusal.unwrap_err(), Refusal::Unreachable);
    }

    #[tokio::test]
    async fn what_listens_nowhere_is_unreachable() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        let refusal = get(&outbound("127.0.0.1/32"), &url).await.unwrap_err();
        assert_eq!(refusal, Refusal::Unreachable);
    }
}
