//! One stream that follows an environment. It is pulled: nothing runs for a
//! stream that has nothing to send, and dropping it is the only clean-up there
//! is. What it says is its [`Topic`]'s; when it speaks, waits and ends is the
//! same for all.

use std::sync::Arc;

use burgee_proto::sync::v1::{Goodbye, GoodbyeReason};
use burgee_proto::types::v1::Position;
use futures_core::Stream;
use futures_util::stream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use crate::core::{CATCH_UP_EACH, Core};
use crate::encoding;
use crate::environment::Attached;
use crate::pace::{Pace, reconnect_after};
use crate::refused::Refused;
use crate::state::EnvironmentState;
use crate::streams::{Registered, Registration, StreamHandle};

/// What a stream says of its environment. Messages wait in it until the
/// receiver takes them.
pub(crate) trait Topic: Send + 'static {
    /// One message of the stream.
    type Message: Send + 'static;

    /// Queues what the receiver deserves that opens the stream.
    fn begin(
        &mut self,
        latest: &EnvironmentState,
    ) -> impl Future<Output = Result<Begun, Refused>> + Send;

    /// Queues what is new to a receiver of an older position, a bookmark if
    /// nothing is; and gives the position that it leads to.
    fn go_on(
        &mut self,
        latest: &EnvironmentState,
        held: Position,
    ) -> impl Future<Output = Result<Position, Refused>> + Send;

    /// Queues a sign of life for a receiver that holds everything.
    fn bookmark(&mut self, latest: &EnvironmentState);

    /// Queues a sign of life for a receiver that is ahead of this hop.
    fn behind(&mut self, latest: &EnvironmentState);

    /// Queues the last message.
    fn goodbye(&mut self, latest: &EnvironmentState, goodbye: Goodbye);

    /// What is to be sent next.
    fn next(&mut self) -> Option<Self::Message>;

    /// Lets go of what was queued: the receiver must not have it any more.
    fn clear(&mut self);
}

/// What a receiver begins with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// It holds this position, once it has taken what is queued.
    At(Position),
    /// It is ahead of this hop: nothing is queued until this one has caught up.
    Ahead,
}

/// What a stream is for.
pub(crate) struct Opening<T> {
    /// The environment, kept while the stream lives.
    pub(crate) attached: Attached,
    /// The stream's place on the list.
    pub(crate) registration: Registration,
    /// What it says.
    pub(crate) topic: T,
    /// Ends after the first synchronisation.
    pub(crate) finite: bool,
}

/// Opens a stream.
pub(crate) fn open<T: Topic>(
    core: Arc<Core>,
    opening: Opening<T>,
) -> impl Stream<Item = Result<T::Message, Status>> + Send + 'static {
    let Opening {
        attached,
        registration,
        topic,
        finite,
    } = opening;
    let follower = Follower {
        latest: attached.environment().subscribe(),
        pace: Pace::new(&core.config),
        handle: registration.handle().clone(),
        core,
        attached,
        topic,
        finite,
        phase: Phase::Opening { behind_since: None },
    };
    let messages = stream::unfold(follower, |mut follower| async move {
        let message = follower.next().await?;
        Some((message, follower))
    });
    Registered::new(registration, messages)
}

struct Follower<T> {
    core: Arc<Core>,
    attached: Attached,
    latest: watch::Receiver<Arc<EnvironmentState>>,
    handle: Arc<StreamHandle>,
    topic: T,
    finite: bool,
    phase: Phase,
    pace: Pace,
}

#[derive(Clone, Copy)]
enum Phase {
    /// Nothing was sent yet that the receiver can hold.
    Opening {
        /// The receiver has been found ahead of this hop.
        behind_since: Option<Instant>,
    },
    /// The receiver holds this position, once it has taken what is queued.
    Following { held: Position },
    /// Nothing follows what is queued.
    Ended,
}

impl<T: Topic> Follower<T> {
    async fn next(&mut self) -> Option<Result<T::Message, Status>> {
        loop {
            self.heed_ending();
            if let Some(message) = self.topic.next() {
                self.pace.sent();
                return Some(Ok(message));
            }
            let worked = match self.phase {
                Phase::Opening { behind_since } => self.open(behind_since).await,
                Phase::Following { held } => self.follow(held).await,
                Phase::Ended => return None,
            };
            if let Err(refused) = worked {
                self.phase = Phase::Ended;
                return Some(Err(refused.into()));
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
            self.topic.clear();
        }
        self.say_goodbye(reason);
    }

    fn say_goodbye(&mut self, reason: GoodbyeReason) {
        let state = self.latest.borrow().clone();
        let goodbye = encoding::farewell(reason, reconnect_after(reason));
        self.topic.goodbye(&state, goodbye);
        self.phase = Phase::Ended;
    }

    /// Sends what the receiver deserves.
    async fn open(&mut self, behind_since: Option<Instant>) -> Result<(), Refused> {
        let state = self.latest.borrow_and_update().clone();
        match self.topic.begin(&state).await? {
            Begun::Ahead => self.wait_for_source(&state, behind_since).await,
            Begun::At(_) if self.finite => self.phase = Phase::Ended,
            Begun::At(held) => self.phase = Phase::Following { held },
        }
        Ok(())
    }

    /// The receiver is ahead: this hop reads its source, and says so meanwhile.
    async fn wait_for_source(&mut self, state: &EnvironmentState, since: Option<Instant>) {
        let now = Instant::now();
        let Some(since) = since else {
            self.core.catch_up(self.attached.environment());
            self.topic.behind(state);
            self.phase = Phase::Opening {
                behind_since: Some(now),
            };
            return;
        };
        let given_up_at = since + self.core.config.behind_max;
        if now >= given_up_at {
            return self.say_goodbye(GoodbyeReason::Behind);
        }
        if now >= self.pace.bookmark_at() {
            return self.topic.behind(state);
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
    async fn follow(&mut self, held: Position) -> Result<(), Refused> {
        let now = Instant::now();
        if now >= self.pace.ends_at() {
            self.say_goodbye(GoodbyeReason::Rotate);
            return Ok(());
        }
        if now >= self.pace.bookmark_at() {
            let state = self.latest.borrow().clone();
            if state.position() == held {
                self.topic.bookmark(&state);
                return Ok(());
            }
        }
        tokio::select! {
            biased;
            () = self.handle.must_end() => return Ok(()),
            changed = self.latest.changed() => {
                if changed.is_err() {
                    self.say_goodbye(GoodbyeReason::Rotate);
                    return Ok(());
                }
            }
            () = sleep_until(self.pace.wake_at()) => return Ok(()),
        }
        // Of what else comes until then, only the last is sent.
        let due = self.latest.borrow().due();
        if due > Instant::now() {
            sleep_until(due).await;
        }
        let state = self.latest.borrow_and_update().clone();
        if state.position() != held {
            let held = self.topic.go_on(&state, held).await?;
            self.phase = Phase::Following { held };
        }
        Ok(())
    }
}
