//! Channels to a list of addresses, shared by the streams that run over them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Mutex;
use tonic::Status;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::Address;

/// How long a TCP connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A silent connection is asked for a sign of life this often.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// And is given up when the answer takes longer.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Small windows make h2 close a connection with many short unread frames.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// For all streams of a connection together.
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// A server takes 1,024 streams a connection; a few are left for other calls.
const STREAMS_MAX: usize = 1_000;
/// So many UNAVAILABLE in a row, and the next stream gets a new connection:
/// a channel can go on using one that is half open.
const UNAVAILABLE_MAX: u32 = 2;

/// Connections to a list of addresses. Cheap to clone; clones share them.
///
/// A connection is made when the first stream needs it, carries up to 1,000
/// streams, and is closed with its last stream.
#[derive(Debug, Clone)]
pub struct Connections(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    hops: Vec<Hop>,
    user_agent: &'static str,
    ca_file: Option<PathBuf>,
}

/// One address and what is open to it.
#[derive(Debug)]
struct Hop {
    address: Address,
    open: Mutex<Vec<Weak<Connection>>>,
}

#[derive(Debug)]
struct Connection {
    channel: Channel,
    streams: AtomicUsize,
    unavailable: AtomicU32,
    retired: AtomicBool,
}

/// The share that a stream or a call has of a connection, given back when dropped.
#[derive(Debug)]
pub struct Lease(Arc<Connection>);

impl Connections {
    /// Prepares connections to `addresses`, which are tried in their order.
    ///
    /// `user_agent` is what the other side sees, such as `burgee-rust/1.0`.
    /// `ca_file` holds certificates (PEM) that are trusted instead of the public
    /// ones; it is read again for each new connection.
    #[must_use]
    pub fn new(
        addresses: Vec<Address>,
        user_agent: &'static str,
        ca_file: Option<PathBuf>,
    ) -> Self {
        let hops = addresses
            .into_iter()
            .map(|address| Hop {
                address,
                open: Mutex::default(),
            })
            .collect();
        Self(Arc::new(Shared {
            hops,
            user_agent,
            ca_file,
        }))
    }

    /// How many addresses there are.
    #[must_use]
    pub fn addresses(&self) -> usize {
        self.0.hops.len()
    }

    /// The address at an index, for logs.
    pub(crate) fn address(&self, index: usize) -> Option<&Address> {
        self.0.hops.get(index).map(|hop| &hop.address)
    }

    /// A place on a connection to the address at `index`, which is made when it is first used.
    ///
    /// # Errors
    /// A status that tells why no connection can be prepared.
    pub async fn lease(&self, index: usize) -> Result<Lease, Status> {
        let hop = self
            .0
            .hops
            .get(index)
            .ok_or_else(|| Status::failed_precondition("no address is configured"))?;
        // Held while a connection is prepared, so that a thousand streams that
        // start together share one.
        let mut open = hop.open.lock().await;
        open.retain(|connection| connection.strong_count() > 0);
        let free = open
            .iter()
            .filter_map(Weak::upgrade)
            .find(|connection| connection.has_room());
        let connection = match free {
            Some(connection) => connection,
            None => {
                let connection = Arc::new(Connection::new(self.prepare(&hop.address).await?));
                open.push(Arc::downgrade(&connection));
                connection
            }
        };
        connection.streams.fetch_add(1, Ordering::Relaxed);
        Ok(Lease(connection))
    }

    async fn prepare(&self, address: &Address) -> Result<Channel, Status> {
        let unusable = |error: tonic::transport::Error| {
            Status::unavailable(format!("{address} cannot be used: {error}"))
        };
        let mut endpoint = Endpoint::from(address.uri().clone())
            .user_agent(self.0.user_agent)
            .map_err(unusable)?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .tcp_nodelay(true);
        if address.is_tls() {
            endpoint = endpoint.tls_config(self.tls().await?).map_err(unusable)?;
        }
        Ok(endpoint.connect_lazy())
    }

    async fn tls(&self) -> Result<ClientTlsConfig, Status> {
        let Some(path) = &self.0.ca_file else {
            return Ok(ClientTlsConfig::new().with_webpki_roots());
        };
        let pem = tokio::fs::read(path).await.map_err(|error| {
            Status::unavailable(format!("cannot read {}: {error}", path.display()))
        })?;
        Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))
    }
}

impl Connection {
    fn new(channel: Channel) -> Self {
        Self {
            channel,
            streams: AtomicUsize::new(0),
            unavailable: AtomicU32::new(0),
            retired: AtomicBool::new(false),
        }
    }

    fn has_room(&self) -> bool {
        !self.retired.load(Ordering::Relaxed) && self.streams.load(Ordering::Relaxed) < STREAMS_MAX
    }
}

impl Lease {
    /// What calls are made on.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.0.channel.clone()
    }

    /// The other side spoke: the connection is sound.
    pub fn heard(&self) {
        self.0.unavailable.store(0, Ordering::Relaxed);
    }

    /// The other side could not be reached, or says that it cannot serve.
    pub fn unavailable(&self) {
        let times = self.0.unavailable.fetch_add(1, Ordering::Relaxed) + 1;
        if times >= UNAVAILABLE_MAX {
            self.retire();
        }
    }

    /// No further stream is to use this connection.
    pub(crate) fn retire(&self) {
        self.0.retired.store(true, Ordering::Relaxed);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections() -> Connections {
        let addresses = Address::list("http://127.0.0.1:1,http://127.0.0.1:2").unwrap();
        Connections::new(addresses, "test", None)
    }

    fn shared(one: &Lease, other: &Lease) -> bool {
        Arc::ptr_eq(&one.0, &other.0)
    }

    #[tokio::test]
    async fn streams_to_one_address_share_a_connection_up_to_a_thousand() {
        let connections = connections();
        let mut leases = Vec::new();
        for _ in 0..STREAMS_MAX {
            leases.push(connections.lease(0).await.unwrap());
        }
        assert!(leases.iter().all(|lease| shared(lease, &leases[0])));
        let next = connections.lease(0).await.unwrap();
        assert!(!shared(&next, &leases[0]));
        leases.pop();
        assert!(shared(&connections.lease(0).await.unwrap(), &leases[0]));
        assert!(!shared(&connections.lease(1).await.unwrap(), &leases[0]));
    }

    #[tokio::test]
    async fn repeated_unavailable_rebuilds_the_channel_and_one_does_not() {
        let connections = connections();
        let old = connections.lease(0).await.unwrap();
        old.unavailable();
        old.heard();
        old.unavailable();
        assert!(shared(&connections.lease(0).await.unwrap(), &old));
        old.unavailable();
        assert!(!shared(&connections.lease(0).await.unwrap(), &old));
    }

    #[tokio::test]
    async fn a_connection_ends_with_its_last_stream() {
        let connections = connections();
        drop(connections.lease(0).await.unwrap());
        let _next = connections.lease(0).await.unwrap();
        assert_eq!(connections.0.hops[0].open.lock().await.len(), 1);
    }

    #[tokio::test]
    async fn a_missing_ca_file_fails_the_attempt_and_names_the_file() {
        let addresses = Address::list("https://127.0.0.1:1").unwrap();
        let connections = Connections::new(addresses, "test", Some("/nowhere/ca.pem".into()));
        let status = connections.lease(0).await.unwrap_err();
        assert!(status.message().contains("/nowhere/ca.pem"), "{status}");
    }
}
