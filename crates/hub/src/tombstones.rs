//! What was removed, and how far back that is known.

use std::collections::BTreeMap;
use std::time::Duration;

use burgee_evaluator::ItemId;
use burgee_proto::sync::v1::ItemKey;
use tokio::time::Instant;

use crate::source::Tombstone;

/// A removal is remembered so long: whoever was away for longer gets a
/// snapshot.
const TOMBSTONE_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// And so many of them in an environment.
const TOMBSTONES_MAX: usize = 100_000;

/// The removals above a floor.
#[derive(Clone, Debug)]
pub(crate) struct Tombstones {
    floor: u64,
    removed: BTreeMap<ItemId, Removal>,
}

#[derive(Clone, Copy, Debug)]
struct Removal {
    revision: u64,
    learnt_at: Instant,
}

impl Tombstones {
    /// What a source knows.
    pub(crate) fn new(floor: u64, tombstones: Vec<Tombstone>, now: Instant) -> Self {
        let mut new = Self {
            floor,
            removed: BTreeMap::new(),
        };
        for tombstone in tombstones {
            new.remove(tombstone, now);
        }
        new
    }

    /// Removals above this revision are known.
    pub(crate) fn floor(&self) -> u64 {
        self.floor
    }

    /// An item is gone.
    pub(crate) fn remove(&mut self, tombstone: Tombstone, now: Instant) {
        let id = ItemId {
            kind: tombstone.kind,
            key: tombstone.key,
        };
        let removal = Removal {
            revision: tombstone.revision,
            learnt_at: now,
        };
        self.removed.insert(id, removal);
    }

    /// Whether an item's removal is known.
    pub(crate) fn contains(&self, id: &ItemId) -> bool {
        self.removed.contains_key(id)
    }

    /// An item is there again.
    pub(crate) fn revive(&mut self, id: &ItemId) {
        self.removed.remove(id);
    }

    /// Adds what an earlier state of the same epoch knew, and takes its floor
    /// if that is lower: together they know all that happened since.
    pub(crate) fn merge(&mut self, earlier: &Self) {
        self.floor = self.floor.min(earlier.floor);
        for (id, removal) in &earlier.removed {
            self.removed.entry(id.clone()).or_insert(*removal);
        }
    }

    /// Forgets what is too old or too much, and raises the floor to the newest
    /// of it.
    pub(crate) fn prune(&mut self, now: Instant) {
        let mut forgotten = self.removed.values().filter(|removal| {
            now.saturating_duration_since(removal.learnt_at) >= TOMBSTONE_AGE_MAX
        });
        let mut floor = forgotten.next().map(|removal| removal.revision);
        floor = forgotten.map(|removal| removal.revision).max().max(floor);
        if self.removed.len() > TOMBSTONES_MAX {
            let mut revisions: Vec<u64> = self
                .removed
                .values()
                .map(|removal| removal.revision)
                .collect();
            let surplus = revisions.len() - TOMBSTONES_MAX;
            let (_, highest, _) = revisions.select_nth_unstable(surplus - 1);
            floor = floor.max(Some(*highest));
        }
        if let Some(floor) = floor {
            self.floor = self.floor.max(floor);
            let floor = self.floor;
            self.removed.retain(|_, removal| removal.revision > floor);
        }
    }

    /// What was removed above a revision, which must not be below the floor.
    pub(crate) fn since(&self, revision: u64) -> impl Iterator<Item = ItemKey> {
        self.removed
            .iter()
            .filter(move |(_, removal)| removal.revision > revision)
            .map(|(id, _)| ItemKey {
                kind: id.kind,
                key: id.key.clone(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tombstone(key: &str, revision: u64) -> Tombstone {
        Tombstone {
            kind: 1,
            key: key.to_owned(),
            revision,
        }
    }

    fn since(tombstones: &Tombstones, revision: u64) -> Vec<String> {
        tombstones.since(revision).map(|key| key.key).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_removal_is_known_for_seven_days_and_then_raises_the_floor() {
        let start = Instant::now();
        let mut tombstones = Tombstones::new(2, vec![tombstone("a", 3)], start);
        let later = start + Duration::from_secs(24 * 60 * 60);
        tombstones.remove(tombstone("b", 5), later);
        tombstones.prune(start + TOMBSTONE_AGE_MAX - Duration::from_secs(1));
        assert_eq!((tombstones.floor(), since(&tombstones, 2).len()), (2, 2));
        tombstones.prune(start + TOMBSTONE_AGE_MAX);
        assert_eq!(tombstones.floor(), 3);
        assert_eq!(since(&tombstones, 3), ["b"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_two_states_of_an_epoch_know_reaches_back_to_the_lower_floor() {
        let now = Instant::now();
        let earlier = Tombstones::new(4, vec![tombstone("a", 5), tombstone("b", 6)], now);
        let mut later = Tombstones::new(9, vec![tombstone("b", 8)], now);
        later.merge(&earlier);
        assert_eq!(later.floor(), 4);
        assert_eq!(since(&later, 4), ["a", "b"]);
        assert_eq!(since(&later, 6), ["b"]);
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_removals_raise_the_floor() {
        let now = Instant::now();
        let revisions = 1..=u64::try_from(TOMBSTONES_MAX + 3).unwrap();
        let many = revisions.map(|revision| tombstone(&revision.to_string(), revision));
        let mut tombstones = Tombstones::new(0, many.collect(), now);
        tombstones.prune(now);
        assert_eq!(tombstones.floor(), 3);
        assert_eq!(since(&tombstones, 3).len(), TOMBSTONES_MAX);
    }
}
