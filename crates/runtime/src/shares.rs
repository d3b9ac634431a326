//! What there is a bounded amount of, for all callers and for each site: no address
//! can take what others need.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One part of so many is much.
const SCARCE: usize = 4;

/// How much there is of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// For everybody together.
    pub all: usize,
    /// For one IPv4 address or one IPv6 /64.
    pub per_site: usize,
}

/// What of it is taken. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shares(Arc<Mutex<Counts>>);

/// What a site has taken; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Share {
    shares: Shares,
    quota: Quota,
    site: IpAddr,
    amount: usize,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    /// Sites that have taken anything.
    by_site: HashMap<IpAddr, usize>,
}

impl Shares {
    /// So much for a site, unless it would have more than the quota, or all would.
    pub(crate) fn take(&self, quota: Quota, site: IpAddr, amount: usize) -> Option<Share> {
        let mut share = Share {
            shares: self.clone(),
            quota,
            site,
            amount: 0,
        };
        share.grow(amount).then_some(share)
    }

    /// The counts are whole after every statement, so a panic elsewhere spoils nothing.
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Takes more. False: there is not so much, and nothing has changed.
    pub(crate) fn grow(&mut self, more: usize) -> bool {
        self.resize(self.amount.saturating_add(more))
    }

    /// Takes more or gives back, until it is so much. False: there is not so much, and
    /// nothing has changed.
    pub(crate) fn resize(&mut self, amount: usize) -> bool {
        let mut counts = self.shares.lock();
        let of_site = counts.by_site.get(&self.site).copied().unwrap_or(0);
        let all = (counts.all - self.amount).saturating_add(amount);
        let of_site = (of_site - self.amount.min(of_site)).saturating_add(amount);
        let grows = amount > self.amount;
        if grows && (all > self.quota.all || of_site > self.quota.per_site) {
            return false;
        }
        counts.all = all;
        if of_site == 0 {
            counts.by_site.remove(&self.site);
        } else {
            counts.by_site.insert(self.site, of_site);
        }
        self.amount = amount;
        true
    }

    /// Whether much of all is taken, or of what the site may have.
    pub(crate) fn is_scarce(&self) -> bool {
        let counts = self.shares.lock();
        let of_site = counts.by_site.get(&self.site).copied().unwrap_or(0);
        counts.all > self.quota.all / SCARCE || of_site > self.quota.per_site / SCARCE
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTA: Quota = Quota {
        all: 10,
        per_site: 6,
    };

    fn site(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn a_site_has_its_share_and_all_together_have_no_more_than_there_is() {
        let shares = Shares::default();
        let mut first = shares.take(QUOTA, site(1), 5).unwrap();
        assert!(shares.take(QUOTA, site(1), 2).is_none());
        assert!(first.grow(1) && !first.grow(1));
        let second = shares.take(QUOTA, site(2), 4).unwrap();
        assert!(shares.take(QUOTA, site(3), 1).is_none());
        drop(second);
        assert!(shares.take(QUOTA, site(3), 4).is_some());
    }

    #[test]
    fn nothing_is_remembered_of_what_was_given_back_or_refused() {
        let shares = Shares::default();
        let mut held: Vec<_> = (1..=3)
            .map(|last| shares.take(QUOTA, site(last), 3).unwrap())
            .collect();
        assert!(shares.take(QUOTA, site(4), usize::MAX).is_none());
        assert!(!held[0].grow(usize::MAX));
        drop(held);
        let counts = shares.lock();
        assert_eq!(counts.all, 0);
        assert!(counts.by_site.is_empty());
    }
}
