//! The accept loop: one port that speaks HTTP/1.1 and HTTP/2, plain or over TLS,
//! and serves one [`Router`] with gRPC, gRPC-web and ordinary HTTP side by side.
//!
//! It is our own, and not tonic's or axum's, because neither has a time-out for
//! the first bytes of a connection, a bound on graceful shutdown, caps on
//! connections, certificates that change, or a handle to close one connection.

mod admission;
mod connection;
mod first_bytes;
mod limits;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::Extensions;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::server::TcpConnectInfo;

use self::admission::Admission;
use self::connection::Calls;
pub use self::limits::Limits;
use crate::shares::Share;
use crate::tls::Tls;

/// Connections the kernel holds until they are accepted: a herd of clients that
/// reconnects at once should wait there, and not be turned away.
const BACKLOG: u32 = 4096;

/// Pause after an accept that failed for want of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound port, not yet served.
#[derive(Debug)]
pub struct Listening {
    listener: TcpListener,
    local_addr: SocketAddr,
    tls: Option<Tls>,
}

/// One accepted connection, as its calls see it.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The address of the peer. An IPv4 peer of an IPv6 socket is an IPv4 address.
    pub remote_addr: SocketAddr,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Cancelling it closes the connection at once, whatever it is doing.
    pub close: CancellationToken,
}

/// A port could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct BindError {
    /// The address that was asked for.
    pub address: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

impl Listening {
    /// Binds `address`; port 0 takes a free one, see [`Listening::local_addr`].
    ///
    /// Raises the process's soft limit on open files to its hard limit, as each
    /// connection holds one and the usual soft limit is 1,024.
    ///
    /// # Errors
    /// When the address is in use, is not of this machine, or may not be bound.
    pub async fn bind(address: SocketAddr) -> Result<Self, BindError> {
        raise_open_files();
        let bound = || {
            let socket = match address {
                SocketAddr::V4(_) => TcpSocket::new_v4()?,
                SocketAddr::V6(_) => TcpSocket::new_v6()?,
            };
            // A restart must not wait for the connections of its predecessor.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            let listener = socket.listen(BACKLOG)?;
            let local_addr = listener.local_addr()?;
            Ok((listener, local_addr))
        };
        let (listener, local_addr) = bound().map_err(|source| BindError { address, source })?;
        Ok(Self {
            listener,
            local_addr,
            tls: None,
        })
    }

    /// The address that was bound, with the port that was given for port 0.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves over TLS only.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Serves `router` until `shutdown` is cancelled, and then until its
    /// connections have ended, which takes at most [`Limits::grace`]: it stops
    /// accepting, tells each HTTP/2 peer to go away, lets running calls end, and
    /// cuts what is left.
    ///
    /// Each request carries a [`TcpConnectInfo`] (so that tonic's `remote_addr`
    /// works), its [`Connection`], the
    /// [`ClientAddress`](crate::ClientAddress) if a trusted proxy told it,
    /// and what `on_connection` has put into the extensions. `on_connection` runs once a connection, before its first byte
    /// is read.
    pub async fn serve<F>(
        self,
        router: Router,
        on_connection: F,
        limits: Limits,
        shutdown: CancellationToken,
    ) where
        F: Fn(&mut Extensions, &Connection) + Send + Sync + 'static,
    {
        let reloading = self.tls.clone().map(|tls| {
            let stop = shutdown.clone();
            tokio::spawn(async move { stop.run_until_cancelled(tls.reload()).await })
        });
        let connections = TaskTracker::new();
        let admission = Admission::new(&limits);
        let proxies = Arc::new(limits.trusted_proxies.clone());
        let limits = Arc::new(limits);
        // Wiring the state in once spares every request from doing it.
        let router: Router = router.with_state(());

        while let Some(accepted) = shutdown.run_until_cancelled(self.listener.accept()).await {
            let Some((stream, remote_addr)) = survive(accepted).await else {
                continue;
            };
            let Some(admitted) = admission.admit(remote_addr.ip()) else {
                // Dropping it tells the client at once; a queue would hide it.
                tracing::debug!(%remote_addr, "connection refused: at the limit");
                continue;
            };
            let connection = self.prepare(&stream, remote_addr);
            let mut extensions = self.extensions(&connection);
            on_connection(&mut extensions, &connection);
            let served = Accepted {
                stream,
                tls: self.tls.clone(),
                calls: Calls::new(router.clone(), extensions, &connection, &proxies),
                connection,
            };
            connections.spawn(served.run(Arc::clone(&limits), shutdown.clone(), admitted));
        }

        drop(self.listener);
        connections.close();
        connections.wait().await;
        if let Some(reloading) = reloading {
            reloading.abort();
        }
    }

    fn prepare(&self, stream: &TcpStream, remote_addr: SocketAddr) -> Connection {
        // Without it a small message waits for the acknowledgement of the one
        // before: 40 ms. A socket that refuses is already gone.
        let _ = stream.set_nodelay(true);
        Connection {
            remote_addr: SocketAddr::new(remote_addr.ip().to_canonical(), remote_addr.port()),
            tls: self.tls.is_some(),
            close: CancellationToken::new(),
        }
    }

    fn extensions(&self, connection: &Connection) -> Extensions {
        let mut extensions = Extensions::new();
        extensions.insert(TcpConnectInfo {
            local_addr: Some(self.local_addr),
            remote_addr: Some(connection.remote_addr),
        });
        extensions.insert(connection.clone());
        extensions
    }
}

/// A connection that has been let in, with all it needs to be served.
struct Accepted {
    stream: TcpStream,
    tls: Option<Tls>,
    connection: Connection,
    calls: Calls,
}

impl Accepted {
    async fn run(self, limits: Arc<Limits>, shutdown: CancellationToken, admitted: Share) {
        let close = self.connection.close;
        let remote_addr = self.connection.remote_addr;
        let ended = match self.tls {
            None => connection::serve(self.stream, self.calls, &limits, &close, &shutdown).await,
            Some(tls) => {
                let handshake = tls.accept(self.stream);
                let handshake = tokio::time::timeout(limits.tls_handshake_timeout, handshake);
                match before_shutdown(handshake, &close, &shutdown).await {
                    Some(Ok(Ok(stream))) => {
                        connection::serve(stream, self.calls, &limits, &close, &shutdown).await
                    }
                    Some(Ok(Err(error))) => Err(error.into()),
                    Some(Err(elapsed)) => Err(elapsed.into()),
                    None => Ok(()),
                }
            }
        };
        // Of use to whoever looks into one client; any client can cause it.
        if let Err(error) = ended {
            tracing::debug!(%remote_addr, %error, "connection ended");
        }
        drop(admitted);
    }
}

/// The outcome of `future`, or `None` when the connection is closed or the
/// process ends first.
async fn before_shutdown<F: Future>(
    future: F,
    close: &CancellationToken,
    shutdown: &CancellationToken,
) -> Option<F::Output> {
    tokio::select! {
        output = future => Some(output),
        () = close.cancelled() => None,
        () = shutdown.cancelled() => None,
    }
}

/// Keeps the loop alive through errors of a single connection, and slows it down
/// when the machine is out of something.
async fn survive(accepted: io::Result<(TcpStream, SocketAddr)>) -> Option<(TcpStream, SocketAddr)> {
    match accepted {
        Ok(accepted) => Some(accepted),
        Err(error) if is_of_one_connection(&error) => None,
        Err(error) => {
            tracing::error!(%error, "cannot accept connections");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "cannot raise the limit on open files");
    }
}
