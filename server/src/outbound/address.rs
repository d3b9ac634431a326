//! Which addresses may be called.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// What is not of the open internet, and what clouds answer their machines' questions at.
/// <https://www.iana.org/assignments/iana-ipv4-special-registry>
const REFUSED_V4: &[Ipv4Net] = &[
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    // Azure's, beside those in the networks below.
    v4([168, 63, 129, 16], 32),
    v4([169, 254, 0, 0], 16),
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    v4([192, 31, 196, 0], 24),
    v4([192, 52, 193, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([192, 168, 0, 0], 16),
    v4([192, 175, 48, 0], 24),
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    // Multicast, and what is reserved, with broadcast.
    v4([224, 0, 0, 0], 3),
];

/// The only part of IPv6 that is the open internet: what maps, translates or embeds an IPv4
/// address, what is local and what is multicast is outside of it.
const UNICAST_V6: Ipv6Net = v6([0x2000, 0, 0], 3);

/// What is not, within it. <https://www.iana.org/assignments/iana-ipv6-special-registry>
const REFUSED_V6: &[Ipv6Net] = &[
    // Protocols' own, Teredo among them.
    v6([0x2001, 0, 0], 23),
    v6([0x2001, 0xdb8, 0], 32),
    // 6to4, which embeds an IPv4 address.
    v6([0x2002, 0, 0], 16),
    v6([0x2620, 0x4f, 0x8000], 48),
    v6([0x3fff, 0, 0], 20),
];

const fn v4(octets: [u8; 4], prefix: u8) -> Ipv4Net {
    let [a, b, c, d] = octets;
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(segments: [u16; 3], prefix: u8) -> Ipv6Net {
    let [a, b, c] = segments;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

/// The networks that may be called beside the open internet. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Allowed(Arc<[IpNet]>);

impl Allowed {
    /// These.
    #[must_use]
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self(networks.into_iter().collect())
    }

    /// The addresses of this machine itself.
    #[must_use]
    pub fn loopback() -> Self {
        let v4 = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
        let v6 = Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128);
        Self::new([IpNet::V4(v4), IpNet::V6(v6)])
    }

    #[cfg(test)]
    pub(super) fn parse(text: &str) -> Result<Self, ipnet::AddrParseError> {
        let parts = text.split(',').map(str::trim).filter(|it| !it.is_empty());
        let networks: Result<Vec<IpNet>, _> = parts.map(str::parse).collect();
        networks.map(Self::new)
    }

    /// Whether an address may be called.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        // One that is mapped is the one that it maps, wherever it leads.
        let canonical = address.to_canonical();
        let is_listed = self.0.iter().any(|network| network.contains(&canonical));
        // It is written that way by nobody who means well.
        let is_plain = canonical == address;
        is_listed || (is_plain && is_open_internet(canonical))
    }
}

fn is_open_internet(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !REFUSED_V4.iter().any(|network| network.contains(&address)),
        IpAddr::V6(address) => {
            UNICAST_V6.contains(&address)
                && !REFUSED_V6.iter().any(|network| network.contains(&address))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(allowed: &Allowed, address: &str) -> bool {
        allowed.allows(address.parse().unwrap())
    }

    #[test]
    fn the_open_internet_may_be_called() {
        let none = Allowed::default();
        for address in [
            "1.1.1.1",
            "93.184.216.34",
            "172.15.255.255",
            "172.32.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450:4001:830::200e",
            "2001:200::1",
        ] {
            assert!(allows(&none, address), "{address}");
        }
    }

    #[test]
    fn what_is_private_local_reserved_or_in_disguise_may_not() {
        let none = Allowed::default();
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            // Metadata of clouds.
            "100.100.100.200",
            "168.63.129.16",
            "169.254.169.254",
            "192.0.0.192",
            "fd00:ec2::254",
            "127.0.0.1",
            "127.255.255.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "febf::1",
            "fc00::1",
            "fdff::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "3fff::1",
            "5f00::1",
            // Mapped, compatible, translated, 6to4, Teredo: IPv4 in disguise, open or not.
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:1.1.1.1",
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::101:101",
            "64:ff9b:1::a00:1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        ] {
            assert!(!allows(&none, address), "{address}");
        }
    }

    #[test]
    fn an_operator_allows_networks_and_no_more_than_these() {
        let some = Allowed::parse("10.1.0.0/16, fd12::/32").unwrap();
        assert!(allows(&some, "10.1.2.3"));
        assert!(allows(&some, "::ffff:10.1.2.3"));
        assert!(allows(&some, "fd12::1"));
        assert!(!allows(&some, "10.2.0.1"));
        assert!(!allows(&some, "fd13::1"));
        assert!(!allows(&some, "127.0.0.1"));
        assert!(allows(&Allowed::loopback(), "127.0.0.2"));
        assert!(allows(&Allowed::loopback(), "::1"));
        assert!(!allows(&Allowed::loopback(), "::2"));
    }
}
