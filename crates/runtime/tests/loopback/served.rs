//! A served router, and the clients that the tests look at it with.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use burgee_runtime::tls::Tls;
use burgee_runtime::{Connection, Limits, Listening};
use http::{Request, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tower::Service as _;

/// Longer than anything here takes; a wait that reaches it has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A router served on a port of its own.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    /// Each connection, when it is accepted.
    pub(crate) connections: mpsc::UnboundedReceiver<Connection>,
    ended: JoinHandle<()>,
}

impl Served {
    pub(crate) async fn new(router: Router) -> Self {
        Self::with(router, Limits::default(), None).await
    }

    pub(crate) async fn with(router: Router, limits: Limits, tls: Option<Tls>) -> Self {
        let mut listening = Listening::bind("127.0.0.1:0".parse().unwrap())
            .await
            .unwrap();
        if let Some(tls) = tls {
            listening = listening.with_tls(tls);
        }
        let address = listening.local_addr();
        let shutdown = CancellationToken::new();
        let (sender, connections) = mpsc::unbounded_channel();
        let on_connection = move |_: &mut http::Extensions, connection: &Connection| {
            // Tests that do not look at connections have dropped the receiver.
            let _ = sender.send(connection.clone());
        };
        let serving = listening.serve(router, on_connection, limits, shutdown.clone());
        Self {
            address,
            shutdown,
            connections,
            ended: tokio::spawn(serving),
        }
    }

    /// The next connection that is accepted.
    pub(crate) async fn connection(&mut self) -> Connection {
        within(self.connections.recv()).await.unwrap()
    }

    /// Waits for the accept loop and all connections to end.
    pub(crate) async fn ended(self) {
        within(self.ended).await.unwrap();
    }

    pub(crate) async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        within(endpoint.connect()).await.unwrap()
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        within(TcpStream::connect(self.address)).await.unwrap()
    }

    /// Sends an HTTP/1.1 request and reads until the connection ends.
    pub(crate) async fn http1(&self, head: &str, body: &[u8]) -> String {
        self.try_http1(head, body).await.unwrap()
    }

    /// The same, of a server that may close the connection instead.
    pub(crate) async fn try_http1(&self, head: &str, body: &[u8]) -> io::Result<String> {
        let mut stream = self.connect().await;
        let length = body.len();
        let head = format!(
            "{head}\r\nhost: test\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body).await?;
        let mut answer = Vec::new();
        within(stream.read_to_end(&mut answer)).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

/// A gRPC request with an empty message.
pub(crate) fn grpc(path: &str) -> http::request::Builder {
    Request::post(path)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
}

/// Sends a request over HTTP/2.
pub(crate) async fn call(channel: &Channel, request: http::request::Builder) -> Response<Body> {
    let request = request.body(Body::empty()).unwrap();
    let mut channel = channel.clone();
    std::future::poll_fn(|context| channel.poll_ready(context))
        .await
        .unwrap();
    within(channel.call(request)).await.unwrap()
}

/// The `grpc-status` of an answer that is all headers.
pub(crate) fn grpc_status(response: &Response<Body>) -> &str {
    response.headers()["grpc-status"].to_str().unwrap()
}

/// Waits until the peer has closed `stream`.
pub(crate) async fn closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // A reset is as good an end as any.
    let _ = within(stream.read_to_end(&mut rest)).await;
}

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future).await.unwrap()
}
