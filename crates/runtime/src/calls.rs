//! What stands between the listener and a service, for every call.
//!
//! tonic's own server would add some of it; behind an accept loop of our own it is
//! here, and it answers in the language of the caller: a gRPC status to gRPC and
//! gRPC-web, an HTTP status to everybody else.

mod answer;
mod answers;
mod bodies;
mod deadline;
mod kind;
mod open_streams;
mod shapes;
mod wire;

use std::any::Any;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use futures_util::FutureExt as _;
use tonic::Status;

use self::answer::Caller;
use self::answers::Answers;
use self::bodies::Bodies;
pub use self::deadline::Deadline;
pub use self::kind::{Kind, only_calls};
use self::open_streams::OpenStreams;
pub use self::shapes::Shapes;
use crate::shares::{Quota, Share, Shares};
use crate::{ClientAddress, Connection};

/// What all calls of a router share. One call too many is `RESOURCE_EXHAUSTED`, or
/// HTTP 503.
#[derive(Debug, Clone)]
pub struct CallLimits {
    /// Calls that have come whole and wait for their response to begin. A stream counts
    /// until it begins.
    pub calls: Quota,
    /// Bytes of requests that have not come whole, or wait for their response to begin, and
    /// of responses of unary calls that have not been taken. Each call weighs a few KiB;
    /// until its response begins what was sent of it and what that becomes when it is
    /// decoded, and then what is answered.
    pub body_bytes: Quota,
    /// Open streams of gRPC's own services: reflection, and watches of health. They
    /// need no credential, so nobody else counts them.
    pub open_streams: Quota,
    /// The longest that a gRPC call may take until its response begins, which for a
    /// unary call is its whole duration. A shorter `grpc-timeout` wins. Then the
    /// call is dropped (`DEADLINE_EXCEEDED`).
    pub deadline: Duration,
    /// The longest that a gRPC request may take to come whole (`DEADLINE_EXCEEDED`).
    pub body_deadline: Duration,
    /// The longest that a caller may take over the answer of a unary call, if it is long or
    /// there is little room. Then the connection is closed.
    pub answer_deadline: Duration,
    /// After this, a stream of reflection is asked nothing more and ends.
    pub reflection: Duration,
}

/// All that a call must pass.
#[derive(Debug)]
struct Guard {
    calls: Places,
    bodies: Bodies,
    answers: Answers,
    open_streams: OpenStreams,
    shapes: Shapes,
    deadline: Duration,
    explain: Explain,
}

/// Gives a status of these guards, or of tonic itself, the details that every error has.
/// The codes are those that [`guard`] names.
pub type Explain = fn(Status) -> Status;

/// Places of calls.
#[derive(Debug, Clone)]
struct Places {
    taken: Shares,
    quota: Quota,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            calls: Quota {
                all: 1024,
                per_site: 256,
            },
            body_bytes: Quota {
                all: 512 << 20,
                per_site: 64 << 20,
            },
            open_streams: Quota {
                all: 1024,
                per_site: 64,
            },
            deadline: Duration::from_secs(30),
            body_deadline: Duration::from_secs(10),
            answer_deadline: Duration::from_secs(60),
            reflection: Duration::from_secs(60),
        }
    }
}

/// Puts `router` behind the limits, with an answer to panics. `shapes` tells what requests
/// become.
///
/// Errors that are not of a service have no details, so `explain` gives them some:
/// `RESOURCE_EXHAUSTED` (one call too many), `INVALID_ARGUMENT` (a request that cannot be
/// read), `UNIMPLEMENTED`, `DEADLINE_EXCEEDED` and `INTERNAL` (a panic). gRPC's own services
/// may answer with other codes.
///
/// Belongs outside the gRPC-web layer, and inside [`crate::browsers::admit`]: browsers
/// must be able to read these answers too. Handlers find their [`Deadline`] in the
/// request's extensions.
///
/// A request is read before anything is done for it, so that one that never comes whole
/// holds its own few bytes and no place. Only the requests of reflection are streams.
pub fn guard(router: Router, limits: &CallLimits, shapes: Shapes, explain: Explain) -> Router {
    let places = |quota| Places {
        taken: Shares::default(),
        quota,
    };
    let guard = Guard {
        calls: places(limits.calls),
        open_streams: OpenStreams {
            places: places(limits.open_streams),
            reflection: limits.reflection,
        },
        bodies: Bodies {
            places: places(limits.body_bytes),
            shapes: shapes.clone(),
            deadline: limits.body_deadline,
        },
        answers: Answers {
            deadline: limits.answer_deadline,
        },
        shapes,
        deadline: limits.deadline,
        explain,
    };
    // One layer for all of it: each costs every call several allocations.
    router.layer(from_fn_with_state(Arc::new(guard), pass))
}

/// The fallback of a router: `UNIMPLEMENTED` to gRPC, 404 to everybody else.
/// Belongs inside [`guard`].
pub async fn unknown_path(request: Request) -> Response {
    Caller::of(&request).answer(answer::unknown(request.uri().path()))
}

async fn pass(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let caller = Caller::of(&request);
    let path = request.uri().clone();
    // Nothing of the call outlives the panic but what it shares with others, and
    // what is shared must be whole at every await.
    let outcome = std::panic::AssertUnwindSafe(guard.in_time(&caller, request, next));
    match outcome.catch_unwind().await {
        Ok(response) => caller.explained(response, path.path(), guard.explain),
        Err(panic) => {
            let path = path.path();
            tracing::error!(path, panic = text(panic.as_ref()), "a call panicked");
            caller.answer((guard.explain)(Status::internal("internal error")))
        }
    }
}

impl Guard {
    async fn in_time(&self, caller: &Caller, mut request: Request, next: Next) -> Response {
        if !caller.is_grpc() {
            return self.admitted(caller, request, next).await;
        }
        let Deadline(deadline) = Deadline::set(&mut request, self.deadline);
        let admitted = self.gathered(caller, request, next);
        match tokio::time::timeout_at(deadline, admitted).await {
            Ok(response) => response,
            Err(_) => caller.answer(Status::deadline_exceeded("the deadline has passed")),
        }
    }

    async fn gathered(&self, caller: &Caller, request: Request, next: Next) -> Response {
        match self.bodies.gather(request).await {
            Ok((request, Some(room))) if self.shapes.is_unary(request.uri().path()) => {
                let connection = request.extensions().get::<Connection>().cloned();
                let answer = self.admitted(caller, request, next).await;
                let held = self.answers.hold(answer, room, connection).await;
                held.unwrap_or_else(|status| caller.answer(status))
            }
            // The room is held until the response begins: until then, so are the bytes.
            Ok((request, _room)) => self.admitted(caller, request, next).await,
            Err(status) => caller.answer(status),
        }
    }

    async fn admitted(&self, caller: &Caller, request: Request, next: Next) -> Response {
        let Some(_place) = self.calls.take(&request, 1) else {
            return caller.answer(busy());
        };
        self.open_streams.count(caller, request, next).await
    }
}

impl Places {
    fn take(&self, request: &Request, amount: usize) -> Option<Share> {
        let site = ClientAddress::site_of(request.extensions());
        // Without a listener there is one caller.
        let site = site.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        self.taken.take(self.quota, site, amount)
    }
}

fn busy() -> Status {
    Status::resource_exhausted("too many calls at the same time; try again")
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let fixed = panic.downcast_ref::<&'static str>().copied();
    fixed
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("of an unknown kind")
}
