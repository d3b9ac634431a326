//! A hub with a source, typed callers, and streams that verify what they get.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use burgee_evaluator::{Received, Receiver, RulesetState};
use burgee_hub::credential::{Kind, Secret};
use burgee_hub::{CloseConnection, EnvironmentDelta, Hub, HubConfig};
use burgee_proto::evaluation::v1::evaluation_service_client::EvaluationServiceClient;
use burgee_proto::sync::v1::ruleset_update::Message;
use burgee_proto::sync::v1::sync_service_client::SyncServiceClient;
use burgee_proto::sync::v1::{
    GetRulesetRequest, GoodbyeReason, RulesetUpdate, WatchEnvironmentsRequest,
    WatchEnvironmentsResponse, WatchRulesetRequest, WatchRulesetResponse,
};
use burgee_proto::types::v1::Position;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::world::{ScriptedSource, TestKey, World};

/// Nothing that is to happen takes longer, in the tests' virtual time.
const SOON: Duration = Duration::from_secs(60);

/// A hub, what feeds it, and one environment with a key of each kind.
pub(crate) struct TestHub {
    pub(crate) hub: Hub,
    pub(crate) source: Arc<ScriptedSource>,
    pub(crate) world: World,
    pub(crate) server: TestKey,
    pub(crate) client: TestKey,
    pub(crate) relay: TestKey,
}

impl TestHub {
    pub(crate) fn new() -> Self {
        Self::with(HubConfig::default())
    }

    pub(crate) fn with(config: HubConfig) -> Self {
        let source = ScriptedSource::new();
        let hub = Hub::new(config);
        source.feed(&hub);
        let mut world = World::new(1);
        let uid = world.uid.clone();
        let key = |kind, number| TestKey::new(kind, number, &[&uid]);
        let server = key(Kind::Server, 1);
        let client = key(Kind::Client, 2);
        let relay = key(Kind::Relay, 3);
        for test_key in [&server, &client, &relay] {
            world.set_key(&test_key.key);
        }
        for flag in 0..20 {
            world.set_flag(&format!("flag-{flag:02}"), "a first note about this flag");
        }
        let this = Self {
            hub,
            source,
            world,
            server,
            client,
            relay,
        };
        for test_key in [&this.server, &this.client, &this.relay] {
            this.know(test_key);
        }
        this.source.hold(&this.world);
        this
    }

    /// The source knows a key from now on.
    pub(crate) fn know(&self, key: &TestKey) {
        let mut keys = self.source.keys.lock().unwrap();
        keys.insert(key.key.hash.to_vec(), key.key.clone());
    }

    /// A change is committed, and the feed brings it.
    pub(crate) fn publish(&self, delta: EnvironmentDelta) {
        self.source.hold(&self.world);
        self.hub.publish(delta);
    }

    pub(crate) fn set_flag(&mut self, key: &str, note: &str) {
        let delta = self.world.set_flag(key, note);
        self.publish(delta);
    }

    pub(crate) fn uid(&self) -> String {
        self.world.uid.clone()
    }

    pub(crate) fn sync(&self) -> SyncServiceClient<Routes> {
        SyncServiceClient::new(self.hub.routes())
    }

    pub(crate) fn evaluation(&self) -> EvaluationServiceClient<Routes> {
        EvaluationServiceClient::new(self.hub.routes())
    }

    /// Opens a stream that begins with nothing.
    pub(crate) async fn watch(&self, key: &TestKey) -> Follower {
        self.resume(key, Bytes::new()).await
    }

    /// Opens a stream that names its environment.
    pub(crate) async fn watch_environment(&self, key: &TestKey) -> Follower {
        let message = WatchRulesetRequest {
            environment: self.uid(),
            ..WatchRulesetRequest::default()
        };
        let request = with_key(&key.secret, message);
        let messages = self
            .sync()
            .watch_ruleset(request)
            .await
            .unwrap()
            .into_inner();
        Follower {
            messages,
            receiver: Receiver::new(None, is_relay(key)),
            close: CancellationToken::new(),
        }
    }

    /// Opens a stream with a resume token of a receiver that kept no state.
    pub(crate) async fn resume(&self, key: &TestKey, token: Bytes) -> Follower {
        let relay = is_relay(key);
        let receiver = Receiver::new(None, relay);
        self.open(key, receiver, token).await.unwrap()
    }

    /// Opens a stream that goes on from where another one was.
    pub(crate) async fn go_on(&self, key: &TestKey, follower: Follower) -> Follower {
        let token = follower.receiver.resume_token();
        let mut receiver = follower.receiver;
        receiver.begin_stream();
        self.open(key, receiver, token).await.unwrap()
    }

    pub(crate) async fn open(
        &self,
        key: &TestKey,
        receiver: Receiver,
        resume_token: Bytes,
    ) -> Result<Follower, Status> {
        let close = CancellationToken::new();
        let message = WatchRulesetRequest {
            resume_token,
            ..WatchRulesetRequest::default()
        };
        let mut request = with_key(&key.secret, message);
        request
            .extensions_mut()
            .insert(CloseConnection(close.clone()));
        let messages = self.sync().watch_ruleset(request).await?.into_inner();
        Ok(Follower {
            messages,
            receiver,
            close,
        })
    }

    /// A finite synchronisation, as its messages.
    pub(crate) async fn get(
        &self,
        key: &TestKey,
        min_position: Option<Position>,
        resume_token: Bytes,
    ) -> Result<Vec<RulesetUpdate>, Status> {
        let message = GetRulesetRequest {
            min_position,
            resume_token,
            ..GetRulesetRequest::default()
        };
        let request = with_key(&key.secret, message);
        let mut messages = self.sync().get_ruleset(request).await?.into_inner();
        let mut updates = Vec::new();
        while let Some(message) = messages.message().await? {
            updates.extend(message.update);
        }
        Ok(updates)
    }

    pub(crate) async fn watch_environments(
        &self,
        key: &TestKey,
    ) -> Result<Streaming<WatchEnvironmentsResponse>, Status> {
        let request = with_key(&key.secret, WatchEnvironmentsRequest::default());
        Ok(self.sync().watch_environments(request).await?.into_inner())
    }

    pub(crate) fn set_away(&self, is_away: bool) {
        self.source.is_away.store(is_away, Ordering::SeqCst);
    }
}

/// A stream, and the receiver that verifies it.
pub(crate) struct Follower {
    messages: Streaming<WatchRulesetResponse>,
    pub(crate) receiver: Receiver,
    /// Closes the connection.
    pub(crate) close: CancellationToken,
}

/// A message, and what the receiver made of it.
pub(crate) struct Step {
    pub(crate) update: RulesetUpdate,
    pub(crate) received: Received,
}

impl Follower {
    /// The next message. The receiver must take it.
    pub(crate) async fn next(&mut self) -> Step {
        self.try_next().await.expect("the stream ended")
    }

    /// The next message; `None`: the stream has ended.
    pub(crate) async fn try_next(&mut self) -> Option<Step> {
        let message = tokio::time::timeout(SOON, self.messages.message()).await;
        let update = message.expect("nothing came").unwrap()?.update.unwrap();
        let received = self.receiver.receive(update.clone());
        Some(Step {
            update,
            received: received.expect("the receiver refused it"),
        })
    }

    /// Reads until what is held is at a position, and gives the messages.
    pub(crate) async fn until(&mut self, position: Position) -> Vec<Step> {
        let mut steps = Vec::new();
        while self.state().is_none_or(|state| state.position() < position) {
            steps.push(self.next().await);
        }
        steps
    }

    /// Reads until the goodbye after which the stream must end.
    pub(crate) async fn until_goodbye(&mut self) -> GoodbyeReason {
        loop {
            if let Received::Goodbye(goodbye) = self.next().await.received {
                assert!(self.try_next().await.is_none(), "a message after goodbye");
                assert!(goodbye.reconnect_after.is_some());
                return goodbye.reason();
            }
        }
    }

    /// The first synchronisation, its bookmark included.
    pub(crate) async fn synchronised(&mut self) {
        loop {
            if matches!(self.next().await.received, Received::Bookmark { .. }) {
                return;
            }
        }
    }

    pub(crate) fn state(&self) -> Option<&RulesetState> {
        self.receiver.state()
    }
}

impl Step {
    /// `snapshot`, `delta`, `bookmark`, `behind` or `goodbye`.
    pub(crate) fn name(&self) -> &'static str {
        name(&self.update)
    }
}

pub(crate) fn name(update: &RulesetUpdate) -> &'static str {
    match update.message.as_ref().unwrap() {
        Message::Snapshot(_) => "snapshot",
        Message::Delta(_) => "delta",
        Message::Bookmark(bookmark) if bookmark.behind => "behind",
        Message::Bookmark(_) => "bookmark",
        Message::Goodbye(_) => "goodbye",
    }
}

pub(crate) fn is_relay(key: &TestKey) -> bool {
    key.secret.expose().starts_with("burgee_rly_")
}

/// A request with a credential.
pub(crate) fn with_key<T>(secret: &Secret, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let bearer = format!("Bearer {}", secret.expose());
    (request.metadata_mut()).insert("authorization", bearer.parse().unwrap());
    request
}

/// The published reason of a refusal, whose form is checked too.
pub(crate) fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().expect("no ErrorInfo");
    assert_eq!(info.domain, "burgee");
    assert_eq!(
        details.retry_info().is_some(),
        matches!(
            status.code(),
            tonic::Code::Unavailable | tonic::Code::ResourceExhausted
        )
    );
    assert!(status.details().len() < 4096);
    info.reason.clone()
}

/// Whether two states are the same ruleset.
pub(crate) fn assert_same(held: &RulesetState, wanted: &RulesetState) {
    assert_eq!(held.position(), wanted.position());
    assert_eq!(held.state_hash(), wanted.state_hash());
    assert_eq!(held.access_hash(), wanted.access_hash());
}
