//! One connection: hyper's settings, and how it ends.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::future::RouteFuture;
use http::{Extensions, Request};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use super::Connection;
use super::first_bytes::FirstBytes;
use super::limits::Limits;
use crate::addresses::{ClientAddress, TrustedProxies};

/// How long an HTTP/2 connection may be silent before it is asked for a sign of
/// life, and how long the answer may take.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Calls at the same time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 1024;

/// Bytes a peer may send ahead, by stream and by connection. Never adaptive: h2
/// closes connections on which many small frames wait in a small window.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// Bytes of one request's headers.
const MAX_HEADER_BYTES: u32 = 16 << 10;

/// Bytes of one response that wait for a peer who does not read.
const MAX_SEND_BUFFER_BYTES: usize = 64 << 10;

/// Bytes that an HTTP/1 connection buffers, request head included.
const HTTP1_BUFFER_BYTES: usize = 64 << 10;

/// The router, with what the connection adds to each request.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    router: Router,
    extensions: Extensions,
    /// What says for whom the peer speaks, if it is trusted.
    proxied: Option<(ClientAddress, Arc<TrustedProxies>)>,
}

impl Calls {
    pub(super) fn new(
        router: Router,
        extensions: Extensions,
        connection: &Connection,
        proxies: &Arc<TrustedProxies>,
    ) -> Self {
        let peer = ClientAddress::of_peer(connection);
        let proxied = proxies.trust(peer.ip).then(|| (peer, Arc::clone(proxies)));
        Self {
            router,
            extensions,
            proxied,
        }
    }
}

impl hyper::service::Service<Request<Incoming>> for Calls {
    type Response = Response;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let mut request = request.map(Body::new);
        request.extensions_mut().extend(self.extensions.clone());
        if let Some((peer, proxies)) = &self.proxied {
            let client = proxies.client(*peer, request.headers());
            request.extensions_mut().insert(client);
        }
        // A router is always ready.
        self.router.clone().call(request)
    }
}

/// Serves one connection until the peer leaves, `close` is cancelled, or
/// `shutdown` is and the running calls have ended or used up the grace.
pub(super) async fn serve<S>(
    stream: S,
    calls: Calls,
    limits: &Limits,
    close: &CancellationToken,
    shutdown: &CancellationToken,
) -> Result<(), Box<dyn Error + Send + Sync>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = TokioIo::new(FirstBytes::new(stream, limits.first_bytes_timeout));
    let builder = builder(limits);
    let mut connection = std::pin::pin!(builder.serve_connection(stream, calls));
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = close.cancelled() => return Ok(()),
        () = shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    // A silent peer would keep a graceful shutdown waiting for ever.
    tokio::select! {
        ended = connection => ended,
        () = close.cancelled() => Ok(()),
        () = tokio::time::sleep(limits.grace) => Ok(()),
    }
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.http1_head_timeout)
        .max_buf_size(HTTP1_BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_send_buf_size(MAX_SEND_BUFFER_BYTES);
    builder
}
