//! Who is let in: connections are counted in all and by where they come from.

use std::net::IpAddr;

use super::limits::Limits;
use crate::addresses::{TrustedProxies, site};
use crate::shares::{Quota, Share, Shares};

#[derive(Debug)]
pub(super) struct Admission {
    taken: Shares,
    connections: usize,
    per_address: usize,
    per_loopback_address: usize,
    trusted_proxies: TrustedProxies,
}

impl Admission {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            taken: Shares::default(),
            connections: limits.connections,
            per_address: limits.connections_per_address,
            per_loopback_address: limits.connections_per_loopback_address,
            trusted_proxies: limits.trusted_proxies.clone(),
        }
    }

    /// A place for a connection from `address`, unless its site or the whole
    /// listener is full. Dropping it gives the place back.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Share> {
        let site = site(address);
        let per_site = match address {
            // It speaks for many.
            proxy if self.trusted_proxies.trust(proxy) => self.connections,
            _ if site.is_loopback() => self.per_loopback_address,
            _ => self.per_address,
        };
        let quota = Quota {
            all: self.connections,
            per_site,
        };
        self.taken.take(quota, site, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addresses::ForwardedHeader;

    fn admission(connections: usize, per_address: usize, per_loopback_address: usize) -> Admission {
        Admission::new(&Limits {
            connections,
            connections_per_address: per_address,
            connections_per_loopback_address: per_loopback_address,
            ..Limits::default()
        })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_full_listener_admits_again_when_one_leaves() {
        let admission = admission(2, 2, 2);
        let first = admission.admit(ip("192.0.2.1")).unwrap();
        let _second = admission.admit(ip("192.0.2.2")).unwrap();
        assert!(admission.admit(ip("192.0.2.3")).is_none());
        drop(first);
        assert!(admission.admit(ip("192.0.2.3")).is_some());
    }

    #[test]
    fn one_address_cannot_take_the_places_of_others() {
        let admission = admission(10, 1, 10);
        let _held = admission.admit(ip("192.0.2.1")).unwrap();
        assert!(admission.admit(ip("192.0.2.1")).is_none());
        assert!(admission.admit(ip("::ffff:192.0.2.1")).is_none());
        assert!(admission.admit(ip("192.0.2.2")).is_some());
    }

    #[test]
    fn an_ipv6_site_counts_as_one_address() {
        let admission = admission(10, 1, 10);
        let _held = admission.admit(ip("2001:db8:0:1::1")).unwrap();
        assert!(admission.admit(ip("2001:db8:0:1:ffff::2")).is_none());
        assert!(admission.admit(ip("2001:db8:0:2::1")).is_some());
    }

    #[test]
    fn loopback_has_a_limit_of_its_own() {
        let admission = admission(10, 1, 2);
        let _held = [
            admission.admit(ip("127.0.0.1")).unwrap(),
            admission.admit(ip("127.0.0.1")).unwrap(),
        ];
        assert!(admission.admit(ip("127.0.0.1")).is_none());
        assert!(admission.admit(ip("::1")).is_some());
    }

    #[test]
    fn a_trusted_proxy_may_have_every_place() {
        let proxies = vec!["192.0.2.0/24".parse().unwrap()];
        let admission = Admission::new(&Limits {
            connections: 3,
            connections_per_address: 1,
            trusted_proxies: TrustedProxies::new(proxies, ForwardedHeader::default()),
            ..Limits::default()
        });
        let _held = [
            admission.admit(ip("192.0.2.1")).unwrap(),
            admission.admit(ip("192.0.2.1")).unwrap(),
            admission.admit(ip("198.51.100.1")).unwrap(),
        ];
        assert!(admission.admit(ip("192.0.2.1")).is_none());
    }
}
