//! What a relay holds of one environment beside the ruleset itself: what the
//! hub needs to serve differences from it. Pure; time is a parameter.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use burgee_evaluator::{Applied, ItemId, RulesetState};
use burgee_hub::{EnvironmentDelta, EnvironmentLoad, Tombstone};

/// A receiver that was away for longer gets a snapshot.
const TOMBSTONE_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// More are never kept; the oldest go first.
const TOMBSTONES_MAX: usize = 10_000;

/// One environment as upstream delivered it.
#[derive(Debug, Clone)]
pub struct Held {
    state: RulesetState,
    /// Removals up to this revision are not known.
    floor: u64,
    tombstones: BTreeMap<ItemId, Grave>,
    committed_at: Option<SystemTime>,
}

/// When an item went.
#[derive(Debug, Clone, Copy)]
struct Grave {
    revision: u64,
    dug_at: SystemTime,
}

/// What the hub is told.
#[derive(Debug)]
pub enum News {
    /// Everything anew.
    Whole(EnvironmentLoad),
    /// What changed.
    Delta(EnvironmentDelta),
}

impl Held {
    /// What a snapshot or a file gives: it says nothing of what went before.
    #[must_use]
    pub fn new(state: RulesetState) -> Self {
        Self {
            floor: state.position().revision,
            state,
            tombstones: BTreeMap::new(),
            committed_at: None,
        }
    }

    /// The ruleset.
    #[must_use]
    pub fn state(&self) -> &RulesetState {
        &self.state
    }

    /// Moves to the next state, which `change` led to, and says what to tell.
    pub fn advance(&mut self, next: &RulesetState, change: &Applied, now: SystemTime) -> News {
        let from = self.state.position();
        let to = next.position();
        if to.epoch != from.epoch {
            *self = Self::new(next.clone());
            return News::Whole(self.load());
        }
        let before = std::mem::replace(&mut self.state, next.clone());
        match change {
            Applied::Whole => {
                self.committed_at = None;
                self.tombstones
                    .retain(|id, _| next.get(id.kind, &id.key).is_none());
                self.bury(vanished(&before, next), to.revision, now);
                News::Whole(self.load())
            }
            Applied::Delta {
                upserted,
                removed,
                committed_at,
            } => {
                self.committed_at = committed_at.and_then(|time| time.try_into().ok());
                for item in upserted {
                    self.tombstones.remove(&ItemId::from(&**item));
                }
                self.bury(removed.clone(), to.revision, now);
                News::Delta(EnvironmentDelta {
                    environment: next.environment().to_owned(),
                    from,
                    position: to,
                    upserted: upserted.clone(),
                    removed: removed
                        .iter()
                        .map(|id| tombstone(id, to.revision))
                        .collect(),
                    committed_at: self.committed_at,
                })
            }
        }
    }

    /// Everything, for a hub that holds nothing of it.
    #[must_use]
    pub fn load(&self) -> EnvironmentLoad {
        EnvironmentLoad {
            environment: self.state.environment().to_owned(),
            position: self.state.position(),
            floor: self.floor,
            items: self.state.items().cloned().collect(),
            tombstones: self
                .tombstones
                .iter()
                .map(|(id, grave)| tombstone(id, grave.revision))
                .collect(),
            committed_at: self.committed_at,
        }
    }

    fn bury(&mut self, gone: Vec<ItemId>, revision: u64, dug_at: SystemTime) {
        let grave = Grave { revision, dug_at };
        self.tombstones
            .extend(gone.into_iter().map(|id| (id, grave)));
        self.forget(dug_at);
    }

    /// Drops what is too old or too much, and raises the floor over it.
    fn forget(&mut self, now: SystemTime) {
        let mut floor = self.floor;
        // A clock that jumped back makes nothing old.
        let is_old = |grave: &Grave| {
            now.duration_since(grave.dug_at)
                .is_ok_and(|age| age > TOMBSTONE_LIFE)
        };
        for grave in self.tombstones.values().filter(|grave| is_old(grave)) {
            floor = floor.max(grave.revision);
        }
        let surplus = self.tombstones.len().saturating_sub(TOMBSTONES_MAX);
        if surplus > 0 {
            let mut revisions: Vec<u64> = self
                .tombstones
                .values()
                .map(|grave| grave.revision)
                .collect();
            revisions.sort_unstable();
            floor = floor.max(revisions.get(surplus - 1).copied().unwrap_or_default());
        }
        if floor > self.floor {
            self.floor = floor;
            self.tombstones.retain(|_, grave| grave.revision > floor);
        }
    }
}

/// What one state has and another lacks.
fn vanished(before: &RulesetState, after: &RulesetState) -> Vec<ItemId> {
    let kept: BTreeSet<(i32, &str)> = after.items().map(|item| (item.kind, &*item.key)).collect();
    before
        .items()
        .filter(|item| !kept.contains(&(item.kind, &*item.key)))
        .map(|item| ItemId::from(&**item))
        .collect()
}

fn tombstone(id: &ItemId, revision: u64) -> Tombstone {
    Tombstone {
        kind: id.kind,
        key: id.key.clone(),
        revision,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use burgee_proto::sync::v1::{Item, ItemKind};
    use burgee_proto::types::v1::Position;

    use super::*;

    fn state(epoch: u64, revision: u64, keys: &[&str]) -> RulesetState {
        let items = keys.iter().map(|key| {
            Arc::new(Item {
                kind: ItemKind::Flag.into(),
                key: (*key).into(),
                revision: 1,
                level: 1,
                body: Vec::new().into(),
            })
        });
        RulesetState::new("e", Position { epoch, revision }, items)
    }

    fn delta(removed: &[&str]) -> Applied {
        Applied::Delta {
            upserted: Vec::new(),
            removed: removed
                .iter()
                .map(|key| ItemId::new(ItemKind::Flag, *key))
                .collect(),
            committed_at: None,
        }
    }

    fn graves(load: &EnvironmentLoad) -> Vec<(&str, u64)> {
        load.tombstones
            .iter()
            .map(|tombstone| (&*tombstone.key, tombstone.revision))
            .collect()
    }

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    #[test]
    fn a_snapshot_is_its_own_floor() {
        let load = Held::new(state(1, 7, &["a"])).load();
        assert_eq!((load.floor, load.position.revision), (7, 7));
        assert_eq!(load.items.len(), 1);
        assert!(load.tombstones.is_empty());
    }

    #[test]
    fn a_delta_buries_what_it_removes_at_its_own_revision() {
        let mut held = Held::new(state(1, 7, &["a", "b"]));
        let news = held.advance(&state(1, 9, &["b"]), &delta(&["a"]), NOW);
        let News::Delta(told) = news else {
            panic!("a delta is passed on as one");
        };
        assert_eq!((told.from.revision, told.position.revision), (7, 9));
        assert_eq!(
            told.removed,
            [tombstone(&ItemId::new(ItemKind::Flag, "a"), 9)]
        );
        let load = held.load();
        assert_eq!(load.floor, 7);
        assert_eq!(graves(&load), [("a", 9)]);
    }

    #[test]
    fn a_later_snapshot_of_the_same_epoch_keeps_the_floor_and_buries_what_vanished() {
        let mut held = Held::new(state(1, 7, &["a", "b", "c"]));
        held.advance(&state(1, 8, &["a", "b"]), &delta(&["c"]), NOW);
        let News::Whole(load) = held.advance(&state(1, 12, &["b"]), &Applied::Whole, NOW) else {
            panic!("a snapshot is told whole");
        };
        assert_eq!(load.floor, 7);
        assert_eq!(graves(&load), [("a", 12), ("c", 8)]);
    }

    #[test]
    fn a_new_epoch_begins_anew() {
        let mut held = Held::new(state(1, 700, &["a", "b"]));
        held.advance(&state(1, 701, &["b"]), &delta(&["a"]), NOW);
        let News::Whole(load) = held.advance(&state(2, 3, &["b"]), &Applied::Whole, NOW) else {
            panic!("a snapshot is told whole");
        };
        assert_eq!(load.floor, 3);
        assert!(load.tombstones.is_empty());
    }

    #[test]
    fn what_comes_back_leaves_its_grave() {
        let mut held = Held::new(state(1, 7, &["a"]));
        held.advance(&state(1, 8, &[]), &delta(&["a"]), NOW);
        let back = state(1, 9, &["a"]);
        let upserted = back.items().cloned().collect();
        let change = Applied::Delta {
            upserted,
            removed: Vec::new(),
            committed_at: None,
        };
        held.advance(&back, &change, NOW);
        assert!(held.load().tombstones.is_empty());
    }

    #[test]
    fn old_graves_raise_the_floor() {
        let mut held = Held::new(state(1, 7, &["a", "b"]));
        held.advance(&state(1, 8, &["b"]), &delta(&["a"]), NOW);
        let later = NOW + TOMBSTONE_LIFE + Duration::from_secs(1);
        held.advance(&state(1, 9, &[]), &delta(&["b"]), later);
        let load = held.load();
        assert_eq!(load.floor, 8);
        assert_eq!(graves(&load), [("b", 9)]);
    }

    #[test]
    fn too_many_graves_raise_the_floor() {
        let keys: Vec<String> = (0..=TOMBSTONES_MAX).map(|n| format!("{n:05}")).collect();
        let names: Vec<&str> = keys.iter().map(String::as_str).collect();
        let (first, others) = names.split_first().unwrap();
        let mut held = Held::new(state(1, 7, &names));
        held.advance(&state(1, 8, others), &delta(&[first]), NOW);
        held.advance(&state(1, 9, &[]), &delta(others), NOW);
        let load = held.load();
        assert_eq!(load.floor, 8);
        assert_eq!(load.tombstones.len(), TOMBSTONES_MAX);
    }
}
