//! The open streams, so that each can be told to end, and that one whose peer
//! takes nothing can be cut off.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
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

/// One place of so many is kept from client keys, for services and relays.
const KEPT_FROM_CLIENTS: usize = 5;

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
    of_clients: usize,
    of_clients_by_site: HashMap<IpAddr, usize>,
}

/// Whom a stream is counted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) key: KeyHash,
    /// The key is a client key, which is public.
    pub(crate) is_client: bool,
    /// From where it is used, if that is known.
    pub(crate) site: Option<IpAddr>,
}

/// How many streams may be open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamLimits {
    pub(crate) all: usize,
    pub(crate) per_key: usize,
    pub(crate) of_clients_per_site: usize,
}

/// What others may know of a stream, and do to it.
pub(crate) struct StreamHandle {
    /// Who opened it.
    pub(crate) holder: Holder,
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
    /// [`Refused::Exhausted`] if there are as many as there may be.
    pub(crate) fn register(
        self: &Arc<Self>,
        holder: Holder,
        environment: Option<Arc<str>>,
        close: Option<CloseConnection>,
        limits: &StreamLimits,
    ) -> Result<Registration, Refused> {
        let handle = Arc::new(StreamHandle {
            holder,
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
        open.check_room(&holder, limits)?;
        open.count(&holder);
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

impl Open {
    /// Whether one more may be opened.
    fn check_room(&self, holder: &Holder, limits: &StreamLimits) -> Result<(), Refused> {
        let of_key = self.by_key.get(&holder.key).copied().unwrap_or(0);
        if of_key >= limits.per_key {
            return Err(Refused::Exhausted(
                "too many streams are open with this key",
            ));
        }
        if self.streams.len() >= limits.all {
            return Err(Refused::Exhausted("too many streams are open here"));
        }
        if !holder.is_client {
            return Ok(());
        }
        let of_site = holder.site.and_then(|site| {
            let of_site = self.of_clients_by_site.get(&site);
            of_site.copied()
        });
        if of_site.unwrap_or(0) >= limits.of_clients_per_site {
            return Err(Refused::Exhausted(
                "too many streams are open with client keys from this address",
            ));
        }
        if self.of_clients >= limits.all - limits.all / KEPT_FROM_CLIENTS {
            return Err(Refused::Exhausted(
                "too many streams are open with client keys",
            ));
        }
        Ok(())
    }

    fn count(&mut self, holder: &Holder) {
        *self.by_key.entry(holder.key).or_default() += 1;
        if holder.is_client {
            self.of_clients += 1;
            if let Some(site) = holder.site {
                *self.of_clients_by_site.entry(site).or_default() += 1;
            }
        }
    }

    fn discount(&mut self, holder: &Holder) {
        less_one(&mut self.by_key, &holder.key);
        if holder.is_client {
            self.of_clients -= 1;
            if let Some(site) = &holder.site {
                less_one(&mut self.of_clients_by_site, site);
            }
        }
    }
}

/// Forgets whoever has none left.
fn less_one<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
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
        open.discount(&self.handle.holder);
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

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: StreamLimits = StreamLimits {
        all: 5,
        per_key: 3,
        of_clients_per_site: 2,
    };

    fn open(
        streams: &Arc<Streams>,
        key: u8,
        client_from: Option<u8>,
    ) -> Result<Registration, Refused> {
        let holder = Holder {
            key: [key; 32],
            is_client: client_from.is_some(),
            site: client_from.map(|last| IpAddr::from([192, 0, 2, last])),
        };
        streams.register(holder, None, None, &LIMITS)
    }

    #[tokio::test]
    async fn a_key_has_so_many_streams_and_a_place_again_when_one_ends() {
        let streams = Arc::default();
        let mut held: Vec<_> = (0..3).map(|_| open(&streams, 1, None).unwrap()).collect();
        assert!(open(&streams, 1, None).is_err());
        let other = open(&streams, 2, None).unwrap();
        held.pop();
        held.push(open(&streams, 1, None).unwrap());
        let last = open(&streams, 3, None).unwrap();
        assert!(open(&streams, 4, None).is_err(), "all are taken");
        drop((held, other, last));
        let open = streams.open.lock().unwrap();
        assert!(open.by_key.is_empty() && open.of_clients_by_site.is_empty());
    }

    #[tokio::test]
    async fn client_keys_leave_places_to_others_of_their_kind_and_to_services() {
        let streams = Arc::default();
        let _first = [1, 2].map(|key| open(&streams, key, Some(1)).unwrap());
        assert!(open(&streams, 3, Some(1)).is_err(), "of one address");
        let _second = [1, 2].map(|key| open(&streams, key, Some(2)).unwrap());
        assert!(open(&streams, 3, Some(3)).is_err(), "of all client keys");
        assert!(open(&streams, 4, None).is_ok());
    }
}
