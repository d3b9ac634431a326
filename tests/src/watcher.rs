//! Follows a ruleset stream as an SDK would, and checks every message of it:
//! nothing is missing, nothing comes twice, nothing goes backwards, and every
//! hash fits. The checks are written anew from `sync.proto` and share no code
//! with the receivers that the product ships, which see the same messages and
//! must come to the same state.

use std::collections::BTreeMap;
use std::time::Duration;

use burgee_evaluator::{Receiver, Refusal, RulesetState};
use burgee_proto::sync::v1::{GoodbyeReason, Item, ItemKind, WatchRulesetRequest};
use burgee_proto::types::v1::{Flag, Position, Segment};
use prost::Message as _;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Code, Status};

use crate::callers::Caller;
use crate::wait::{SOON, within};

mod ledger;

pub use ledger::{Kind, Ledger, Seen};

/// Between the end of a stream and the next attempt.
const RECONNECT_AFTER: Duration = Duration::from_millis(20);

/// A stream that is followed until this is dropped, reconnecting with the last
/// resume token.
pub struct RulesetWatcher {
    caller: watch::Sender<Caller>,
    record: watch::Receiver<Record>,
    _ends: DropGuard,
}

/// What has been received so far.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// What the receiver holds, and every message that brought it there.
    pub ledger: Ledger,
    /// How each stream ended, oldest first.
    pub ends: Vec<End>,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With a goodbye.
    Goodbye(GoodbyeReason),
    /// With an error.
    Refused(Code),
    /// Without a word.
    Closed,
}

impl RulesetWatcher {
    /// Follows the one environment of this caller's key.
    #[must_use]
    pub fn follow(caller: &Caller) -> Self {
        Self::start(caller, "")
    }

    /// Follows one of the environments of this caller's relay key.
    #[must_use]
    pub fn follow_environment(caller: &Caller, uid: &str) -> Self {
        Self::start(caller, uid)
    }

    fn start(caller: &Caller, environment: &str) -> Self {
        let callers = watch::Sender::new(caller.clone());
        let (records, record) = watch::channel(Record::default());
        let end = CancellationToken::new();
        let named = (!environment.is_empty()).then(|| environment.to_owned());
        // Whoever may name an environment holds a relay key.
        let receiver = Receiver::new(named.clone(), named.is_some());
        let follow = follow(
            callers.subscribe(),
            environment.to_owned(),
            receiver,
            records,
        );
        tokio::spawn(end.clone().run_until_cancelled_owned(follow));
        Self {
            caller: callers,
            record,
            _ends: end.drop_guard(),
        }
    }

    /// Ends today's stream, and goes on with `caller`, perhaps at another
    /// server or relay, with the same resume token.
    pub fn move_to(&self, caller: &Caller) {
        self.caller.send_replace(caller.clone());
    }

    /// What has been received so far.
    ///
    /// # Panics
    ///
    /// When a message broke a rule of the protocol.
    #[must_use]
    pub fn record(&self) -> Record {
        let record = self.record.borrow().clone();
        record.ledger.assert_sound();
        record
    }

    /// What is held now.
    #[must_use]
    pub fn position(&self) -> Position {
        self.record().ledger.position
    }

    /// Waits until `condition` holds for what was received, and gives that.
    ///
    /// # Panics
    ///
    /// When it does not come soon, or a message broke a rule of the protocol.
    pub async fn wait_for(&self, what: &str, condition: impl Fn(&Record) -> bool) -> Record {
        self.wait_within(SOON, what, condition).await
    }

    /// As [`RulesetWatcher::wait_for`], with a deadline of its own.
    pub async fn wait_within(
        &self,
        deadline: Duration,
        what: &str,
        condition: impl Fn(&Record) -> bool,
    ) -> Record {
        let mut record = self.record.clone();
        let stop = |record: &Record| !record.ledger.violations.is_empty() || condition(record);
        let found = within(what, deadline, record.wait_for(stop)).await;
        let found = found
            .expect("the watcher runs as long as it is held")
            .clone();
        found.ledger.assert_sound();
        found
    }

    /// Waits until it holds `position` or a newer one.
    pub async fn reaches(&self, position: Position) -> Record {
        let what = format!("the stream reaches {position:?}");
        self.wait_for(&what, |record| record.ledger.position >= position)
            .await
    }

    /// Waits until it holds anything.
    pub async fn synchronised(&self) -> Record {
        self.wait_for("a first synchronisation", |record| {
            record.ledger.position != Position::default()
        })
        .await
    }

    /// Waits until a flag is as `condition` wants it.
    pub async fn flag(&self, key: &str, condition: impl Fn(&Flag) -> bool) -> Record {
        let what = format!("flag {key} as wanted");
        self.wait_for(&what, |record| {
            record.ledger.flag(key).is_some_and(|flag| condition(&flag))
        })
        .await
    }

    /// Waits until a stream has ended so.
    pub async fn ends_with(&self, deadline: Duration, end: End) -> Record {
        let what = format!("the stream ends with {end:?}");
        self.wait_within(deadline, &what, |record| record.ends.contains(&end))
            .await
    }
}

impl Ledger {
    /// A flag that is held.
    #[must_use]
    pub fn flag(&self, key: &str) -> Option<Flag> {
        let item = self.item(ItemKind::Flag, key)?;
        Some(Flag::decode(item.body.clone()).unwrap())
    }

    /// A segment that is held.
    #[must_use]
    pub fn segment(&self, key: &str) -> Option<Segment> {
        let item = self.item(ItemKind::Segment, key)?;
        Some(Segment::decode(item.body.clone()).unwrap())
    }

    /// An item that is held.
    #[must_use]
    pub fn item(&self, kind: ItemKind, key: &str) -> Option<&Item> {
        self.items.get(&(kind.into(), key.to_owned()))
    }

    /// The receiver that the product ships must have come to the same.
    fn compare(&mut self, state: Option<&RulesetState>, refusal: Option<Refusal>) {
        if let Some(refusal) = refusal {
            self.violations
                .push(format!("the receiver refuses: {refusal}"));
        }
        let held = state.map(RulesetState::position).unwrap_or_default();
        let items = state.map_or(0, |state| state.items().count());
        if held != self.position || items != self.items.len() {
            let expected = (self.position, self.items.len());
            self.violations.push(format!(
                "the receiver holds {held:?}, {items} items, not {expected:?}"
            ));
        }
    }

    /// The positions that were reached, in the order in which they were.
    #[must_use]
    pub fn positions(&self) -> Vec<Position> {
        let complete = |seen: &&Seen| seen.complete;
        self.seen
            .iter()
            .filter(complete)
            .map(|seen| seen.position)
            .collect()
    }

    /// How many messages there were of each kind.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Kind, usize> {
        let mut counts = BTreeMap::new();
        for seen in &self.seen {
            *counts.entry(seen.kind).or_default() += 1;
        }
        counts
    }
}

async fn follow(
    mut callers: watch::Receiver<Caller>,
    environment: String,
    mut receiver: Receiver,
    records: watch::Sender<Record>,
) {
    loop {
        let caller = callers.borrow_and_update().clone();
        tokio::select! {
            end = one_stream(&caller, &environment, &mut receiver, &records) => {
                records.send_modify(|record| record.ends.push(end));
                tokio::time::sleep(RECONNECT_AFTER).await;
            }
            moved = callers.changed() => if moved.is_err() { return },
        }
    }
}

async fn one_stream(
    caller: &Caller,
    environment: &str,
    receiver: &mut Receiver,
    records: &watch::Sender<Record>,
) -> End {
    let request = WatchRulesetRequest {
        environment: environment.to_owned(),
        resume_token: records.borrow().ledger.resume_token.clone(),
        client: None,
    };
    records.send_modify(|record| record.ledger.begin_stream());
    receiver.begin_stream();
    let refused = |status: Status| End::Refused(status.code());
    let mut stream = match caller.sync().watch_ruleset(request).await {
        Ok(response) => response.into_inner(),
        Err(status) => return refused(status),
    };
    let mut goodbye = None;
    loop {
        match stream.message().await {
            Ok(Some(response)) => records.send_modify(|record| {
                let update = response.update.unwrap_or_default();
                goodbye = record.ledger.receive(update.clone());
                let refusal = receiver.receive(update).err();
                record.ledger.compare(receiver.state(), refusal);
            }),
            Ok(None) => return goodbye.map_or(End::Closed, End::Goodbye),
            Err(status) => return goodbye.map_or_else(|| refused(status), End::Goodbye),
        }
    }
}
