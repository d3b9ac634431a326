//! What a ruleset stream says: items, whole or as differences. Each message is
//! encoded once and shared by all streams that carry it.

use std::collections::VecDeque;
use std::time::SystemTime;

use burgee_proto::sync::v1::Goodbye;
use burgee_proto::types::v1::Position;
use bytes::Bytes;

use crate::encoding::{self, Encoded};
use crate::follower::{Begun, Topic};
use crate::refused::Refused;
use crate::state::{Deserved, EnvironmentState};

/// A ruleset, for one receiver.
pub(crate) struct RulesetTopic {
    resume_token: Bytes,
    with_access_keys: bool,
    /// What is to be sent next.
    outbox: VecDeque<Bytes>,
}

impl RulesetTopic {
    /// For a receiver that showed this token; with access keys for a relay.
    pub(crate) fn new(resume_token: Bytes, with_access_keys: bool) -> Self {
        Self {
            resume_token,
            with_access_keys,
            outbox: VecDeque::new(),
        }
    }

    fn send(&mut self, encoded: &Encoded) {
        self.outbox.extend(encoded.messages().iter().cloned());
    }

    fn send_snapshot(&mut self, state: &EnvironmentState) {
        self.send(&state.snapshot(self.with_access_keys));
    }

    /// Whether there was any for this receiver.
    fn send_difference(&mut self, state: &EnvironmentState, from: Position) -> bool {
        let difference = state.difference(from, self.with_access_keys);
        difference.map(|it| self.send(&it)).is_some()
    }
}

impl Topic for RulesetTopic {
    type Message = Bytes;

    async fn begin(&mut self, latest: &EnvironmentState) -> Result<Begun, Refused> {
        match latest.deserved(&self.resume_token, self.with_access_keys) {
            Deserved::Patience => return Ok(Begun::Ahead),
            Deserved::Bookmark => {}
            Deserved::Difference(from) => {
                self.send_difference(latest, from);
            }
            Deserved::Whole => self.send_snapshot(latest),
        }
        self.bookmark(latest);
        Ok(Begun::At(latest.position()))
    }

    async fn go_on(
        &mut self,
        latest: &EnvironmentState,
        held: Position,
    ) -> Result<Position, Refused> {
        if !latest.reaches_back_to(held) {
            self.send_snapshot(latest);
        } else if !self.send_difference(latest, held) {
            self.bookmark(latest);
        }
        Ok(latest.position())
    }

    fn bookmark(&mut self, latest: &EnvironmentState) {
        let now = SystemTime::now();
        let bookmark = encoding::bookmark(latest.ruleset(), self.with_access_keys, now);
        self.outbox.push_back(bookmark);
    }

    fn behind(&mut self, latest: &EnvironmentState) {
        let behind = encoding::behind(latest.ruleset(), SystemTime::now());
        self.outbox.push_back(behind);
    }

    fn goodbye(&mut self, latest: &EnvironmentState, goodbye: Goodbye) {
        let goodbye = encoding::goodbye(latest.ruleset(), goodbye);
        self.outbox.push_back(goodbye);
    }

    fn next(&mut self) -> Option<Bytes> {
        self.outbox.pop_front()
    }

    fn clear(&mut self) {
        self.outbox.clear();
    }
}
