//! Many who want the same thing at once wait for one who fetches it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{BoxFuture, FutureExt as _, Shared};
use tokio::runtime::Handle;

/// The flights under way, by what they fetch.
pub(crate) struct SingleFlight<K, V> {
    flights: Arc<Mutex<HashMap<K, Flight<V>>>>,
}

/// `None`: whoever fetched it was stopped or panicked.
type Flight<V> = Shared<BoxFuture<'static, Option<V>>>;

impl<K, V> Default for SingleFlight<K, V> {
    fn default() -> Self {
        Self {
            flights: Arc::default(),
        }
    }
}

impl<K, V> SingleFlight<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Joins the flight for `key`, or starts it on a task of its own, which
    /// goes on when those who wait leave.
    pub(crate) async fn run<F>(
        &self,
        runtime: &Handle,
        key: &K,
        fetch: impl FnOnce() -> F,
    ) -> Option<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let flight = {
            let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
            match flights.get(key) {
                Some(flight) => flight.clone(),
                None => {
                    let landing = Landing {
                        flights: self.flights.clone(),
                        key: key.clone(),
                    };
                    let fetch = fetch();
                    let task = runtime.spawn(async move {
                        let _landing = landing;
                        fetch.await
                    });
                    let flight = task.map(Result::ok).boxed().shared();
                    flights.insert(key.clone(), flight.clone());
                    flight
                }
            }
        };
        flight.await
    }
}

/// Takes a flight off the list when it is over, however it ends.
struct Landing<K: Eq + Hash, V> {
    flights: Arc<Mutex<HashMap<K, Flight<V>>>>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        flights.remove(&self.key);
    }
}
