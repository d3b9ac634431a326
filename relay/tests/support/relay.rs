//! A relay, what is above it, and what it keeps.

use std::path::Path;
use std::time::Duration;

use burgee::proto::sync::v1::sync_service_client::SyncServiceClient;
use burgee::proto::sync::v1::watch_environments_response::Message as Membership;
use burgee::proto::sync::v1::{
    EnvironmentSet, EnvironmentSetChange, GetRulesetRequest, Item, ItemKind, RulesetUpdate,
    WatchEnvironmentsResponse,
};
use burgee::proto::types::v1::{AccessKey, AccessKeyKind};
use burgee::{Client, Context, State};
use burgee_evaluator::RulesetState;
use burgee_hub::credential::{Kind, Secret, generate};
use burgee_relay::Relay;
use burgee_relay::config::{Callers, Options, TlsFiles, relay_key};
use burgee_runtime::addresses::TrustedProxies;
use burgee_runtime::browsers::AllowedOrigins;
use prost::Message as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
pub(crate) use tonic_health::pb::health_check_response::ServingStatus as Health;
use tonic_health::pb::health_client::HealthClient;

use crate::scripted::{self, ENVIRONMENT, Scripted, Stream, item, soon, state};

/// The SDK key that every ruleset here opens for.
pub(crate) fn sdk_key() -> Secret {
    generate(Kind::Server, [1; 32])
}

/// And the relay's own.
pub(crate) fn key_of_relay() -> Secret {
    generate(Kind::Relay, [2; 32])
}

/// What a ruleset holds so that a credential opens it.
fn access(secret: &Secret, kind: AccessKeyKind, environments: &[&str]) -> Item {
    let key = AccessKey {
        hash: secret.hash().to_vec().into(),
        kind: kind.into(),
        environments: environments.iter().map(ToString::to_string).collect(),
        ..AccessKey::default()
    };
    let hex: String = key.hash.iter().map(|byte| format!("{byte:02x}")).collect();
    item(ItemKind::AccessKey, &hex, 1, key.encode_to_vec())
}

/// A ruleset with flags that the SDK key and the relay key open.
pub(crate) fn ruleset(revision: u64, flags: &[Item]) -> RulesetState {
    let mut items = flags.to_vec();
    items.push(access(&sdk_key(), AccessKeyKind::Server, &[ENVIRONMENT]));
    items.push(access(
        &key_of_relay(),
        AccessKeyKind::Relay,
        &[ENVIRONMENT],
    ));
    state(revision, &items)
}

pub(crate) fn alice() -> Context {
    Context::new("alice")
}

/// A relay in this process.
pub(crate) struct Running {
    pub(crate) url: String,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start(upstream: &str, data_dir: &Path) -> Self {
        Self::start_with(upstream, data_dir, None).await
    }

    pub(crate) async fn start_with(upstream: &str, data_dir: &Path, tls: Option<TlsFiles>) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let options = Options {
            listen: "127.0.0.1:0".parse().unwrap(),
            upstream: burgee::Address::list(upstream).unwrap(),
            key: relay_key(key_of_relay().expose()).unwrap(),
            key_file: None,
            data_dir: data_dir.to_owned(),
            ca_file: None,
            tls,
            trusted_proxies: TrustedProxies::default(),
            allowed_origins: AllowedOrigins::Any,
            callers: Callers::default(),
            drain_window: Duration::from_millis(100),
        };
        let relay = Relay::prepare(options).await.unwrap();
        let url = format!("{scheme}://localhost:{}", relay.local_addr().port());
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move { relay.run(stopped).await.unwrap() });
        Self { url, stop, task }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        soon(self.task).await.unwrap();
    }

    pub(crate) async fn client(&self) -> Client {
        let client = Client::builder()
            .address(&self.url)
            .sdk_key(sdk_key().expose())
            .init_timeout(scripted::DEADLINE)
            .connect()
            .await
            .unwrap();
        assert_eq!(*client.state().borrow(), State::Ready);
        client
    }

    /// What a fetch of the whole ruleset with a key gives.
    pub(crate) async fn get(&self, key: &Secret) -> Result<Vec<RulesetUpdate>, Status> {
        let mut client = SyncServiceClient::connect(self.url.clone()).await.unwrap();
        let mut request = Request::new(GetRulesetRequest {
            environment: ENVIRONMENT.into(),
            ..GetRulesetRequest::default()
        });
        let bearer = format!("Bearer {}", key.expose()).parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        let mut stream = client.get_ruleset(request).await?.into_inner();
        let mut updates = Vec::new();
        while let Some(response) = stream.message().await? {
            updates.push(response.update.unwrap());
        }
        Ok(updates)
    }

    /// Asks with a key until the answer has a code.
    pub(crate) async fn answers(&self, key: &Secret, wanted: Code) -> Status {
        let asking = async {
            loop {
                match self.get(key).await {
                    Err(status) if status.code() == wanted => return status,
                    _ => tokio::task::yield_now().await,
                }
            }
        };
        soon(asking).await
    }

    pub(crate) async fn health(&self) -> Health {
        let endpoint = Endpoint::from_shared(self.url.clone()).unwrap();
        let mut client = HealthClient::new(endpoint.connect().await.unwrap());
        let answer = client.check(HealthCheckRequest::default()).await.unwrap();
        answer.into_inner().status()
    }

    pub(crate) async fn until_serving(&self) {
        soon(async { while self.health().await != Health::Serving {} }).await;
    }
}

/// Upstream as one relay sees it.
pub(crate) struct Above {
    pub(crate) upstream: Scripted,
    pub(crate) membership: Stream<WatchEnvironmentsResponse>,
}

impl Above {
    /// Waits for the relay, and names the environments that its key opens.
    pub(crate) async fn names(upstream: Scripted, environments: &[&str]) -> Self {
        let call = upstream.environments_call().await;
        let bearer = format!("Bearer {}", key_of_relay().expose());
        assert_eq!(call.authorization, bearer);
        let (_, membership) = call.accept();
        let above = Self {
            upstream,
            membership,
        };
        let set = EnvironmentSet {
            environments: texts(environments),
        };
        above.send(Membership::Current(set)).await;
        above
    }

    pub(crate) async fn changes(&self, added: &[&str], removed: &[&str]) {
        let change = EnvironmentSetChange {
            added: texts(added),
            removed: texts(removed),
        };
        self.send(Membership::Change(change)).await;
    }

    async fn send(&self, message: Membership) {
        let message = Some(message);
        let response = WatchEnvironmentsResponse { message };
        self.membership.send_message(response).await;
    }
}

fn texts(environments: &[&str]) -> Vec<String> {
    environments.iter().map(ToString::to_string).collect()
}

pub(crate) async fn reaches(client: &Client, wanted: State) {
    let mut state = client.state();
    let reached = soon(state.wait_for(|state| *state == wanted)).await;
    assert!(reached.is_ok());
}

/// What a relay keeps on disk.
pub(crate) fn files(data_dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(data_dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "lock")
        .collect();
    names.sort();
    names
}

/// Waits until the environment's file is there.
pub(crate) async fn saved(data_dir: &Path) {
    let name = format!("{ENVIRONMENT}.snapshot");
    let waiting = async {
        while !files(data_dir).contains(&name) {
            tokio::task::yield_now().await;
        }
    };
    soon(waiting).await;
}

/// Waits until nothing is kept.
pub(crate) async fn until_no_files(data_dir: &Path) {
    let waiting = async {
        while !files(data_dir).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    soon(waiting).await;
}
