//! When keys were last used. Noting a use costs an evaluation one load, and once a second a
//! store; whoever writes uses down, or passes them on, takes them now and then.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::keys::KeyHash;

/// Uses of keys that no loaded environment vouches for: more are not remembered.
const UNVOUCHED_MAX: usize = 10_000;

/// When a key was last used, to the second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// The key's SHA-256.
    pub hash: KeyHash,
    /// A loaded environment that vouches for the key, if one does.
    pub environment: Option<Arc<str>>,
    /// When.
    pub last_used_at: SystemTime,
}

/// When one key was last used, in seconds since 1970. 0: not since that was taken.
#[derive(Debug, Default)]
pub(crate) struct LastUse(AtomicU64);

/// When keys were last used that no loaded environment vouches for (any more).
#[derive(Debug, Default)]
pub(crate) struct Unvouched(Mutex<HashMap<KeyHash, u64>>);

impl LastUse {
    /// The key was used. Those who evaluate at the same time share what they read, and write once
    /// a second.
    pub(crate) fn note(&self, at: SystemTime) {
        let at = seconds(at);
        if self.0.load(Ordering::Relaxed) < at {
            self.0.fetch_max(at, Ordering::Relaxed);
        }
    }

    /// When it was, if it was since the last time that this was asked.
    pub(crate) fn take(&self) -> Option<SystemTime> {
        let used = self.0.load(Ordering::Relaxed) != 0;
        used.then(|| time(self.0.swap(0, Ordering::Relaxed)))
    }
}

impl Unvouched {
    /// A key was used.
    pub(crate) fn note(&self, hash: KeyHash, at: SystemTime) {
        let mut uses = self.held();
        if uses.len() < UNVOUCHED_MAX || uses.contains_key(&hash) {
            let last = uses.entry(hash).or_default();
            *last = seconds(at).max(*last);
        }
    }

    /// All uses since the last time that this was asked.
    pub(crate) fn take(&self) -> Vec<KeyUse> {
        let uses = std::mem::take(&mut *self.held());
        let uses = uses.into_iter().map(|(hash, at)| KeyUse {
            hash,
            environment: None,
            last_used_at: time(at),
        });
        uses.collect()
    }

    fn held(&self) -> MutexGuard<'_, HashMap<KeyHash, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

fn time(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_use_is_taken_once() {
        let last = LastUse::default();
        assert_eq!(last.take(), None);
        for seconds in [5, 9, 7] {
            last.note(time(seconds));
        }
        assert_eq!(last.take(), Some(time(9)));
        assert_eq!(last.take(), None);
        last.note(time(7));
        assert_eq!(last.take(), Some(time(7)));
    }

    #[test]
    fn what_nobody_vouches_for_is_bounded() {
        let uses = Unvouched::default();
        for number in 0..2 * u32::try_from(UNVOUCHED_MAX).unwrap() {
            let mut hash = KeyHash::default();
            hash[..4].copy_from_slice(&number.to_be_bytes());
            uses.note(hash, time(1));
        }
        uses.note(KeyHash::default(), time(3));
        let taken = uses.take();
        assert_eq!(taken.len(), UNVOUCHED_MAX);
        let first = taken.iter().find(|it| it.hash == KeyHash::default());
        assert_eq!(first.unwrap().last_used_at, time(3));
        assert!(uses.take().is_empty());
    }
}
