//! An upstream that does what a test says: each call waits for the test to
//! answer it, message by message. It can lie.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use burgee_evaluator::RulesetState;
use burgee_proto::sync::v1::ruleset_update::Message;
use burgee_proto::sync::v1::sync_service_server::{SyncService, SyncServiceServer};
use burgee_proto::sync::v1::{
    Bookmark, Delta, GetRulesetRequest, GetRulesetResponse, Goodbye, GoodbyeReason, Item, ItemKey,
    ItemKind, ResumeToken, RulesetUpdate, Snapshot, WatchEnvironmentsRequest,
    WatchEnvironmentsResponse, WatchRulesetRequest, WatchRulesetResponse,
};
use burgee_proto::types::v1::{Flag, FlagType, Position, Serve, Variant, serve};
use bytes::Bytes;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status};

/// No condition that a test waits for takes longer.
pub const DEADLINE: Duration = Duration::from_secs(20);
/// The environment of most tests.
pub const ENVIRONMENT: &str = "3f2b8c1e-0000-4000-8000-000000000001";
/// Another one.
pub const OTHER: &str = "3f2b8c1e-0000-4000-8000-000000000002";

/// Waits, but not for ever.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(DEADLINE, what).await.expect("it takes too long")
}

/// A server that a test plays.
pub struct Scripted {
    pub address: SocketAddr,
    rulesets: Mutex<mpsc::Receiver<Call<WatchRulesetRequest, WatchRulesetResponse>>>,
    environments: Mutex<mpsc::Receiver<Call<WatchEnvironmentsRequest, WatchEnvironmentsResponse>>>,
    serving: JoinHandle<()>,
}

/// A call that waits for its answer.
pub struct Call<Q, M> {
    pub request: Q,
    pub authorization: String,
    answer: oneshot::Sender<Result<mpsc::Receiver<Result<M, Status>>, Status>>,
}

/// The sending end of a stream that was accepted. Dropping it ends the stream.
pub struct Stream<M>(mpsc::Sender<Result<M, Status>>);

pub type RulesetCall = Call<WatchRulesetRequest, WatchRulesetResponse>;

impl Scripted {
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    /// Starts at an address, such as that of one that has stopped.
    pub async fn start_at(address: SocketAddr) -> Self {
        let listener = soon(async {
            loop {
                if let Ok(listener) = TcpListener::bind(address).await {
                    return listener;
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
        let address = listener.local_addr().unwrap();
        let (ruleset_calls, rulesets) = mpsc::channel(64);
        let (environment_calls, environments) = mpsc::channel(64);
        let service = SyncServiceServer::new(Service {
            rulesets: ruleset_calls,
            environments: environment_calls,
        });
        let serving = tokio::spawn(async move {
            tonic::transport::Server::builder()
                .add_service(service)
                .serve_with_incoming(TcpListenerStream::new(listener))
                .await
                .unwrap();
        });
        Self {
            address,
            rulesets: Mutex::new(rulesets),
            environments: Mutex::new(environments),
            serving,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next `WatchRuleset`.
    pub async fn call(&self) -> RulesetCall {
        soon(async { self.rulesets.lock().await.recv().await.unwrap() }).await
    }

    /// The next `WatchRuleset`, accepted.
    pub async fn accept(&self) -> Stream<WatchRulesetResponse> {
        self.call().await.accept().1
    }

    /// The next `WatchEnvironments`.
    pub async fn environments_call(
        &self,
    ) -> Call<WatchEnvironmentsRequest, WatchEnvironmentsResponse> {
        soon(async { self.environments.lock().await.recv().await.unwrap() }).await
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl<Q, M> Call<Q, M> {
    pub fn accept(self) -> (Q, Stream<M>) {
        let (sender, receiver) = mpsc::channel(64);
        let _gone = self.answer.send(Ok(receiver));
        (self.request, Stream(sender))
    }

    pub fn refuse(self, status: Status) {
        let _gone = self.answer.send(Err(status));
    }
}

impl<M> Stream<M> {
    pub async fn fail(self, status: Status) {
        let _gone = self.0.send(Err(status)).await;
    }

    pub async fn send_message(&self, message: M) {
        self.0.send(Ok(message)).await.expect("the stream is open");
    }

    /// Waits until the other side has gone.
    pub async fn gone(&self) {
        soon(self.0.closed()).await;
    }
}

impl Stream<WatchRulesetResponse> {
    pub async fn send(&self, update: RulesetUpdate) {
        let update = Some(update);
        self.send_message(WatchRulesetResponse { update }).await;
    }

    /// A snapshot of a state, and the bookmark behind it.
    pub async fn send_whole(&self, state: &RulesetState) {
        self.send(snapshot(state)).await;
        self.send(bookmark(state)).await;
    }
}

pub fn at(revision: u64) -> Position {
    Position { epoch: 1, revision }
}

/// A ruleset at a revision that holds items.
pub fn state(revision: u64, items: &[Item]) -> RulesetState {
    let items = items.iter().cloned().map(Arc::new);
    RulesetState::new(ENVIRONMENT, at(revision), items)
}

/// A boolean flag that is `value` for everybody, written by `revision`.
pub fn flag(key: &str, value: bool, revision: u64) -> Item {
    let variant = |key: &str, value: bool| Variant {
        key: key.into(),
        value: Some(prost_types::Value {
            kind: Some(prost_types::value::Kind::BoolValue(value)),
        }),
        ..Variant::default()
    };
    let flag = Flag {
        key: key.into(),
        r#type: FlagType::Boolean.into(),
        variants: vec![variant("on", true), variant("off", false)],
        enabled: true,
        off_variant: "off".into(),
        fallthrough: Some(Serve {
            kind: Some(serve::Kind::Variant(
                if value { "on" } else { "off" }.into(),
            )),
        }),
        ..Flag::default()
    };
    item(ItemKind::Flag, key, revision, flag.encode_to_vec())
}

pub fn item(kind: ItemKind, key: &str, revision: u64, body: Vec<u8>) -> Item {
    Item {
        kind: kind.into(),
        key: key.into(),
        revision,
        level: 1,
        body: body.into(),
    }
}

/// A message about a state, with its hashes and a token.
pub fn update(state: &RulesetState, message: Message) -> RulesetUpdate {
    RulesetUpdate {
        environment: state.environment().to_owned(),
        position: Some(state.position()),
        message: Some(message),
        resume_token: token(state),
        state_hash: Bytes::copy_from_slice(&state.state_hash()),
        access_hash: Bytes::copy_from_slice(&state.access_hash()),
    }
}

pub fn token(state: &RulesetState) -> Bytes {
    let token = ResumeToken {
        version: 1,
        environment: state.environment().to_owned(),
        position: Some(state.position()),
        with_access_keys: false,
    };
    token.encode_to_vec().into()
}

pub fn snapshot(state: &RulesetState) -> RulesetUpdate {
    let items = state.items().map(|item| (**item).clone()).collect();
    let last_chunk = true;
    update(state, Message::Snapshot(Snapshot { items, last_chunk }))
}

pub fn bookmark(state: &RulesetState) -> RulesetUpdate {
    update(state, Message::Bookmark(Bookmark::default()))
}

/// What leads from one state to another.
pub fn delta(
    from: &RulesetState,
    to: &RulesetState,
    upserted: &[Item],
    removed: &[&str],
) -> RulesetUpdate {
    let removed = removed.iter().map(|key| ItemKey {
        kind: ItemKind::Flag.into(),
        key: (*key).into(),
    });
    let delta = Delta {
        from: Some(from.position()),
        upserted: upserted.to_vec(),
        removed: removed.collect(),
        more: false,
        committed_at: None,
    };
    update(to, Message::Delta(delta))
}

pub fn goodbye(state: &RulesetState, reason: GoodbyeReason) -> RulesetUpdate {
    let goodbye = Goodbye {
        reason: reason.into(),
        reconnect_after: None,
    };
    RulesetUpdate {
        resume_token: Bytes::new(),
        state_hash: Bytes::new(),
        access_hash: Bytes::new(),
        ..update(state, Message::Goodbye(goodbye))
    }
}

struct Service {
    rulesets: mpsc::Sender<RulesetCall>,
    environments: mpsc::Sender<Call<WatchEnvironmentsRequest, WatchEnvironmentsResponse>>,
}

async fn hand_over<Q, M>(
    calls: &mpsc::Sender<Call<Q, M>>,
    request: Request<Q>,
) -> Result<Response<ReceiverStream<Result<M, Status>>>, Status> {
    let authorization = request
        .metadata()
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let (answer, answered) = oneshot::channel();
    let call = Call {
        request: request.into_inner(),
        authorization,
        answer,
    };
    let over = |_| Status::aborted("the test is over");
    calls.send(call).await.map_err(|_| over(()))?;
    let messages = answered.await.map_err(|_| over(()))??;
    Ok(Response::new(ReceiverStream::new(messages)))
}

#[tonic::async_trait]
impl SyncService for Service {
    type WatchRulesetStream = ReceiverStream<Result<WatchRulesetResponse, Status>>;
    type GetRulesetStream = ReceiverStream<Result<GetRulesetResponse, Status>>;
    type WatchEnvironmentsStream = ReceiverStream<Result<WatchEnvironmentsResponse, Status>>;

    async fn watch_ruleset(
        &self,
        request: Request<WatchRulesetRequest>,
    ) -> Result<Response<Self::WatchRulesetStream>, Status> {
        hand_over(&self.rulesets, request).await
    }

    async fn get_ruleset(
        &self,
        _request: Request<GetRulesetRequest>,
    ) -> Result<Response<Self::GetRulesetStream>, Status> {
        Err(Status::unimplemented("not played"))
    }

    async fn watch_environments(
        &self,
        request: Request<WatchEnvironmentsRequest>,
    ) -> Result<Response<Self::WatchEnvironmentsStream>, Status> {
        hand_over(&self.environments, request).await
    }
}
