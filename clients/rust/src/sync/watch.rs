//! A server stream that is opened again for ever: addresses, waits, watchdog,
//! and the key's replacement. What the messages mean is for its owner.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use burgee_proto::sync::v1::GoodbyeReason;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};

use super::connections::{Connections, Lease};
use super::route::{Ending, Route};
use super::{Lost, Origin};
use crate::Key;

/// A stream without a message for so long is lost: bookmarks come every 15 s.
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// How long a hop may take to accept a stream.
const OPEN_TIMEOUT: Duration = Duration::from_secs(15);

/// A method of the sync service that streams.
pub(crate) trait Method: Send + 'static {
    /// What opens the stream.
    type Request: Send + 'static;
    /// What comes.
    type Message: Send + 'static;

    /// Makes the call.
    fn open(
        channel: Channel,
        request: Request<Self::Request>,
    ) -> impl Future<Output = Result<Streaming<Self::Message>, Status>> + Send;
}

/// What a watch yields.
#[derive(Debug)]
pub(crate) enum Signal<M> {
    /// The other side said something.
    Message(M),
    /// The stream is gone; the next call opens another.
    Lost(Lost),
}

/// Whether a stream is live, for whoever decides what a hop may claim. Clones
/// look at the same stream.
#[derive(Debug, Clone, Default)]
pub struct Liveness(Arc<Mutex<Option<Instant>>>);

/// The watch itself. [`Watch::next`] may be dropped at any await without losing
/// anything.
pub(crate) struct Watch<M: Method> {
    connections: Connections,
    key: watch::Receiver<Key>,
    hurry: Arc<Notify>,
    route: Route,
    phase: Phase<M>,
    live_since: Option<Instant>,
    liveness: Liveness,
}

enum Phase<M: Method> {
    Waiting {
        until: Instant,
        /// Whether a hurry ends it: not where the other side asked for patience.
        may_hurry: bool,
    },
    Opening(Pin<Box<dyn Future<Output = Opening<M>> + Send>>),
    Open(Box<Open<M>>),
}

/// A stream with its share of a connection.
struct Open<M: Method> {
    stream: Streaming<M::Message>,
    lease: Lease,
    silent_at: Instant,
}

type Opening<M> = Result<Open<M>, (Status, Option<Lease>)>;

impl Liveness {
    /// Whether the stream has delivered everything since it was opened, and was
    /// heard within the last 45 s.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.lock()
            .is_some_and(|heard_at| heard_at.elapsed() < SILENCE_MAX)
    }

    fn set(&self, heard_at: Option<Instant>) {
        *self.lock() = heard_at;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M: Method> Watch<M> {
    /// A watch that opens its first stream when it is first asked.
    pub(crate) fn new(origin: &Origin) -> Self {
        Self {
            route: Route::new(origin.connections.addresses()),
            connections: origin.connections.clone(),
            key: origin.key.clone(),
            hurry: Arc::default(),
            phase: Phase::Waiting {
                until: Instant::now(),
                may_hurry: false,
            },
            live_since: None,
            liveness: Liveness::default(),
        }
    }

    /// Whether the stream is live.
    pub(crate) fn liveness(&self) -> Liveness {
        self.liveness.clone()
    }

    /// Cuts a wait after a failure short when notified.
    pub(crate) fn hurry(&self) -> Arc<Notify> {
        Arc::clone(&self.hurry)
    }

    /// The address that is up, for logs.
    pub(crate) fn address(&self) -> String {
        self.connections
            .address(self.route.current())
            .map(ToString::to_string)
            .unwrap_or_default()
    }

    /// Waits for the next message, opening a stream with `request` whenever
    /// there is none.
    pub(crate) async fn next(&mut self, request: impl Fn() -> M::Request) -> Signal<M::Message> {
        loop {
            match &mut self.phase {
                Phase::Waiting { until, may_hurry } => {
                    let (until, may_hurry) = (*until, *may_hurry);
                    self.wait(until, may_hurry).await;
                    self.phase = Phase::Opening(self.open(request()));
                }
                Phase::Opening(opening) => match opening.await {
                    Ok(open) => self.phase = Phase::Open(Box::new(open)),
                    Err((status, lease)) => return self.broke(status, lease.as_ref()),
                },
                Phase::Open(open) => {
                    let message = timeout_at(open.silent_at, open.stream.message()).await;
                    return self.heard(message);
                }
            }
        }
    }

    /// Everything up to now has been delivered on this stream.
    pub(crate) fn mark_live(&mut self) {
        let now = Instant::now();
        self.live_since.get_or_insert(now);
        self.liveness.set(Some(now));
    }

    /// The owner is done with this stream: it said goodbye, or something wrong.
    pub(crate) fn end(&mut self, ending: Ending) {
        if let (Phase::Open(open), Ending::Goodbye { reason, .. }) = (&self.phase, ending)
            && matches!(reason, GoodbyeReason::Rotate | GoodbyeReason::Draining)
        {
            // The next stream is to land somewhere else.
            open.lease.retire();
        }
        let live_for = self
            .live_since
            .take()
            .map_or(Duration::ZERO, |since| since.elapsed());
        self.liveness.set(None);
        let wait = self.route.after(ending, live_for, rand::random());
        self.phase = Phase::Waiting {
            until: Instant::now() + wait,
            may_hurry: ending == Ending::Failed,
        };
    }

    /// Sleeps, unless a new key or a hurry makes it worth trying at once.
    async fn wait(&mut self, until: Instant, may_hurry: bool) {
        tokio::select! {
            () = sleep_until(until) => {}
            () = self.hurry.notified(), if may_hurry => {}
            Ok(()) = self.key.changed() => self.route.restart(),
        }
    }

    fn open(&mut self, message: M::Request) -> Pin<Box<dyn Future<Output = Opening<M>> + Send>> {
        let connections = self.connections.clone();
        let index = self.route.current();
        let key = self.key.borrow_and_update().clone();
        Box::pin(async move {
            let mut request = Request::new(message);
            match key.authorization() {
                Ok(value) => request.metadata_mut().insert("authorization", value),
                Err(invalid) => return Err((Status::unauthenticated(invalid.to_string()), None)),
            };
            let lease = match connections.lease(index).await {
                Ok(lease) => lease,
                Err(status) => return Err((status, None)),
            };
            match timeout(OPEN_TIMEOUT, M::open(lease.channel(), request)).await {
                Ok(Ok(stream)) => Ok(Open {
                    stream,
                    lease,
                    silent_at: Instant::now() + SILENCE_MAX,
                }),
                Ok(Err(status)) => Err((status, Some(lease))),
                Err(_elapsed) => {
                    lease.retire();
                    Err((Status::deadline_exceeded("no answer in time"), Some(lease)))
                }
            }
        })
    }

    fn heard(
        &mut self,
        message: Result<Result<Option<M::Message>, Status>, tokio::time::error::Elapsed>,
    ) -> Signal<M::Message> {
        let Phase::Open(open) = &mut self.phase else {
            return Signal::Lost(Lost::Silent);
        };
        match message {
            Ok(Ok(Some(message))) => {
                let now = Instant::now();
                open.silent_at = now + SILENCE_MAX;
                open.lease.heard();
                if self.live_since.is_some() {
                    self.liveness.set(Some(now));
                }
                Signal::Message(message)
            }
            Ok(Ok(None)) => {
                self.end(Ending::Failed);
                Signal::Lost(Lost::Failed(Status::unavailable("the stream ended")))
            }
            Ok(Err(status)) => {
                if status.code() == Code::Unavailable {
                    open.lease.unavailable();
                } else if !is_refusal(&status) {
                    open.lease.retire();
                }
                self.broke(status, None)
            }
            Err(_elapsed) => {
                // Half open: nothing more is to be sent over it.
                open.lease.retire();
                self.end(Ending::Failed);
                Signal::Lost(Lost::Silent)
            }
        }
    }

    fn broke(&mut self, status: Status, lease: Option<&Lease>) -> Signal<M::Message> {
        if status.code() == Code::Unavailable
            && let Some(lease) = lease
        {
            lease.unavailable();
        }
        if is_refusal(&status) {
            self.end(Ending::Refused);
            return Signal::Lost(Lost::Refused(status));
        }
        self.end(Ending::Failed);
        Signal::Lost(Lost::Failed(status))
    }
}

/// Whether it is the key that the other side objects to. Waiting a little will
/// not help then.
fn is_refusal(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unauthenticated | Code::PermissionDenied | Code::NotFound
    )
}

#[cfg(test)]
mod tests;
