//! A network that fails as a test wants: connections that are refused, cut,
//! slow, or silently dead (open, but nothing arrives any more).

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Bytes taken from one side at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Where the proxy connects to.
#[derive(Clone, Debug)]
pub enum Target {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

/// How the network is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    /// Bytes arrive, each chunk after this time.
    Up { delay: Duration },
    /// Connections stay open, and nothing arrives.
    Stalled,
    /// New connections are closed at once.
    Refusing,
}

/// A TCP proxy on a port of its own. Dropping it cuts every connection.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    _ends: DropGuard,
}

#[derive(Debug)]
struct Shared {
    target: Target,
    network: watch::Sender<Network>,
    connections: Mutex<Vec<Arc<Connection>>>,
    /// What a client says on a connection that [`FaultProxy::freeze_marked`]
    /// freezes.
    mark: &'static str,
}

/// One proxied connection.
#[derive(Debug)]
struct Connection {
    /// For good: nothing arrives, and nobody is told.
    frozen: watch::Sender<bool>,
    cut: CancellationToken,
    marked: AtomicBool,
}

impl FaultProxy {
    /// Stands before `target`.
    pub async fn start(target: Target) -> Self {
        Self::start_marking(target, "").await
    }

    /// As [`FaultProxy::start`], and marks each connection whose client says
    /// `mark`.
    pub async fn start_marking(target: Target, mark: &'static str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let up = Network::Up {
            delay: Duration::ZERO,
        };
        let shared = Arc::new(Shared {
            target,
            network: watch::Sender::new(up),
            connections: Mutex::default(),
            mark,
        });
        let end = CancellationToken::new();
        tokio::spawn(end.clone().run_until_cancelled_owned(accept(
            listener,
            Arc::clone(&shared),
            end.clone(),
        )));
        Self {
            address,
            shared,
            _ends: end.drop_guard(),
        }
    }

    /// Where to connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where to connect to, as an address of gRPC.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Closes every connection, and takes no new one until [`FaultProxy::heal`].
    pub fn refuse(&self) {
        self.shared.network.send_replace(Network::Refusing);
        self.cut();
    }

    /// Keeps connections open and takes new ones, but nothing arrives until
    /// [`FaultProxy::heal`].
    pub fn stall(&self) {
        self.shared.network.send_replace(Network::Stalled);
    }

    /// Everything arrives later by `delay` each way.
    pub fn delay(&self, delay: Duration) {
        self.shared.network.send_replace(Network::Up { delay });
    }

    /// All is well again, for connections that are still open and for new ones.
    pub fn heal(&self) {
        self.delay(Duration::ZERO);
    }

    /// Closes every connection; new ones are served.
    pub fn cut(&self) {
        for connection in self.shared.connections.lock().unwrap().drain(..) {
            connection.cut.cancel();
        }
    }

    /// Nothing arrives on today's connections any more, for good, and neither
    /// side is told; new ones are served.
    pub fn freeze(&self) {
        self.freeze_where(|_| true);
    }

    /// As [`FaultProxy::freeze`], for those alone whose client has said the
    /// mark.
    ///
    /// # Panics
    ///
    /// When no connection is marked.
    pub fn freeze_marked(&self) {
        let frozen = self.freeze_where(|connection| connection.marked.load(Ordering::SeqCst));
        assert!(frozen > 0, "no client said `{}`", self.shared.mark);
    }

    fn freeze_where(&self, chosen: impl Fn(&Connection) -> bool) -> usize {
        let connections = self.shared.connections.lock().unwrap();
        let mut frozen = 0;
        for connection in connections.iter().filter(|connection| chosen(connection)) {
            connection.frozen.send_replace(true);
            frozen += 1;
        }
        frozen
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, end: CancellationToken) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        client.set_nodelay(true).unwrap();
        if *shared.network.borrow() == Network::Refusing {
            continue;
        }
        let connection = Arc::new(Connection {
            frozen: watch::Sender::new(false),
            cut: end.child_token(),
            marked: AtomicBool::new(false),
        });
        let mut connections = shared.connections.lock().unwrap();
        connections.retain(|other| !other.cut.is_cancelled());
        connections.push(Arc::clone(&connection));
        drop(connections);
        tokio::spawn(serve(client, connection, Arc::clone(&shared)));
    }
}

/// Carries bytes both ways until one side ends or the connection is cut.
async fn serve(client: TcpStream, connection: Arc<Connection>, shared: Arc<Shared>) {
    let carry = async {
        match &shared.target {
            Target::Tcp(address) => {
                let Ok(server) = TcpStream::connect(address).await else {
                    return;
                };
                server.set_nodelay(true).unwrap();
                carry_both(client, server, &connection, &shared).await;
            }
            Target::Unix(path) => {
                if let Ok(server) = UnixStream::connect(path).await {
                    carry_both(client, server, &connection, &shared).await;
                }
            }
        }
    };
    connection.cut.run_until_cancelled(carry).await;
    connection.cut.cancel();
}

async fn carry_both(
    client: TcpStream,
    server: impl AsyncRead + AsyncWrite,
    connection: &Connection,
    shared: &Shared,
) {
    let (from_client, to_client) = tokio::io::split(client);
    let (from_server, to_server) = tokio::io::split(server);
    tokio::select! {
        () = carry(from_client, to_server, connection, shared, true) => {}
        () = carry(from_server, to_client, connection, shared, false) => {}
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    connection: &Connection,
    shared: &Shared,
    from_client: bool,
) {
    let mut network = shared.network.subscribe();
    let mut frozen = connection.frozen.subscribe();
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        let bytes = &chunk[..length];
        if from_client && contains(bytes, shared.mark) {
            connection.marked.store(true, Ordering::SeqCst);
        }
        let now = *network.borrow();
        if let Network::Up { delay } = now
            && !delay.is_zero()
        {
            tokio::time::sleep(delay).await;
        }
        let stalled = |network: &Network| *network != Network::Stalled;
        if network.wait_for(stalled).await.is_err() || frozen.wait_for(|&it| !it).await.is_err() {
            return;
        }
        if to.write_all(bytes).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    !text.is_empty()
        && bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait::{SOON, within};

    /// Long enough for a loopback connection to deliver what it will.
    const QUIET: Duration = Duration::from_millis(200);

    /// A listener that echoes, and a client of it through the proxy.
    async fn echo() -> FaultProxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let target = Target::Tcp(listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        FaultProxy::start_marking(target, "MARK").await
    }

    async fn say(stream: &mut TcpStream, text: &str) -> std::io::Result<String> {
        stream.write_all(text.as_bytes()).await?;
        let mut answer = vec![0; text.len()];
        stream.read_exact(&mut answer).await?;
        Ok(String::from_utf8(answer).unwrap())
    }

    #[tokio::test]
    async fn a_stalled_connection_delivers_after_it_heals() {
        let proxy = echo().await;
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(say(&mut client, "one").await.unwrap(), "one");
        proxy.stall();
        let late = tokio::time::timeout(QUIET, say(&mut client, "two")).await;
        assert!(late.is_err(), "stalled");
        proxy.heal();
        let mut answer = [0; 3];
        within("the echo", SOON, client.read_exact(&mut answer))
            .await
            .unwrap();
        assert_eq!(&answer, b"two");
    }

    #[tokio::test]
    async fn only_marked_connections_freeze() {
        let proxy = echo().await;
        let mut marked = TcpStream::connect(proxy.address()).await.unwrap();
        let mut plain = TcpStream::connect(proxy.address()).await.unwrap();
        say(&mut marked, "a MARK").await.unwrap();
        say(&mut plain, "nothing").await.unwrap();
        proxy.freeze_marked();
        assert_eq!(say(&mut plain, "still").await.unwrap(), "still");
        let late = tokio::time::timeout(QUIET, say(&mut marked, "still")).await;
        assert!(late.is_err(), "frozen");
    }

    #[tokio::test]
    async fn a_refusing_proxy_ends_connections_and_takes_none() {
        let proxy = echo().await;
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        say(&mut client, "hello").await.unwrap();
        proxy.refuse();
        within("the end", SOON, say(&mut client, "hello"))
            .await
            .unwrap_err();
        let mut next = TcpStream::connect(proxy.address()).await.unwrap();
        within("the end", SOON, say(&mut next, "hello"))
            .await
            .unwrap_err();
        proxy.heal();
        let mut next = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(say(&mut next, "hello").await.unwrap(), "hello");
    }
}
