//! A request that changes something, and how it is applied: in its turn, on its own task,
//! locked before it is read.

use std::time::{Duration, Instant};

use burgee_proto::admin::v1::Preview;
use burgee_proto::types::v1::{EnvironmentPosition, ErrorReason};
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;

use super::Change;
use super::commit::{self, Record};
use super::queue::Turn;
use super::scope::Scope;
use crate::access::{self, Authorized};
use crate::app::App;
use crate::auth;
use crate::error::Error;
use crate::texts::Violations;

/// How long a change waits for its turn and a connection: then the database is
/// away, or the queue too long to be worth waiting in.
const START_TIMEOUT: Duration = Duration::from_millis(1_800);
/// A change that waited so long for its turn asks again who its caller is: what a credential
/// opens is known for up to a second, and whoever is shut out is kept out within two.
const RENEWED_AFTER: Duration = Duration::from_millis(500);
/// How long a change may take before its commit: then nothing was changed.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest `request_id`, in bytes.
const REQUEST_ID_MAX: usize = 256;
/// The longest `reason`, in bytes.
const REASON_MAX: usize = 4_096;

/// A request that changes something.
#[tonic::async_trait]
pub trait Mutation: prost::Message + prost::Name + Clone + Default + 'static {
    /// Its answer.
    type Response: prost::Message + Default + Clone + 'static;

    /// What every mutation has.
    fn common(&self) -> Common;

    /// What is locked before anything is read.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a malformed name.
    fn scope(&self) -> Result<Scope, Error>;

    /// Reads, validates, and applies operations. The answer lacks only what
    /// [`Mutation::conclude`] adds.
    async fn apply(&self, change: &mut Change) -> Result<Self::Response, Error>;

    /// Adds the outcome to the answer.
    fn conclude(response: &mut Self::Response, outcome: Outcome);

    /// Takes out of an answer what is shown once only, before it is kept.
    fn conceal(_response: &mut Self::Response) {}
}

/// What every mutation has.
#[derive(Debug, Clone, Default)]
pub struct Common {
    /// Makes a retry safe. Empty: no such promise.
    pub request_id: String,
    /// Keeps nothing.
    pub validate_only: bool,
    /// Why.
    pub reason: String,
    /// The etag that was read. Empty: whatever is there.
    pub etag: String,
}

/// How a change ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Applied: where the environments stand now.
    Positions(Vec<EnvironmentPosition>),
    /// Only tried.
    Preview(Preview),
}

/// Implements [`Mutation::common`] and [`Mutation::conclude`], which read the
/// same in every request.
macro_rules! mutation_fields {
    ($response:ty) => {
        $crate::change::mutation_fields!(@ $response, |_request| String::new());
    };
    ($response:ty, etag) => {
        $crate::change::mutation_fields!(@ $response, |request: &Self| request.etag.clone());
    };
    ($response:ty, etag in $resource:ident) => {
        // The etag of the request, or else of the resource in it.
        $crate::change::mutation_fields!(@ $response, |request: &Self| {
            if request.etag.is_empty() {
                request.$resource.as_ref().map(|resource| resource.etag.clone()).unwrap_or_default()
            } else {
                request.etag.clone()
            }
        });
    };
    (@ $response:ty, $etag:expr) => {
        type Response = $response;

        fn common(&self) -> $crate::change::Common {
            $crate::change::Common {
                request_id: self.request_id.clone(),
                validate_only: self.validate_only,
                reason: self.reason.clone(),
                etag: ($etag)(self),
            }
        }

        fn conclude(response: &mut $response, outcome: $crate::change::Outcome) {
            match outcome {
                $crate::change::Outcome::Positions(positions) => response.positions = positions,
                $crate::change::Outcome::Preview(preview) => response.preview = Some(preview),
            }
        }
    };
}
pub(crate) use mutation_fields;

/// Applies a mutation: authorized, in its turn, on its own task, so that a
/// caller who goes away cannot stop it half-way.
///
/// # Errors
/// A definite error without effect, or [`ErrorReason::OutcomeUnknown`].
pub async fn run<M: Mutation>(
    app: &App,
    request: tonic::Request<M>,
) -> Result<tonic::Response<M::Response>, tonic::Status> {
    let authorized = access::authorize(&request)?;
    let response = perform(app, authorized, request.into_inner()).await?;
    Ok(tonic::Response::new(response))
}

/// As [`run`], for what the server itself does at start.
///
/// # Errors
/// As [`run`].
pub async fn perform<M: Mutation>(
    app: &App,
    authorized: Authorized,
    message: M,
) -> Result<M::Response, Error> {
    let task = tokio::spawn(perform_here(app.clone(), authorized, message));
    task.await.map_err(Error::internal)?
}

async fn perform_here<M: Mutation>(
    app: App,
    authorized: Authorized,
    message: M,
) -> Result<M::Response, Error> {
    let preparing = prepare(app.clone(), authorized, &message);
    match within(CHANGE_TIMEOUT, preparing).await? {
        Prepared::Done(response) => Ok(response),
        Prepared::Ready(change, response, _turn) => {
            change.commit().await?;
            app.committed.send_replace(());
            Ok(response)
        }
    }
}

async fn within<T>(
    timeout: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let elapsed = |_| Error::Unavailable {
        reason: ErrorReason::DatabaseUnavailable,
        cause: format!("not done within {timeout:?}"),
    };
    tokio::time::timeout(timeout, work).await.map_err(elapsed)?
}

/// What is left to do after [`prepare`].
enum Prepared<R> {
    /// Nothing: it was only tried, or done before under the same request id.
    Done(R),
    /// The commit.
    Ready(Box<Change>, R, Turn),
}

/// Everything up to the commit, or the answer that was given under the same
/// request id before.
///
/// That is asked before anything is waited for, and again if the attempt fails:
/// of two equal requests at once, the second may find that the first has won
/// only by what stands in its way, at the latest the record of the first. So
/// nobody asks it under a lock.
async fn prepare<M: Mutation>(
    app: App,
    authorized: Authorized,
    message: &M,
) -> Result<Prepared<M::Response>, Error> {
    let common = message.common();
    check_common(&common)?;
    let scope = message.scope()?;
    let keep = !common.request_id.is_empty() && !common.validate_only;
    if !keep {
        return attempt(app, authorized, message, scope, None).await;
    }
    let body_hash = Sha256::digest(message.encode_to_vec()).to_vec();
    let answered = || answered::<M>(&app, &authorized, &common.request_id, &body_hash);
    if let Some(response) = within(START_TIMEOUT, answered()).await? {
        return Ok(Prepared::Done(response));
    }
    let record = Some(body_hash.clone());
    let attempted = attempt(app.clone(), authorized.clone(), message, scope, record).await;
    match attempted {
        Err(refused) if !matches!(refused, Error::Unavailable { .. } | Error::Internal(_)) => {
            let answer = answered().await?;
            answer.map(Prepared::Done).ok_or(refused)
        }
        other => other,
    }
}

/// The answer that was given under a request id before.
async fn answered<M: Mutation>(
    app: &App,
    authorized: &Authorized,
    request_id: &str,
    body_hash: &[u8],
) -> Result<Option<M::Response>, Error> {
    let mut connection = app.pools.read.acquire().await?;
    let kept = commit::replay(&mut connection, authorized, request_id, body_hash).await?;
    let response = kept.map(|response| M::Response::decode(response.as_slice()));
    Ok(response.transpose()?)
}

/// Locks, applies, ships and writes. `record` is the hash of a request whose
/// answer is kept.
async fn attempt<M: Mutation>(
    app: App,
    authorized: Authorized,
    message: &M,
    scope: Scope,
    record: Option<Vec<u8>>,
) -> Result<Prepared<M::Response>, Error> {
    let organization = authorized.organization();
    let begun = Instant::now();
    let start = async {
        scope.check_access(&app, &authorized).await?;
        let turns = scope.turns(&app, organization).await?;
        let turn = app.queues.wait(&turns).await?;
        Ok::<_, Error>((turn, app.begin().await?))
    };
    let (turn, mut transaction) = within(START_TIMEOUT, start).await?;
    let common = message.common();
    let validate_only = common.validate_only;
    let locked = scope.lock(&mut transaction, organization).await?;
    let authorized = match scope {
        Scope::Environment(_) | Scope::Project(_) if begun.elapsed() < RENEWED_AFTER => authorized,
        _ => renewed(&app, &mut transaction, authorized, &scope).await?,
    };
    let mut change = Box::new(Change::new(app, transaction, authorized, common, locked));
    change.refuse_test_key_if_protected().await?;
    let mut response = message.apply(&mut change).await?;
    let shipment = change.ship().await?;
    if validate_only {
        let preview = change.preview(&shipment).await?;
        M::conclude(&mut response, Outcome::Preview(preview));
        return Ok(Prepared::Done(response));
    }
    let positions = change.told_positions(&shipment);
    M::conclude(&mut response, Outcome::Positions(positions));
    let record = record.map(|body_hash| {
        let mut kept = response.clone();
        M::conceal(&mut kept);
        Record {
            body_hash,
            response: kept.encode_to_vec(),
        }
    });
    change.write(shipment, record).await?;
    Ok(Prepared::Ready(change, response, turn))
}

/// Asks again who the caller is, once nothing is waited for any more. Under the organization's
/// lock this is the last word, as who may do what changes under it alone: whoever was shut out
/// while they waited leaves nothing behind that lets them in. What changes flags alone does not
/// hold that lock, and asks if it had to wait.
async fn renewed(
    app: &App,
    connection: &mut PgConnection,
    authorized: Authorized,
    scope: &Scope,
) -> Result<Authorized, Error> {
    let place = match scope {
        Scope::Environment(name) => Some(name.place()),
        Scope::Project(name) | Scope::Environments(name) => Some(name.place()),
        Scope::Organization => None,
    };
    let Some(credential) = authorized.credential() else {
        return Ok(authorized);
    };
    let principal = auth::find(connection, app.dev, credential).await?;
    let authorized = authorized.renewed(principal)?;
    if let Some(place) = place {
        authorized.demand(place)?;
    }
    Ok(authorized)
}

fn check_common(common: &Common) -> Result<(), Error> {
    let mut violations = Violations::default();
    violations.text("request_id", &common.request_id, REQUEST_ID_MAX);
    violations.text("reason", &common.reason, REASON_MAX);
    violations.finish()
}
