//! Who is let in: connections are counted in all and by where they come from.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::limits::Limits;
use crate::addresses::{TrustedProxies, site};

#[derive(Debug)]
pub(super) struct Admission {
    shared: Arc<Mutex<Counts>>,
    connections: usize,
    per_address: usize,
    per_loopback_address: usize,
    trusted_proxies: TrustedProxies,
}

/// The place of one connection; dropping it gives the place back.
#[derive(Debug)]
pub(super) struct Admitted {
    shared: Arc<Mutex<Counts>>,
    site: IpAddr,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    /// Sites with at least one connection.
    by_site: HashMap<IpAddr, usize>,
}

impl Admission {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            shared: Arc::default(),
            connections: limits.connections,
            per_address: limits.connections_per_address,
            per_loopback_address: limits.connections_per_loopback_address,
            trusted_proxies: limits.trusted_proxies.clone(),
        }
    }

    /// A place for a connection from `address`, unless its site or the whole
    /// listener is full.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Admitted> {
        let site = site(address);
        let per_site = match address {
            // It speaks for many.
            proxy if self.trusted_proxies.trust(proxy) => self.connections,
            _ if site.is_loopback() => self.per_loopback_address,
            _ => self.per_address,
        };
        let mut counts = lock(&self.shared);
        let of_site = counts.by_site.get(&site).copied().unwrap_or(0);
        if counts.all >= self.connections || of_site >= per_site {
            return None;
        }
        counts.all += 1;
        counts.by_site.insert(site, of_site + 1);
        Some(Admitted {
            shared: Arc::clone(&self.shared),
            site,
        })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut counts = lock(&self.shared);
        counts.all -= 1;
        let left = counts.by_site.get(&self.site).map_or(0, |count| count - 1);
        if left == 0 {
            counts.by_site.remove(&self.site);
        } else {
            counts.by_site.insert(self.site, left);
        }
    }
}

/// The counts are whole after every statement, so a panic elsewhere spoils nothing.
fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn nothing_is_remembered_of_those_who_left() {
        let admission = admission(10, 10, 10);
        let held: Vec<_> = (0..3)
            .map(|_| admission.admit(ip("192.0.2.1")).unwrap())
            .collect();
        drop(held);
        let counts = lock(&admission.shared);
        assert_eq!(counts.all, 0);
        assert!(counts.by_site.is_empty());
    }
}
