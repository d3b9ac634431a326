//! What the design says a receiver does, written plainly: whole maps instead of
//! shared lists, every hash made anew.

use std::collections::BTreeMap;

use burgee_proto::sync::v1::ruleset_update::Message;
use burgee_proto::sync::v1::{Item, ItemKey, ItemKind, RulesetUpdate};
use burgee_proto::types::v1::Position;
use sha2::{Digest, Sha256};

const ACCESS_KEY: i32 = ItemKind::AccessKey as i32;

/// Items by kind and key.
pub(super) type Items = BTreeMap<(i32, String), Item>;

#[derive(Clone, Default)]
pub(super) struct Model {
    pub(super) environment: Option<String>,
    pub(super) with_access_keys: bool,
    pub(super) held: Option<Held>,
    pub(super) staged: Option<Staged>,
}

#[derive(Clone)]
pub(super) struct Held {
    pub(super) position: Position,
    pub(super) items: Items,
}

/// Parts of a snapshot or delta, and how it would leave the ruleset.
#[derive(Clone)]
pub(super) struct Staged {
    environment: String,
    pub(super) position: Position,
    pub(super) from: Option<Position>,
    upserted: Vec<Item>,
    removed: Vec<ItemKey>,
}

/// What a message does.
pub(super) enum Step {
    Nothing,
    Staged(Staged),
    /// It leads here, if its hashes are right.
    Swapped(Held),
    Goodbye,
    Refused,
}

impl Model {
    /// What a message would do, its hashes apart.
    pub(super) fn step(&self, update: &RulesetUpdate) -> Step {
        let staged_environment = self.staged.as_ref().map(|staged| &staged.environment);
        let expected = self.environment.as_ref().or(staged_environment);
        let is_other = expected.is_some_and(|expected| *expected != update.environment);
        if update.environment.is_empty() || is_other {
            return Step::Refused;
        }
        match &update.message {
            None => return Step::Refused,
            Some(Message::Goodbye(_)) => return Step::Goodbye,
            Some(Message::Bookmark(bookmark)) if bookmark.behind => return Step::Nothing,
            _ => {}
        }
        let held = self.held.as_ref().map(|held| held.position);
        let step = update
            .position
            .filter(|position| held.is_none_or(|held| *position >= held))
            .and_then(|position| self.step_to(position, update));
        step.unwrap_or(Step::Refused)
    }

    /// None: refused.
    fn step_to(&self, position: Position, update: &RulesetUpdate) -> Option<Step> {
        match update.message.as_ref()? {
            Message::Bookmark(_) => {
                let items = self.held.as_ref()?.items.clone();
                let is_whole = self.staged.is_none();
                is_whole.then_some(Step::Swapped(Held { position, items }))
            }
            Message::Snapshot(snapshot) => {
                let staged = self.stage(update, position, None, &snapshot.items, &[])?;
                Some(if snapshot.last_chunk {
                    Step::Swapped(staged.onto(Items::new()))
                } else {
                    Step::Staged(staged)
                })
            }
            Message::Delta(delta) => {
                let held = self.held.as_ref()?;
                let from = delta.from.filter(|from| *from == held.position)?;
                if position == from {
                    return None;
                }
                let (upserted, removed) = (&delta.upserted, &delta.removed);
                let staged = self.stage(update, position, Some(from), upserted, removed)?;
                Some(if delta.more {
                    Step::Staged(staged)
                } else {
                    Step::Swapped(staged.onto(held.items.clone()))
                })
            }
            Message::Goodbye(_) => None,
        }
    }

    fn stage(
        &self,
        update: &RulesetUpdate,
        position: Position,
        from: Option<Position>,
        upserted: &[Item],
        removed: &[ItemKey],
    ) -> Option<Staged> {
        let levels = upserted.iter().map(|item| (item.kind, item.level));
        let mut all = levels.chain(removed.iter().map(|key| (key.kind, 0)));
        let is_sound = all.all(|(kind, level)| {
            let may_come = kind != ACCESS_KEY || self.with_access_keys;
            (1..=255).contains(&kind) && level <= 255 && may_come
        });
        let mut staged = match &self.staged {
            Some(staged) => staged.clone(),
            None => Staged {
                environment: update.environment.clone(),
                position,
                from,
                upserted: Vec::new(),
                removed: Vec::new(),
            },
        };
        staged.upserted.extend_from_slice(upserted);
        staged.removed.extend_from_slice(removed);
        let belongs = staged.position == position && staged.from == from;
        (is_sound && belongs).then_some(staged)
    }

    /// Goes there, or stays: who is refused loses what was staged.
    pub(super) fn take(&mut self, step: Step, update: &RulesetUpdate) {
        match step {
            Step::Nothing | Step::Goodbye => {}
            Step::Staged(staged) => self.staged = Some(staged),
            Step::Swapped(held) => {
                self.environment = Some(update.environment.clone());
                self.held = Some(held);
                self.staged = None;
            }
            Step::Refused => self.staged = None,
        }
    }
}

impl Staged {
    fn onto(self, mut items: Items) -> Held {
        let upserted = self.upserted.into_iter();
        items.extend(upserted.map(|item| ((item.kind, item.key.clone()), item)));
        for key in self.removed {
            items.remove(&(key.kind, key.key));
        }
        Held {
            position: self.position,
            items,
        }
    }
}

impl Held {
    /// The hash over everything but access keys.
    pub(super) fn state_hash(&self, environment: &str) -> Vec<u8> {
        self.hash(environment, |kind| kind != ACCESS_KEY)
    }

    /// The hash over access keys.
    pub(super) fn access_hash(&self, environment: &str) -> Vec<u8> {
        self.hash(environment, |kind| kind == ACCESS_KEY)
    }

    fn hash(&self, environment: &str, covers: impl Fn(i32) -> bool) -> Vec<u8> {
        let mut combined = [0_u8; 16];
        for item in self.items.values().filter(|item| covers(item.kind)) {
            let mut text = vec![u8::try_from(item.kind).expect("one byte")];
            text.extend_from_slice(item.key.as_bytes());
            text.extend([0, u8::try_from(item.level).expect("one byte")]);
            text.extend_from_slice(&item.body);
            for (byte, other) in combined.iter_mut().zip(Sha256::digest(&text)) {
                *byte ^= other;
            }
        }
        let mut text = environment.as_bytes().to_vec();
        text.extend(self.position.epoch.to_be_bytes());
        text.extend(self.position.revision.to_be_bytes());
        text.extend(combined);
        Sha256::digest(&text)[..16].to_vec()
    }
}
