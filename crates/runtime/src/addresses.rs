//! Who is at the other end: whoever is connected, or, behind proxies that the
//! operator trusts, whomever these say they speak for.
//!
//! One header is read, the one that the operator's proxies write: a client could
//! send the other, and proxies pass on what they do not know. It is read from the
//! right, where the last proxy wrote, and only past addresses that are trusted
//! themselves. So whatever a client makes up stays to the left of its own address.

mod forwarded;
mod networks;

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use http::{Extensions, HeaderMap};

use self::forwarded::Hop;
pub use self::networks::{MalformedNetwork, Network};
use crate::listening::Connection;

/// Bits of an IPv6 address that name a site; whoever has one has all of the rest.
const SITE_MASK: u128 = u128::MAX << 64;

/// Proxies that are walked past. Behind more, the peer counts as the caller.
const HOPS_MAX: usize = 16;

/// From where a call comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress {
    /// The caller's address. An IPv4 address is one, however the socket spells it.
    pub ip: IpAddr,
    /// Whether the caller speaks TLS, to this process or to a trusted proxy.
    pub tls: bool,
}

/// The proxies that are believed when they say for whom they speak. By default: none.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    networks: Vec<Network>,
    header: ForwardedHeader,
}

/// The header in which proxies write for whom they speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, with the scheme in `X-Forwarded-Proto`.
    #[default]
    XForwardedFor,
    /// `Forwarded`, RFC 7239.
    Forwarded,
}

/// Neither of the headers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("give x-forwarded-for or forwarded")]
pub struct UnknownHeader;

impl ClientAddress {
    /// From where a request comes, by the extensions that the listener gave it.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Option<Self> {
        let proxied = extensions.get::<Self>().copied();
        proxied.or_else(|| extensions.get::<Connection>().map(Self::of_peer))
    }

    /// The same, as far as one party controls it: see [`site`].
    #[must_use]
    pub fn site_of(extensions: &Extensions) -> Option<IpAddr> {
        Self::of(extensions).map(|client| site(client.ip))
    }

    /// Says it to the next hop, in each header that one may read. What the caller said
    /// there is gone: whom to believe has been decided here.
    pub fn tell(self, headers: &mut HeaderMap) {
        let Self { ip, tls } = self;
        forwarded::tell(Hop { ip, tls }, headers);
    }

    /// The address of whoever is connected.
    #[must_use]
    pub fn of_peer(connection: &Connection) -> Self {
        Self {
            ip: connection.remote_addr.ip(),
            tls: connection.tls,
        }
    }
}

impl TrustedProxies {
    /// Proxies in these networks, which write this header.
    #[must_use]
    pub fn new(networks: Vec<Network>, header: ForwardedHeader) -> Self {
        Self { networks, header }
    }

    /// Whether an address is a proxy's.
    #[must_use]
    pub fn trust(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks
            .iter()
            .any(|network| network.contains(address))
    }

    /// For whom a trusted peer speaks, as its headers say. Without them, or if they
    /// cannot be understood: for itself.
    #[must_use]
    pub fn client(&self, peer: ClientAddress, headers: &HeaderMap) -> ClientAddress {
        let hops = match self.header {
            ForwardedHeader::XForwardedFor => forwarded::x_forwarded_for(headers),
            ForwardedHeader::Forwarded => forwarded::forwarded(headers),
        };
        let mut client = peer;
        for (passed, hop) in hops.enumerate() {
            let Some(Hop { ip, tls }) = hop.filter(|_| passed < HOPS_MAX) else {
                return peer;
            };
            client = ClientAddress { ip, tls };
            if !self.trust(ip) {
                break;
            }
        }
        client
    }
}

impl FromStr for ForwardedHeader {
    type Err = UnknownHeader;

    fn from_str(text: &str) -> Result<Self, UnknownHeader> {
        match text.to_ascii_lowercase().as_str() {
            forwarded::X_FORWARDED_FOR => Ok(Self::XForwardedFor),
            forwarded::FORWARDED => Ok(Self::Forwarded),
            _ => Err(UnknownHeader),
        }
    }
}

/// The part of an address that one party controls: an IPv4 address, or an IPv6 /64.
#[must_use]
pub fn site(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & SITE_MASK))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    const PEER: &str = "10.0.0.1";

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn proxies(header: ForwardedHeader) -> TrustedProxies {
        let networks = ["10.0.0.0/8", "2001:db8:f::/48"];
        TrustedProxies::new(networks.map(|it| it.parse().unwrap()).into(), header)
    }

    /// Who calls through the trusted peer, by lines of the header.
    fn client(name: &'static str, lines: &[&str]) -> ClientAddress {
        let peer = ClientAddress {
            ip: ip(PEER),
            tls: false,
        };
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, HeaderValue::from_str(line).unwrap());
        }
        proxies(name.parse().unwrap()).client(peer, &headers)
    }

    #[test]
    fn what_is_told_is_what_the_next_hop_reads_whichever_header_it_reads() {
        for (address, tls) in [("192.0.2.7", true), ("2001:db8::7", false)] {
            let caller = ClientAddress {
                ip: ip(address),
                tls,
            };
            for name in ["x-forwarded-for", "forwarded"] {
                let made_up = ["x-forwarded-for", "x-forwarded-proto", "forwarded"];
                let made_up = made_up.map(|name| {
                    let value = HeaderValue::from_static("for=198.51.100.1;proto=https");
                    (HeaderName::from_static(name), value)
                });
                let mut headers = HeaderMap::from_iter(made_up);
                headers.append(name, HeaderValue::from_static("198.51.100.2"));
                caller.tell(&mut headers);
                assert_eq!(headers.len(), 3, "{headers:?}");
                let peer = ClientAddress {
                    ip: ip(PEER),
                    tls: !tls,
                };
                let read = proxies(name.parse().unwrap()).client(peer, &headers);
                assert_eq!(read, caller, "{name}");
            }
        }
    }

    #[test]
    fn the_caller_is_the_first_from_the_right_who_is_no_proxy() {
        for (lines, expected) in [
            (&["192.0.2.7"][..], "192.0.2.7"),
            (&["192.0.2.7, 10.9.9.9"], "192.0.2.7"),
            (&["192.0.2.7", "10.9.9.9"], "192.0.2.7"),
            (&["203.0.113.1, 192.0.2.7, 10.9.9.9"], "192.0.2.7"),
            (&["rubbish, 192.0.2.7"], "192.0.2.7"),
            (&["2001:db8:1::7, 2001:db8:f::1"], "2001:db8:1::7"),
            (&["192.0.2.7:4711 , [2001:db8:f::1]:80"], "192.0.2.7"),
            (&["::ffff:192.0.2.7"], "192.0.2.7"),
            // Everybody is a proxy: the farthest of them calls.
            (&["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
        ] {
            assert_eq!(
                client("x-forwarded-for", lines).ip,
                ip(expected),
                "{lines:?}"
            );
        }
    }

    #[test]
    fn a_peer_that_cannot_be_understood_speaks_for_itself() {
        let many = vec!["10.1.1.1"; HOPS_MAX + 1].join(",");
        for line in [
            "",
            "unknown",
            "rubbish",
            "192.0.2.7, rubbish",
            "192.0.2.7,",
            "192.0.2.7, 10.9.9.9:",
            "300.0.0.1",
            "fe80::1%eth0",
            &many,
        ] {
            assert_eq!(client("x-forwarded-for", &[line]).ip, ip(PEER), "{line:?}");
        }
        assert_eq!(client("x-forwarded-for", &[]).ip, ip(PEER));
    }

    #[test]
    fn the_standard_header_is_read_as_it_is_written() {
        for (lines, expected, tls) in [
            (&["for=192.0.2.7;proto=https"][..], "192.0.2.7", true),
            (
                &["For=\"192.0.2.7:4711\"; Proto=HTTP, for=10.9.9.9;proto=https"],
                "192.0.2.7",
                false,
            ),
            (
                &["for=\"[2001:db8:1::7]:4711\";by=\"_a,b;c\""],
                "2001:db8:1::7",
                false,
            ),
            (
                &["for=\"_x, for=192.0.2.9\"", "for=192.0.2.7"],
                "192.0.2.7",
                false,
            ),
            (&["for=unknown"], PEER, false),
            (&["for=_hidden"], PEER, false),
            (&["by=192.0.2.7"], PEER, false),
            (&["for=192.0.2.7;for=192.0.2.8"], PEER, false),
            (&["for=\"192.0.2.7"], PEER, false),
        ] {
            let expected = ClientAddress {
                ip: ip(expected),
                tls,
            };
            assert_eq!(client("forwarded", lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn only_the_header_that_proxies_write_is_read() {
        let peer = ClientAddress {
            ip: ip(PEER),
            tls: false,
        };
        let value = HeaderValue::from_static("for=192.0.2.7");
        let headers = HeaderMap::from_iter([(http::header::FORWARDED, value)]);
        let proxies = proxies(ForwardedHeader::XForwardedFor);
        assert_eq!(proxies.client(peer, &headers), peer);
    }

    #[test]
    fn the_scheme_is_the_proxys_own_word() {
        let tls = |scheme: &str| {
            let headers = [
                ("x-forwarded-for", "192.0.2.7"),
                ("x-forwarded-proto", scheme),
            ];
            let headers = headers.map(|(name, value)| {
                let value = HeaderValue::from_str(value).unwrap();
                (HeaderName::from_static(name), value)
            });
            let peer = ClientAddress {
                ip: ip(PEER),
                tls: false,
            };
            let proxies = proxies(ForwardedHeader::XForwardedFor);
            proxies.client(peer, &HeaderMap::from_iter(headers)).tls
        };
        assert!(tls("https"));
        assert!(tls("http, HTTPS"));
        assert!(!tls("https, http"));
        assert!(!tls("httpsx"));
    }

    #[test]
    fn nobody_is_trusted_unless_named() {
        assert!(!TrustedProxies::default().trust(ip("127.0.0.1")));
        let proxies = proxies(ForwardedHeader::default());
        assert!(proxies.trust(ip("10.255.0.1")));
        assert!(proxies.trust(ip("::ffff:10.255.0.1")));
        assert!(!proxies.trust(ip("11.0.0.1")));
    }

    #[test]
    fn a_site_is_what_one_party_controls() {
        assert_eq!(site(ip("192.0.2.7")), ip("192.0.2.7"));
        assert_eq!(site(ip("::ffff:192.0.2.7")), ip("192.0.2.7"));
        assert_eq!(site(ip("2001:db8:0:1:ffff::2")), ip("2001:db8:0:1::"));
        assert_eq!(site(ip("::1")), ip("::1"));
    }
}
