//! The open streams, so that each can be told to end, and that one whose peer
//! takes nothing can be cut off.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use burgee_proto::sync::v1::GoodbyeReason;
use futures_core::Stream;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::keys::KeyHash;
use crate::refused::Refused;

/// A stream that must end has so long to say goodbye.
const GOODBYE_MAX: Duration = Duration::from_secs(5);

/// Closes the connection that a request came over. The binary's accept loop
/// puts one into the extensions of each request; a stream whose peer takes
/// nothing is not polled, and cannot end by itself.
#[derive(Clone, Debug)]
pub struct CloseConnection(pub CancellationToken);

/// A stream of a service.
pub(crate) type BoxStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The open streams.
#[derive(Default)]
pub(crate) struct Streams {
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next_id: u64,
    streams: HashMap<u64, Arc<StreamHandle>>,
    by_key: HashMap<KeyHash, usize>,
}

/// What others may know of a stream, and do to it.
pub(crate) struct StreamHandle {
    /// Who opened it.
    pub(crate) key: KeyHash,
    /// What it follows. `None`: the set of environments.
    pub(crate) environment: Option<Arc<str>>,
    /// A loaded environment vouched for the key while the stream was open.
    pub(crate) was_vouched: AtomicBool,
    opened_at: Instant,
    polled_ms: AtomicU64,
    /// A [`GoodbyeReason`]; 0: none.
    ending: AtomicI32,
    ending_ms: AtomicU64,
    must_end: Notify,
    close: Option<CloseConnection>,
}

/// A place among the open streams; given back when dropped.
pub(crate) struct Registration {
    streams: Arc<Streams>,
    id: u64,
    handle: Arc<StreamHandle>,
}

impl Streams {
    /// Adds a stream.
    ///
    /// # Errors
    ///
    /// [`Refused::Exhausted`] if its key has as many as it may.
    pub(crate) fn register(
        self: &Arc<Self>,
        key: KeyHash,
        environment: Option<Arc<str>>,
        close: Option<CloseConnection>,
        per_key_max: usize,
    ) -> Result<Registration, Refused> {
        let handle = Arc::new(StreamHandle {
            key,
            environment,
            was_vouched: AtomicBool::new(false),
            opened_at: Instant::now(),
            polled_ms: AtomicU64::new(0),
            ending: AtomicI32::new(0),
            ending_ms: AtomicU64::new(0),
            must_end: Notify::new(),
            close,
        });
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_key = open.by_key.entry(key).or_default();
        if *of_key >= per_key_max {
            return Err(Refused::Exhausted(
                "too many streams are open with this key",
            ));
        }
        *of_key += 1;
        let id = open.next_id;
        open.next_id += 1;
        open.streams.insert(id, handle.clone());
        Ok(Registration {
            streams: self.clone(),
            id,
            handle,
        })
    }

    /// Every open stream.
    pub(crate) fn all(&self) -> Vec<Arc<StreamHandle>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.streams.values().cloned().collect()
    }

    /// How many are open.
    pub(crate) fn len(&self) -> usize {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.streams.len()
    }
}

impl Registration {
    /// The stream's own handle.
    pub(crate) fn handle(&self) -> &Arc<StreamHandle> {
        &self.handle
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut open = (self.streams.open.lock()).unwrap_or_else(PoisonError::into_inner);
        open.streams.remove(&self.id);
        if let Some(of_key) = open.by_key.get_mut(&self.handle.key) {
            *of_key -= 1;
            if *of_key == 0 {
                open.by_key.remove(&self.handle.key);
            }
        }
    }
}

impl StreamHandle {
    /// Tells the stream to say goodbye. The first reason counts.
    pub(crate) fn end(&self, reason: GoodbyeReason) {
        let first =
            (self.ending).compare_exchange(0, reason.into(), Ordering::AcqRel, Ordering::Acquire);
        if first.is_ok() {
            self.ending_ms.store(self.age_ms(), Ordering::Release);
            self.must_end.notify_one();
        }
    }

    /// Why the stream must end, if it must.
    pub(crate) fn ending(&self) -> Option<GoodbyeReason> {
        match self.ending.load(Ordering::Acquire) {
            0 => None,
            reason => GoodbyeReason::try_from(reason).ok(),
        }
    }

    /// Returns when the stream was told to end.
    pub(crate) async fn must_end(&self) {
        while self.ending().is_none() {
            self.must_end.notified().await;
        }
    }

    /// Closes the connection of a stream whose peer takes nothing (every stream
    /// has something to send within `stalled_after`, a sign of life at the
    /// least), or not even the goodbye.
    pub(crate) fn cut_if_stalled(&self, stalled_after: Duration) {
        let since = |then: &AtomicU64| {
            let then_ms = then.load(Ordering::Acquire);
            Duration::from_millis(self.age_ms().saturating_sub(then_ms))
        };
        let unheard = self.ending().is_some() && since(&self.ending_ms) >= GOODBYE_MAX;
        if !unheard && since(&self.polled_ms) < stalled_after {
            return;
        }
        if let Some(CloseConnection(close)) = &self.close {
            tracing::info!(environment = ?self.environment, "closing a connection that takes nothing");
            close.cancel();
        }
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.opened_at.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

pin_project_lite::pin_project! {
    /// A stream that is on the list while it lives, and notes when it was
    /// polled.
    pub(crate) struct Registered<S> {
        #[pin]
        stream: S,
        registration: Registration,
    }
}

impl<S> Registered<S> {
    pub(crate) fn new(registration: Registration, stream: S) -> Self {
        Self {
            stream,
            registration,
        }
    }
}

impl<S: Stream> Stream for Registered<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let handle = this.registration.handle();
        handle.polled_ms.store(handle.age_ms(), Ordering::Release);
        this.stream.poll_next(context)
    }
}
