//! Follows the set of environments that a relay key opens.

use burgee_evaluator::Refusal;
use burgee_proto::sync::v1::sync_service_client::SyncServiceClient;
use burgee_proto::sync::v1::watch_environments_response::Message;
use burgee_proto::sync::v1::{ClientInfo, WatchEnvironmentsRequest, WatchEnvironmentsResponse};
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

use super::follower::parting;
use super::route::Ending;
use super::watch::{Liveness, Method, Signal, Watch};
use super::{Lost, Origin};

/// What happened to the set of environments.
#[derive(Debug)]
pub enum Membership {
    /// The whole set, by uid. What is not in it is no longer open to the key.
    Whole(Vec<String>),
    /// What came and what went.
    Changed {
        /// Open to the key from now on.
        added: Vec<String>,
        /// No longer open to the key, or deleted.
        removed: Vec<String>,
    },
    /// A sign of life.
    Live,
    /// The stream ended, which says nothing about any environment.
    Lost(Lost),
}

/// The set of environments, followed for ever. Does nothing by itself: whoever
/// holds it asks for the next message.
pub struct EnvironmentsFollower {
    watch: Watch<WatchEnvironments>,
    client: ClientInfo,
    /// Whether this stream has given the whole set yet.
    begun: bool,
}

struct WatchEnvironments;

impl Method for WatchEnvironments {
    type Request = WatchEnvironmentsRequest;
    type Message = WatchEnvironmentsResponse;

    async fn open(
        channel: Channel,
        request: Request<Self::Request>,
    ) -> Result<Streaming<Self::Message>, Status> {
        let mut client = SyncServiceClient::new(channel);
        Ok(client.watch_environments(request).await?.into_inner())
    }
}

impl EnvironmentsFollower {
    /// Follows what the origin's key opens.
    #[must_use]
    pub fn new(origin: &Origin) -> Self {
        Self {
            watch: Watch::new(origin),
            client: origin.client.clone(),
            begun: false,
        }
    }

    /// Whether the stream is live: see [`Liveness::is_live`].
    #[must_use]
    pub fn liveness(&self) -> Liveness {
        self.watch.liveness()
    }

    /// The address that is tried or followed now, for logs.
    #[must_use]
    pub fn address(&self) -> String {
        self.watch.address()
    }

    /// The next event. Dropping the future before it is ready loses nothing.
    pub async fn next(&mut self) -> Membership {
        let signal = self
            .watch
            .next(|| WatchEnvironmentsRequest {
                client: Some(self.client.clone()),
            })
            .await;
        match signal {
            Signal::Lost(lost) => {
                self.begun = false;
                Membership::Lost(lost)
            }
            Signal::Message(message) => self.receive(message),
        }
    }

    fn receive(&mut self, message: WatchEnvironmentsResponse) -> Membership {
        match message.message {
            Some(Message::Current(set)) => {
                self.begun = true;
                self.watch.mark_live();
                Membership::Whole(set.environments)
            }
            Some(Message::Change(change)) if self.begun => Membership::Changed {
                added: change.added,
                removed: change.removed,
            },
            Some(Message::Bookmark(_)) if self.begun => Membership::Live,
            Some(Message::Goodbye(goodbye)) => {
                let (ending, reason) = parting(&goodbye);
                self.end(ending);
                Membership::Lost(Lost::Goodbye(reason))
            }
            _ => {
                self.end(Ending::Failed);
                Membership::Lost(Lost::Lied(Refusal::Malformed(
                    "a set of environments must come first",
                )))
            }
        }
    }

    fn end(&mut self, ending: Ending) {
        self.begun = false;
        self.watch.end(ending);
    }
}
