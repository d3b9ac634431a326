//! Token buckets by whoever takes from them, in bounded memory.
//!
//! Each is one number, by the generic cell rate algorithm (ITU-T I.371): the time at
//! which it will be full again. It is our own, and not a library's, because those that
//! count by key grow with the keys, which strangers choose, and because a full bucket
//! here costs nothing: there is none.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::rate::Rate;

/// Maps that are locked apart from each other.
const SHARDS: usize = 16;
/// Buckets in each. Together: 65,536.
const SHARD_MAX: usize = 4_096;
/// A map without room is searched for buckets that are full again no more often.
const SWEEP_EACH_NS: u64 = 1_000_000_000;
/// The bucket of all who come when there is no room.
const SHARED: u64 = 0;

/// Who has taken what. By the hash of whoever takes: no credential is kept, and two of
/// the same hash, of a function that nobody outside can compute, share a bucket.
#[derive(Debug)]
pub(super) struct Buckets {
    rate: Rate,
    /// Times are nanoseconds since then.
    began: Instant,
    state: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    /// When each will be full again.
    full_at: HashMap<u64, u64>,
    swept_at: u64,
}

impl Buckets {
    pub(super) fn new(rate: Rate, began: Instant) -> Self {
        Self {
            rate,
            began,
            state: RandomState::new(),
            shards: Default::default(),
        }
    }

    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes one token of somebody's, or tells after what time there is one.
    pub(super) fn take(&self, who: impl Hash, now: Instant) -> Result<(), Duration> {
        let Some(interval) = self.rate.interval() else {
            return Ok(());
        };
        let interval = nanoseconds(interval);
        let capacity = interval.saturating_mul(u64::from(self.rate.burst()));
        let now = nanoseconds(now.saturating_duration_since(self.began));
        self.with_bucket(who, now, |full_at| {
            let after = (*full_at).max(now).saturating_add(interval);
            let excess = after.saturating_sub(now).saturating_sub(capacity);
            if excess > 0 {
                return Err(Duration::from_nanos(excess));
            }
            *full_at = after;
            Ok(())
        })
    }

    /// Puts back what was taken.
    pub(super) fn give_back(&self, who: impl Hash, now: Instant) {
        let Some(interval) = self.rate.interval() else {
            return;
        };
        let now = nanoseconds(now.saturating_duration_since(self.began));
        self.with_bucket(who, now, |full_at| {
            *full_at = full_at.saturating_sub(nanoseconds(interval));
        });
    }

    fn with_bucket<T>(&self, who: impl Hash, now: u64, then: impl FnOnce(&mut u64) -> T) -> T {
        let key = self.state.hash_one(who);
        let ([byte, ..], [first, ..]) = (key.to_le_bytes(), &self.shards);
        let shard = self.shards.get(usize::from(byte) % SHARDS).unwrap_or(first);
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let key = shard.place_for(key, now);
        then(shard.full_at.entry(key).or_insert(now))
    }
}

impl Shard {
    /// The key, if there is room for it, or the key of those who have none.
    fn place_for(&mut self, key: u64, now: u64) -> u64 {
        if self.full_at.len() < SHARD_MAX || self.full_at.contains_key(&key) {
            return key;
        }
        if now.saturating_sub(self.swept_at) >= SWEEP_EACH_NS {
            self.swept_at = now;
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        if self.full_at.len() < SHARD_MAX {
            key
        } else {
            SHARED
        }
    }
}

/// Enough for 584 years.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(rate: Rate) -> (Buckets, Instant) {
        let began = Instant::now();
        (Buckets::new(rate, began), began)
    }

    fn held(buckets: &Buckets) -> usize {
        let shards = buckets.shards.iter();
        shards
            .map(|shard| shard.lock().unwrap().full_at.len())
            .sum()
    }

    #[test]
    fn a_burst_is_taken_at_once_and_then_the_rate_holds() {
        let (buckets, began) = buckets(Rate::new(10, 3));
        for _ in 0..3 {
            assert_eq!(buckets.take("a", began), Ok(()));
        }
        let wait = buckets.take("a", began).unwrap_err();
        assert_eq!(wait, Duration::from_millis(100));
        // A refusal takes nothing, and the wait is exact.
        assert_eq!(buckets.take("a", began), Err(wait));
        let early = began + wait - Duration::from_nanos(1);
        assert_eq!(buckets.take("a", early), Err(Duration::from_nanos(1)));
        assert_eq!(buckets.take("a", began + wait), Ok(()));
        assert!(buckets.take("a", began + wait).is_err());
        assert_eq!(buckets.take("b", began), Ok(()), "another's bucket");
    }

    #[test]
    fn what_is_not_taken_for_a_while_does_not_add_up() {
        let (buckets, began) = buckets(Rate::new(10, 3));
        let later = began + Duration::from_secs(3_600);
        for _ in 0..3 {
            assert_eq!(buckets.take("a", later), Ok(()));
        }
        assert!(buckets.take("a", later).is_err());
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let (buckets, began) = buckets(Rate::new(1, 1));
        assert_eq!(buckets.take("a", began), Ok(()));
        buckets.give_back("a", began);
        assert_eq!(buckets.take("a", began), Ok(()));
        assert!(buckets.take("a", began).is_err());
    }

    #[test]
    fn without_a_limit_nothing_is_kept() {
        let (buckets, began) = buckets(Rate::OFF);
        for who in 0..1_000 {
            assert_eq!(buckets.take(who, began), Ok(()));
        }
        assert_eq!(held(&buckets), 0);
    }

    #[test]
    fn whoever_comes_when_there_is_no_room_shares_and_memory_stays_bounded() {
        let (buckets, began) = buckets(Rate::new(1, 5));
        let crowd = 2 * SHARDS * SHARD_MAX;
        let served = (0..crowd).filter(|who| buckets.take(who, began).is_ok());
        let served = served.count();
        assert_eq!(served, SHARDS * (SHARD_MAX + 5));
        assert!(
            held(&buckets) <= SHARDS * (SHARD_MAX + 1),
            "{}",
            held(&buckets)
        );
        // Whoever has a bucket keeps it.
        assert_eq!(buckets.take(0_usize, began), Ok(()));
        // A moment later theirs are full again, and there is room.
        let later = began + Duration::from_secs(6);
        for who in 0..100 {
            assert_eq!(buckets.take(format!("new {who}"), later), Ok(()));
        }
        assert!(held(&buckets) < SHARDS * SHARD_MAX);
    }
}
