//! What stands between the listener and a service, for every call.
//!
//! tonic's own server would add some of it; behind an accept loop of our own it is
//! here, and it answers in the language of the caller: a gRPC status to gRPC and
//! gRPC-web, an HTTP status to everybody else.

mod answer;
mod deadline;
mod kind;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use futures_util::FutureExt as _;
use tokio::sync::Semaphore;
use tonic::Status;

use self::answer::Caller;
pub use self::deadline::Deadline;
pub use self::kind::{Kind, only_calls};

/// What all calls of a router share.
#[derive(Debug, Clone)]
pub struct CallLimits {
    /// Calls that may wait for their response to begin, at the same time. One more
    /// is refused (`RESOURCE_EXHAUSTED`, HTTP 503). A stream counts until it begins.
    pub concurrent: usize,
    /// The longest that a gRPC call may take until its response begins, which for a
    /// unary call is its whole duration. A shorter `grpc-timeout` wins. Then the
    /// call is dropped (`DEADLINE_EXCEEDED`).
    pub deadline: Duration,
}

/// Places of calls, and what is said when there is none.
#[derive(Debug, Clone)]
struct Places {
    free: Arc<Semaphore>,
    busy: fn() -> Status,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            concurrent: 1024,
            deadline: Duration::from_secs(30),
        }
    }
}

/// Puts `router` behind the limits, with an answer to unknown paths and to panics.
/// `busy` is what one call too many is told.
///
/// Belongs outside the gRPC-web layer, and inside [`crate::browsers::admit`]: browsers
/// must be able to read these answers too. Handlers find their [`Deadline`] in the
/// request's extensions.
pub fn guard(router: Router, limits: &CallLimits, busy: fn() -> Status) -> Router {
    let free = Arc::new(Semaphore::new(limits.concurrent));
    let places = Places { free, busy };
    router
        .layer(from_fn_with_state(limits.deadline, deadline::enforce))
        .layer(from_fn_with_state(places, shed))
        .layer(from_fn(catch_panic))
}

/// The fallback of a router: `UNIMPLEMENTED` to gRPC, 404 to everybody else.
pub async fn unknown_path(request: Request) -> Response {
    let message = format!("nothing is served at {}", request.uri().path());
    Caller::of(&request).answer(Status::unimplemented(message))
}

async fn shed(State(places): State<Places>, request: Request, next: Next) -> Response {
    let Ok(_place) = places.free.try_acquire() else {
        return Caller::of(&request).answer((places.busy)());
    };
    next.run(request).await
}

async fn catch_panic(request: Request, next: Next) -> Response {
    let caller = Caller::of(&request);
    let path = request.uri().path().to_owned();
    // Nothing of the call outlives the panic but what it shares with others, and
    // what is shared must be whole at every await.
    let outcome = std::panic::AssertUnwindSafe(next.run(request)).catch_unwind();
    match outcome.await {
        Ok(response) => response,
        Err(panic) => {
            tracing::error!(path, panic = text(panic.as_ref()), "a call panicked");
            caller.answer(Status::internal("internal error"))
        }
    }
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let fixed = panic.downcast_ref::<&'static str>().copied();
    fixed
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("of an unknown kind")
}
