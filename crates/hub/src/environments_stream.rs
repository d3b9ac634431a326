//! One stream that tells a relay which environments its key opens.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use burgee_proto::sync::v1::watch_environments_response::Message;
use burgee_proto::sync::v1::{
    Bookmark, EnvironmentSet, EnvironmentSetChange, GoodbyeReason, WatchEnvironmentsResponse,
};
use futures_core::Stream;
use futures_util::stream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use crate::authentication::Scope;
use crate::core::Core;
use crate::encoding;
use crate::lookups::ANSWER_AGE_MAX;
use crate::pace::{Pace, reconnect_after};
use crate::streams::{Registered, Registration, StreamHandle};

/// Opens a stream whose first message is `current`.
pub(crate) fn open(
    core: Arc<Core>,
    registration: Registration,
    keys_changed: watch::Receiver<()>,
    current: BTreeSet<Arc<str>>,
) -> impl Stream<Item = Result<WatchEnvironmentsResponse, Status>> + Send + 'static {
    let whole = EnvironmentSet {
        environments: current.iter().map(ToString::to_string).collect(),
    };
    let follower = Follower {
        pace: Pace::new(&core.config),
        handle: registration.handle().clone(),
        keys_changed,
        core,
        sent: current,
        outbox: VecDeque::from([Message::Current(whole)]),
        has_ended: false,
    };
    let messages = stream::unfold(follower, |mut follower| async move {
        let message = follower.next().await?;
        let response = WatchEnvironmentsResponse {
            message: Some(message),
        };
        Some((Ok(response), follower))
    });
    Registered::new(registration, messages)
}

struct Follower {
    core: Arc<Core>,
    handle: Arc<StreamHandle>,
    keys_changed: watch::Receiver<()>,
    /// What the relay knows, once it has taken the outbox.
    sent: BTreeSet<Arc<str>>,
    outbox: VecDeque<Message>,
    has_ended: bool,
    pace: Pace,
}

impl Follower {
    async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(reason) = self.handle.ending() {
                self.say_goodbye(reason);
            }
            if let Some(message) = self.outbox.pop_front() {
                self.pace.sent();
                return Some(message);
            }
            if self.has_ended {
                return None;
            }
            self.follow().await;
        }
    }

    fn say_goodbye(&mut self, reason: GoodbyeReason) {
        if !self.has_ended {
            let goodbye = encoding::farewell(reason, reconnect_after(reason));
            self.outbox.push_back(Message::Goodbye(goodbye));
            self.has_ended = true;
        }
    }

    /// Waits for the next thing to send.
    async fn follow(&mut self) {
        let now = Instant::now();
        if now >= self.pace.ends_at() {
            return self.say_goodbye(GoodbyeReason::Rotate);
        }
        if now >= self.pace.bookmark_at() {
            self.outbox.push_back(Message::Bookmark(Bookmark {
                server_time: Some(SystemTime::now().into()),
                behind: false,
            }));
            return;
        }
        // A key that no loaded environment vouches for has nobody to bring news
        // of it; deletions are no news of the key. So both are looked at again.
        let look_again_at = now + ANSWER_AGE_MAX;
        tokio::select! {
            biased;
            () = self.handle.must_end() => return,
            changed = self.keys_changed.changed() => {
                if changed.is_err() {
                    return self.say_goodbye(GoodbyeReason::Rotate);
                }
            }
            () = sleep_until(self.pace.wake_at().min(look_again_at)) => {}
        }
        match self.core.scope(&self.handle.holder.key).await {
            Scope::Open(environments) => self.send_change(environments),
            Scope::Ended => self.say_goodbye(GoodbyeReason::KeyRevoked),
            Scope::Unknown => {}
        }
    }

    fn send_change(&mut self, now: BTreeSet<Arc<str>>) {
        let added = now.difference(&self.sent).map(ToString::to_string);
        let removed = self.sent.difference(&now).map(ToString::to_string);
        let change = EnvironmentSetChange {
            added: added.collect(),
            removed: removed.collect(),
        };
        if !change.added.is_empty() || !change.removed.is_empty() {
            self.outbox.push_back(Message::Change(change));
            self.sent = now;
        }
    }
}
