//! One stream of ruleset messages. It is pulled: nothing runs for a stream that
//! has nothing to send, and dropping it is the only clean-up there is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use burgee_proto::sync::v1::GoodbyeReason;
use burgee_proto::types::v1::Position;
use bytes::Bytes;
use futures_core::Stream;
use futures_util::stream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use crate::core::{CATCH_UP_EACH, Core};
use crate::encoding;
use crate::environment::Attached;
use crate::pace::{Pace, reconnect_after};
use crate::state::{Deserved, EnvironmentState};
use crate::streams::{Registered, Registration, StreamHandle};

/// What a stream is for.
pub(crate) struct Opening {
    /// The environment, kept while the stream lives.
    pub(crate) attached: Attached,
    /// The stream's place on the list.
    pub(crate) registration: Registration,
    /// What the receiver showed.
    pub(crate) resume_token: Bytes,
    /// The key is a relay's.
    pub(crate) with_access_keys: bool,
    /// Ends after the first synchronisation.
    pub(crate) finite: bool,
}

/// Opens a stream.
pub(crate) fn open(
    core: Arc<Core>,
    opening: Opening,
) -> impl Stream<Item = Result<Bytes, Status>> + Send + 'static {
    let Opening {
        attached,
        registration,
        resume_token,
        with_access_keys,
        finite,
    } = opening;
    let follower = Follower {
        latest: attached.environment().subscribe(),
        pace: Pace::new(&core.config),
        handle: registration.handle().clone(),
        core,
        attached,
        with_access_keys,
        finite,
        phase: Phase::Opening {
            resume_token,
            behind_since: None,
        },
        outbox: VecDeque::new(),
    };
    let messages = stream::unfold(follower, |mut follower| async move {
        let message = follower.next().await?;
        Some((Ok(message), follower))
    });
    Registered::new(registration, messages)
}

struct Follower {
    core: Arc<Core>,
    attached: Attached,
    latest: watch::Receiver<Arc<EnvironmentState>>,
    handle: Arc<StreamHandle>,
    with_access_keys: bool,
    finite: bool,
    phase: Phase,
    /// What is to be sent next.
    outbox: VecDeque<Bytes>,
    pace: Pace,
}

enum Phase {
    /// Nothing was sent yet that the receiver can hold.
    Opening {
        resume_token: Bytes,
        /// The receiver has been found ahead of this hop.
        behind_since: Option<Instant>,
    },
    /// The receiver holds this position, once it has taken the outbox.
    Following { held: Position },
    /// Nothing follows the outbox.
    Ended,
}

impl Follower {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            self.heed_ending();
            if let Some(message) = self.outbox.pop_front() {
                self.pace.sent();
                return Some(message);
            }
            match self.phase {
                Phase::Opening { .. } => self.open().await,
                Phase::Following { held } => self.follow(held).await,
                Phase::Ended => return None,
            }
        }
    }

    /// Says goodbye if the stream was told to end: at once, for whoever must
    /// not be sent anything more; else after what is on its way.
    fn heed_ending(&mut self) {
        let Some(reason) = self.handle.ending() else {
            return;
        };
        if matches!(self.phase, Phase::Ended) {
            return;
        }
        if matches!(
            reason,
            GoodbyeReason::KeyRevoked | GoodbyeReason::EnvironmentDeleted
        ) {
            self.outbox.clear();
        }
        self.say_goodbye(reason);
    }

    fn say_goodbye(&mut self, reason: GoodbyeReason) {
        let state = self.latest.borrow().clone();
        let goodbye = encoding::goodbye(state.ruleset(), reason, reconnect_after(reason));
        self.outbox.push_back(goodbye);
        self.phase = Phase::Ended;
    }

    /// Sends what the resume token deserves.
    async fn open(&mut self) {
        let Phase::Opening {
            resume_token,
            behind_since,
        } = &self.phase
        else {
            return;
        };
        let behind_since = *behind_since;
        let state = self.latest.borrow_and_update().clone();
        match state.deserved(resume_token, self.with_access_keys) {
            Deserved::Patience => return self.wait_for_source(&state, behind_since).await,
            Deserved::Bookmark => {}
            Deserved::Difference(from) => self.send_difference(&state, from),
            Deserved::Whole => self.send_snapshot(&state),
        }
        self.send_bookmark(&state);
        self.phase = if self.finite {
            Phase::Ended
        } else {
            Phase::Following {
                held: state.position(),
            }
        };
    }

    /// The receiver is ahead: this hop reads its source, and says so meanwhile.
    async fn wait_for_source(&mut self, state: &EnvironmentState, since: Option<Instant>) {
        let now = Instant::now();
        let Some(since) = since else {
            self.core.catch_up(self.attached.environment());
            self.send_behind(state);
            if let Phase::Opening { behind_since, .. } = &mut self.phase {
                *behind_since = Some(now);
            }
            return;
        };
        let given_up_at = since + self.core.config.behind_max;
        if now >= given_up_at {
            return self.say_goodbye(GoodbyeReason::Behind);
        }
        if now >= self.pace.bookmark_at() {
            return self.send_behind(state);
        }
        let ask_again_at = now + CATCH_UP_EACH;
        let wake_at = ask_again_at.min(given_up_at).min(self.pace.bookmark_at());
        tokio::select! {
            () = self.handle.must_end() => {}
            // The other end lives as long as the environment is attached.
            _ = self.latest.changed() => {}
            () = sleep_until(wake_at) => self.core.catch_up(self.attached.environment()),
        }
    }

    /// Waits for the next thing to send.
    async fn follow(&mut self, held: Position) {
        let now = Instant::now();
        if now >= self.pace.ends_at() {
            return self.say_goodbye(GoodbyeReason::Rotate);
        }
        if now >= self.pace.bookmark_at() {
            let state = self.latest.borrow().clone();
            if state.position() == held {
                return self.send_bookmark(&state);
            }
        }
        tokio::select! {
            biased;
            () = self.handle.must_end() => return,
            changed = self.latest.changed() => {
                if changed.is_err() {
                    return self.say_goodbye(GoodbyeReason::Rotate);
                }
            }
            () = sleep_until(self.pace.wake_at()) => return,
        }
        // Of what else comes until then, only the last is sent.
        let due = self.latest.borrow().due();
        if due > Instant::now() {
            sleep_until(due).await;
        }
        let state = self.latest.borrow_and_update().clone();
        if state.position() == held {
            return;
        }
        if !state.reaches_back_to(held) {
            self.send_snapshot(&state);
        } else if state.difference(held, self.with_access_keys).is_some() {
            self.send_difference(&state, held);
        } else {
            self.send_bookmark(&state);
        }
        self.phase = Phase::Following {
            held: state.position(),
        };
    }

    fn send_snapshot(&mut self, state: &EnvironmentState) {
        let snapshot = state.snapshot(self.with_access_keys);
        self.outbox.extend(snapshot.messages().iter().cloned());
    }

    fn send_difference(&mut self, state: &EnvironmentState, from: Position) {
        if let Some(difference) = state.difference(from, self.with_access_keys) {
            self.outbox.extend(difference.messages().iter().cloned());
        }
    }

    fn send_bookmark(&mut self, state: &EnvironmentState) {
        let bookmark =
            encoding::bookmark(state.ruleset(), self.with_access_keys, SystemTime::now());
        self.outbox.push_back(bookmark);
    }

    fn send_behind(&mut self, state: &EnvironmentState) {
        let behind = encoding::behind(state.ruleset(), SystemTime::now());
        self.outbox.push_back(behind);
    }
}
