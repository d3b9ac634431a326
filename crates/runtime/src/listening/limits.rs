use std::time::Duration;

use crate::addresses::TrustedProxies;

/// What one listener grants its peers.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections in all. One more is closed as soon as it is accepted.
    pub connections: usize,
    /// Connections of one IPv4 address or one IPv6 /64, unless it is a trusted proxy.
    pub connections_per_address: usize,
    /// Connections of the machine itself (127.0.0.0/8 and ::1): sidecars and local
    /// proxies speak for many.
    pub connections_per_loopback_address: usize,
    /// Whose word counts for whom they speak.
    pub trusted_proxies: TrustedProxies,
    /// Time for a TLS handshake.
    pub tls_handshake_timeout: Duration,
    /// Time for the first bytes: for all 24 of the HTTP/2 preface, or for those
    /// that show that it is HTTP/1.
    pub first_bytes_timeout: Duration,
    /// Time for the head of each HTTP/1 request, idle time before it included.
    pub http1_head_timeout: Duration,
    /// Time that running calls get once shutdown has begun.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            connections_per_address: 4_000,
            connections_per_loopback_address: 20_000,
            trusted_proxies: TrustedProxies::default(),
            tls_handshake_timeout: Duration::from_secs(10),
            first_bytes_timeout: Duration::from_secs(10),
            http1_head_timeout: Duration::from_secs(60),
            grace: Duration::from_secs(10),
        }
    }
}
