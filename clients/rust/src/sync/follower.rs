//! Follows one environment: messages in, verified states out.

use std::sync::Arc;

use burgee_evaluator::{Applied, Received, Receiver, Refusal, RulesetState};
use burgee_proto::sync::v1::sync_service_client::SyncServiceClient;
use burgee_proto::sync::v1::{
    ClientInfo, Goodbye, GoodbyeReason, WatchRulesetRequest, WatchRulesetResponse,
};
use bytes::Bytes;
use tokio::sync::Notify;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

use super::route::Ending;
use super::watch::{Liveness, Method, Signal, Watch};
use super::{Lost, Origin};

/// A verified state, and the token that resumes from it (empty: a snapshot will
/// come).
#[derive(Debug, Clone)]
pub struct Holding {
    /// The ruleset.
    pub state: RulesetState,
    /// As the last message gave it.
    pub resume_token: Bytes,
    /// Whether the state holds the environment's access keys too.
    pub with_access_keys: bool,
}

/// What happened to a followed environment.
#[derive(Debug)]
pub enum Event {
    /// Another state is held from now on.
    Swapped(Swap),
    /// Everything has been delivered, on a stream that is up.
    Live,
    /// The stream ended. What is held stays, and another stream is opened.
    Lost(Lost),
    /// The environment was deleted, or the key no longer opens it.
    EnvironmentDeleted,
}

/// A state and what made it, items and positions exactly as they came.
#[derive(Debug)]
pub struct Swap {
    /// What is held now.
    pub held: Holding,
    /// How it came about.
    pub change: Applied,
}

/// One environment, followed for ever. Does nothing by itself: whoever holds it
/// asks for the next event.
pub struct Follower {
    watch: Watch<WatchRuleset>,
    receiver: Receiver,
    environment: Option<String>,
    with_access_keys: bool,
    client: ClientInfo,
    /// Set when the stream is new, so that what was staged is dropped.
    fresh: bool,
    /// The bookmark that said so moved the position too, which came first.
    live_next: bool,
}

/// What a bookmark changes that only moves the position.
const NOTHING: Applied = Applied::Delta {
    upserted: Vec::new(),
    removed: Vec::new(),
    committed_at: None,
};

struct WatchRuleset;

impl Method for WatchRuleset {
    type Request = WatchRulesetRequest;
    type Message = WatchRulesetResponse;

    async fn open(
        channel: Channel,
        request: Request<Self::Request>,
    ) -> Result<Streaming<Self::Message>, Status> {
        let mut client = SyncServiceClient::new(channel);
        Ok(client.watch_ruleset(request).await?.into_inner())
    }
}

impl Follower {
    /// Follows `environment` (a uid; `None` leaves it to the key), from `held`
    /// on where there is something.
    ///
    /// `with_access_keys`: the key is a relay's, and access keys come too.
    #[must_use]
    pub fn new(
        origin: &Origin,
        environment: Option<String>,
        held: Option<Holding>,
        with_access_keys: bool,
    ) -> Self {
        let receiver = match held {
            Some(Holding {
                state,
                resume_token,
                ..
            }) => Receiver::resume(state, resume_token, with_access_keys),
            None => Receiver::new(environment.clone(), with_access_keys),
        };
        Self {
            watch: Watch::new(origin),
            receiver,
            environment,
            with_access_keys,
            client: origin.client.clone(),
            fresh: true,
            live_next: false,
        }
    }

    /// Whether the stream is live: see [`Liveness::is_live`].
    #[must_use]
    pub fn liveness(&self) -> Liveness {
        self.watch.liveness()
    }

    /// `notify_waiters` on it ends the wait after a failed stream.
    #[must_use]
    pub fn hurry(&self) -> Arc<Notify> {
        self.watch.hurry()
    }

    /// The address that is tried or followed now, for logs.
    #[must_use]
    pub fn address(&self) -> String {
        self.watch.address()
    }

    /// The next event. Dropping the future before it is ready loses nothing.
    pub async fn next(&mut self) -> Event {
        if std::mem::take(&mut self.live_next) {
            return Event::Live;
        }
        loop {
            let receiver = &self.receiver;
            let signal = self
                .watch
                .next(|| WatchRulesetRequest {
                    environment: self.environment.clone().unwrap_or_default(),
                    resume_token: receiver.resume_token(),
                    client: Some(self.client.clone()),
                })
                .await;
            let event = match signal {
                Signal::Message(message) => self.receive(message),
                Signal::Lost(lost) => {
                    self.fresh = true;
                    Some(Event::Lost(lost))
                }
            };
            if let Some(event) = event {
                return event;
            }
        }
    }

    fn receive(&mut self, message: WatchRulesetResponse) -> Option<Event> {
        if std::mem::take(&mut self.fresh) {
            self.receiver.begin_stream();
        }
        let received = match message.update {
            Some(update) => self.receiver.receive(update),
            None => Err(Refusal::Malformed("a message without an update")),
        };
        match received {
            Ok(Received::Nothing) => None,
            Ok(Received::Bookmark { state, moved, .. }) => {
                self.watch.mark_live();
                if !moved {
                    return Some(Event::Live);
                }
                self.live_next = true;
                Some(self.swapped(state, NOTHING))
            }
            Ok(Received::Swapped { state, change }) => Some(self.swapped(state, change)),
            Ok(Received::Goodbye(goodbye)) => Some(self.part(&goodbye)),
            Err(refusal) => {
                self.end(Ending::Failed);
                Some(Event::Lost(Lost::Lied(refusal)))
            }
        }
    }

    fn swapped(&self, state: RulesetState, change: Applied) -> Event {
        Event::Swapped(Swap {
            held: Holding {
                state,
                resume_token: self.receiver.resume_token(),
                with_access_keys: self.with_access_keys,
            },
            change,
        })
    }

    fn part(&mut self, goodbye: &Goodbye) -> Event {
        let (ending, reason) = parting(goodbye);
        if reason == GoodbyeReason::EnvironmentDeleted {
            // Should it be asked again all the same, then as rarely as a key
            // that is refused.
            self.end(Ending::Refused);
            return Event::EnvironmentDeleted;
        }
        self.end(ending);
        Event::Lost(Lost::Goodbye(reason))
    }

    fn end(&mut self, ending: Ending) {
        self.fresh = true;
        self.watch.end(ending);
    }
}

/// What a goodbye means for the next attempt.
pub(super) fn parting(goodbye: &Goodbye) -> (Ending, GoodbyeReason) {
    let reason = goodbye.reason();
    let ending = match reason {
        GoodbyeReason::KeyRevoked => Ending::Refused,
        _ => Ending::Goodbye {
            reason,
            reconnect_after: goodbye
                .reconnect_after
                .and_then(|duration| duration.try_into().ok())
                .unwrap_or_default(),
        },
    };
    (ending, reason)
}
