//! What a sender may say: snapshots and deltas, whole and in parts, bookmarks,
//! lies and noise, against a plain model of a receiver.

use burgee_evaluator::{Received, Receiver, Refusal, Ruleset, RulesetState};
use burgee_proto::sync::v1::ruleset_update::Message;
use burgee_proto::sync::v1::{Bookmark, Delta, Goodbye, ItemKey, RulesetUpdate, Snapshot};
use burgee_proto::types::v1::Position;
use bytes::Bytes;
use prost::Message as _;

use super::builders::evaluate;
use super::generate::{FLAGS, Generator, KEYS};
use super::receiver_model::{Held, Model, Step};

const ENVIRONMENTS: &[&str] = &[
    "3f2b8c1e-0000-4000-8000-000000000001",
    "3f2b8c1e-0000-4000-8000-000000000002",
    "",
];
/// Messages of one input.
const UPDATES_MAX: usize = 64;

/// The first byte says whether the others are messages, each with its length,
/// or what messages are made of; and which key the stream belongs to.
pub fn updates(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    let mut scene = Scene::new(first & 1 == 1);
    match (first >> 1) % 3 {
        0 => {
            let mut rest = rest;
            while let Ok(update) = RulesetUpdate::decode_length_delimited(&mut rest) {
                let is_honest = first >= &128;
                scene.receive(update, is_honest);
            }
        }
        1 => scene.play(Generator::sound(rest)),
        _ => scene.play(Generator::wild(rest)),
    }
}

/// A receiver, its model, and the ruleset that is compiled on the way.
struct Scene {
    receiver: Receiver,
    model: Model,
    ruleset: Ruleset,
}

impl Scene {
    fn new(with_access_keys: bool) -> Self {
        Self {
            receiver: Receiver::new(None, with_access_keys),
            model: Model {
                with_access_keys,
                ..Model::default()
            },
            ruleset: Ruleset::default(),
        }
    }

    fn play(&mut self, mut generator: Generator<'_>) {
        for _ in 0..UPDATES_MAX {
            if generator.is_empty() {
                return;
            }
            if generator.once_in(32) {
                self.receiver.begin_stream();
                self.model.staged = None;
            }
            let update = generator.update(&self.model);
            let is_honest = !generator.once_in(16);
            self.receive(update, is_honest);
        }
    }

    /// Hands one message to both. An honest sender has hashed what it sends.
    fn receive(&mut self, mut update: RulesetUpdate, is_honest: bool) {
        let mut step = self.model.step(&update);
        if let Step::Swapped(held) = &step {
            let state_hash = held.state_hash(&update.environment);
            let access_hash = held.access_hash(&update.environment);
            if is_honest {
                update.state_hash = state_hash.into();
                update.access_hash = access_hash.into();
            } else if update.state_hash != state_hash
                || (self.model.with_access_keys && update.access_hash != access_hash)
            {
                step = Step::Refused;
            }
        }
        let token = self.receiver.resume_token();
        let outcome = self.receiver.receive(update.clone());
        self.check(&step, &outcome, &update, &token);
        self.model.take(step, &update);
        check_held(&self.receiver, &self.model);
    }

    fn check(
        &mut self,
        step: &Step,
        outcome: &Result<Received, Refusal>,
        update: &RulesetUpdate,
        token: &Bytes,
    ) {
        let mut wanted_token = token.clone();
        match (step, outcome) {
            (Step::Nothing | Step::Staged(_), Ok(Received::Nothing))
            | (Step::Goodbye, Ok(Received::Goodbye(_))) => {}
            (Step::Swapped(_), Ok(Received::Swapped { state, .. })) => {
                wanted_token.clone_from(&update.resume_token);
                self.compile(state);
            }
            (Step::Swapped(_), Ok(Received::Bookmark { moved, .. })) => {
                wanted_token.clone_from(&update.resume_token);
                let held = self.model.held.as_ref().map(|held| held.position);
                assert_eq!(*moved, held != update.position);
            }
            (Step::Refused, Err(Refusal::FromMismatch | Refusal::HashMismatch)) => {
                wanted_token.clear();
            }
            (Step::Refused, Err(_)) => {}
            _ => panic!("{update:?} led to {outcome:?}"),
        }
        assert_eq!(self.receiver.resume_token(), wanted_token);
    }

    /// Compiling change by change is compiling at once.
    fn compile(&mut self, state: &RulesetState) {
        let next = self.ruleset.recompile(state);
        let whole = Ruleset::compile(state);
        assert!(next.flag_keys().eq(whole.flag_keys()));
        let changed = next.changed_since(&self.ruleset);
        for key in FLAGS {
            assert_eq!(next.problem(key), whole.problem(key));
            let evaluated = evaluate(&next, key, KEYS[0]);
            assert_eq!(evaluated, evaluate(&whole, key, KEYS[0]));
            if !changed.iter().any(|changed| &**changed == *key) {
                assert_eq!(evaluated, evaluate(&self.ruleset, key, KEYS[0]));
            }
        }
        self.ruleset = next;
    }
}

/// That a receiver holds what its model does, item for item.
fn check_held(receiver: &Receiver, model: &Model) {
    let (state, held) = match (receiver.state(), &model.held) {
        (None, None) => return,
        (Some(state), Some(held)) => (state, held),
        _ => panic!("one of receiver and model holds nothing"),
    };
    assert_eq!(Some(state.environment()), model.environment.as_deref());
    assert_eq!(state.position(), held.position);
    assert!(state.items().map(|item| &**item).eq(held.items.values()));
    let environment = state.environment();
    assert_eq!(&state.state_hash()[..], held.state_hash(environment));
    assert_eq!(&state.access_hash()[..], held.access_hash(environment));
    for ((kind, key), item) in &held.items {
        assert_eq!(state.get(*kind, key).map(|item| &**item), Some(item));
    }
}

impl Generator<'_> {
    /// A message that mostly fits to what a receiver holds.
    fn update(&mut self, model: &Model) -> RulesetUpdate {
        let environment = if self.once_in(32) {
            self.pick(ENVIRONMENTS)
        } else {
            ENVIRONMENTS[0]
        };
        let position = self.position(model);
        let token = [self.below(256) as u8];
        RulesetUpdate {
            environment: environment.to_owned(),
            position: (!self.oddly()).then_some(position),
            message: (!self.oddly()).then(|| self.message(model)),
            resume_token: Bytes::copy_from_slice(&token),
            ..RulesetUpdate::default()
        }
    }

    /// That of what is staged, else higher than what is held; or any other.
    fn position(&mut self, model: &Model) -> Position {
        if self.once_in(12) {
            return self.any_position();
        }
        match (&model.staged, &model.held) {
            (Some(staged), _) => staged.position,
            (None, Some(Held { position, .. })) => Position {
                revision: position.revision.saturating_add(1 + self.below(3) as u64),
                ..*position
            },
            (None, None) => Position {
                epoch: 1,
                revision: 1,
            },
        }
    }

    fn any_position(&mut self) -> Position {
        let revision = self.pick(&[0, 1, 2, 3, 5, 9, u64::MAX]);
        Position {
            epoch: self.pick(&[0, 1, 2, u64::MAX]),
            revision,
        }
    }

    fn message(&mut self, model: &Model) -> Message {
        let goes_on = match &model.staged {
            Some(staged) => Some(staged.from.is_some()),
            None => model.held.is_none().then_some(false),
        };
        let is_delta = goes_on.unwrap_or_else(|| !self.once_in(4));
        match self.below(12) {
            9 => Message::Bookmark(Bookmark {
                behind: self.once_in(3),
                ..Bookmark::default()
            }),
            10 => Message::Goodbye(Goodbye::default()),
            11 => Message::Snapshot(self.snapshot()),
            _ if is_delta => Message::Delta(self.delta(model)),
            _ => Message::Snapshot(self.snapshot()),
        }
    }

    fn snapshot(&mut self) -> Snapshot {
        let items = self.items(5).into_iter();
        Snapshot {
            items: items.map(std::sync::Arc::unwrap_or_clone).collect(),
            last_chunk: !self.once_in(3),
        }
    }

    fn delta(&mut self, model: &Model) -> Delta {
        let held = model.held.as_ref().map(|held| held.position);
        let from = if self.once_in(16) {
            Some(self.any_position())
        } else {
            held
        };
        let items = self.items(3).into_iter();
        Delta {
            from: from.filter(|_| !self.oddly()),
            upserted: items.map(std::sync::Arc::unwrap_or_clone).collect(),
            removed: self.some(2, |it| {
                let item = it.item();
                ItemKey {
                    kind: item.kind,
                    key: item.key,
                }
            }),
            more: self.once_in(4),
            committed_at: None,
        }
    }
}
