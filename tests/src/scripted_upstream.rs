//! A sync service that says whatever a test wants, true or not: the upstream of
//! a relay that must not believe everything.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use burgee_proto::sync::v1::ruleset_update::Message;
use burgee_proto::sync::v1::sync_service_server::{SyncService, SyncServiceServer};
use burgee_proto::sync::v1::{
    Bookmark, EnvironmentSet, GetRulesetRequest, GetRulesetResponse, RulesetUpdate,
    WatchEnvironmentsRequest, WatchEnvironmentsResponse, WatchRulesetRequest, WatchRulesetResponse,
    watch_environments_response,
};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{TcpListenerStream, UnboundedReceiverStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Response, Status};

use crate::wait::{SOON, within};

/// Serves one environment's stream, message by message as told.
pub struct ScriptedUpstream {
    address: SocketAddr,
    stage: Arc<Stage>,
    _ends: DropGuard,
}

/// What the service's calls and the test share.
struct Stage {
    environment: String,
    /// What every new stream begins with.
    opening: Mutex<Vec<RulesetUpdate>>,
    /// The newest stream.
    live: Mutex<Option<mpsc::UnboundedSender<RulesetUpdate>>>,
    /// The request of each stream so far.
    requests: watch::Sender<Vec<WatchRulesetRequest>>,
}

impl ScriptedUpstream {
    /// Serves `environment`; each stream begins with `opening`.
    pub async fn start(environment: &str, opening: Vec<RulesetUpdate>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stage = Arc::new(Stage {
            environment: environment.to_owned(),
            opening: Mutex::new(opening),
            live: Mutex::default(),
            requests: watch::Sender::default(),
        });
        let end = CancellationToken::new();
        let service = SyncServiceServer::from_arc(Arc::new(Scripted(Arc::clone(&stage))));
        tokio::spawn(
            tonic::transport::Server::builder()
                .add_service(service)
                .serve_with_incoming_shutdown(
                    TcpListenerStream::new(listener),
                    end.clone().cancelled_owned(),
                ),
        );
        Self {
            address,
            stage,
            _ends: end.drop_guard(),
        }
    }

    /// Where a relay finds it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What the streams from now on begin with.
    pub fn open_with(&self, opening: Vec<RulesetUpdate>) {
        *self.stage.opening.lock().unwrap() = opening;
    }

    /// Says this on the newest stream.
    ///
    /// # Panics
    ///
    /// When there has been none.
    pub fn say(&self, update: RulesetUpdate) {
        let live = self.stage.live.lock().unwrap();
        let live = live.as_ref().expect("a stream has begun");
        // A receiver that has just left misses it, as on any network.
        let _ = live.send(update);
    }

    /// Streams begun so far.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.stage.requests.borrow().len()
    }

    /// Waits until more than `before` streams have begun; gives the newest
    /// one's request.
    pub async fn stream_after(&self, before: usize) -> WatchRulesetRequest {
        let mut requests = self.stage.requests.subscribe();
        let more = requests.wait_for(|requests| requests.len() > before);
        let requests = within("another stream from upstream", SOON * 3, more).await;
        requests.unwrap().last().unwrap().clone()
    }
}

struct Scripted(Arc<Stage>);

#[tonic::async_trait]
impl SyncService for Scripted {
    type WatchRulesetStream = BoxStream<'static, Result<WatchRulesetResponse, Status>>;
    type GetRulesetStream = BoxStream<'static, Result<GetRulesetResponse, Status>>;
    type WatchEnvironmentsStream = BoxStream<'static, Result<WatchEnvironmentsResponse, Status>>;

    async fn watch_ruleset(
        &self,
        request: Request<WatchRulesetRequest>,
    ) -> Result<Response<Self::WatchRulesetStream>, Status> {
        let (live, said) = mpsc::unbounded_channel();
        let opening = self.0.opening.lock().unwrap().clone();
        *self.0.live.lock().unwrap() = Some(live);
        self.0
            .requests
            .send_modify(|requests| requests.push(request.into_inner()));
        let messages = stream::iter(opening)
            .chain(UnboundedReceiverStream::new(said))
            .map(|update| {
                Ok(WatchRulesetResponse {
                    update: Some(update),
                })
            });
        Ok(Response::new(messages.boxed()))
    }

    async fn get_ruleset(
        &self,
        _request: Request<GetRulesetRequest>,
    ) -> Result<Response<Self::GetRulesetStream>, Status> {
        Err(Status::unimplemented("not on this stage"))
    }

    async fn watch_environments(
        &self,
        _request: Request<WatchEnvironmentsRequest>,
    ) -> Result<Response<Self::WatchEnvironmentsStream>, Status> {
        let current = watch_environments_response::Message::Current(EnvironmentSet {
            environments: vec![self.0.environment.clone()],
        });
        let set = WatchEnvironmentsResponse {
            message: Some(current),
        };
        let messages = stream::iter([Ok(set)]).chain(stream::pending());
        Ok(Response::new(messages.boxed()))
    }
}

/// A bookmark of now, without the position and hashes that belong beside it.
#[must_use]
pub fn bookmark() -> Message {
    Message::Bookmark(Bookmark {
        server_time: Some(SystemTime::now().into()),
        behind: false,
    })
}
