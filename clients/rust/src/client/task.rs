//! The task behind a client: follows the environment, keeps the disk copy, and
//! says how well the client is served.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::State;
use super::options::Options;
use crate::snapshot_file;
use crate::store::{Store, cache_file, read_disk};
use crate::sync::{Connections, Event, Follower, Holding, Lost, Origin, client_info};

/// What servers and people who look at connected clients see.
const SDK: &str = "burgee-rust";
const VERSION: &str = env!("CARGO_PKG_VERSION");
const USER_AGENT: &str = concat!("burgee-rust/", env!("CARGO_PKG_VERSION"));
/// A stream that is back within this time was never missed.
const STALE_AFTER: Duration = Duration::from_secs(5);
/// How long the last write to disk may hold up [`super::Client::close`].
const LAST_SAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// Runs until `shutdown`.
pub(super) async fn run(
    options: Options,
    store: Arc<Store>,
    state: watch::Sender<State>,
    shutdown: CancellationToken,
) {
    let cache = match &options.cache_dir {
        Some(folder) => prepare(folder)
            .await
            .then(|| cache_file(folder, &options.key)),
        None => None,
    };
    let (held, bootstrap) = read_disk(cache.clone(), options.bootstrap_file.clone()).await;
    let mut serving = Serving::new(store, state);
    if let Some(bootstrap) = bootstrap {
        serving.store.restore(bootstrap);
        serving.report(State::Stale, "loaded from disk");
    }

    let (saver, saved) = watch::channel(held.clone());
    let keeping = cache.map(|file| tokio::spawn(snapshot_file::keep(file, saved)));
    let (_key_sender, key) = watch::channel(options.key);
    let origin = Origin {
        connections: Connections::new(options.addresses, USER_AGENT, options.ca_file),
        key,
        client: client_info(SDK, VERSION),
    };
    let mut follower = Follower::new(&origin, None, held, false);
    shutdown
        .run_until_cancelled(serving.follow(&mut follower, &saver))
        .await;

    drop(follower);
    drop(saver);
    if let Some(keeping) = keeping {
        // A disk that hangs must not keep the application from ending.
        let _ = timeout(LAST_SAVE_TIMEOUT, keeping).await;
    }
}

/// Makes the folder for the copy, and says whether it is there.
async fn prepare(folder: &Path) -> bool {
    match tokio::fs::create_dir_all(folder).await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(folder = %folder.display(), %error, "no copy will be kept on disk");
            false
        }
    }
}

/// What the task knows about how well it serves.
struct Serving {
    store: Arc<Store>,
    state: watch::Sender<State>,
    /// When a lost stream is long enough lost.
    stale_at: Option<Instant>,
}

impl Serving {
    fn new(store: Arc<Store>, state: watch::Sender<State>) -> Self {
        Self {
            store,
            state,
            stale_at: None,
        }
    }

    async fn follow(&mut self, follower: &mut Follower, saver: &watch::Sender<Option<Holding>>) {
        loop {
            let stale_at = self.stale_at;
            let stale = async {
                match stale_at {
                    Some(stale_at) => sleep_until(stale_at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = follower.next() => self.handle(event, saver, &follower.address()),
                () = stale => {
                    self.stale_at = None;
                    self.report(State::Stale, "the stream is lost");
                }
            }
        }
    }

    fn handle(&mut self, event: Event, saver: &watch::Sender<Option<Holding>>, address: &str) {
        match event {
            Event::Swapped(swap) => {
                self.store.swap(&swap.held.state);
                saver.send_replace(Some(swap.held));
                // The first ruleset ends the wait of whoever connects; the
                // bookmark behind it says the same a moment later.
                if matches!(*self.state.borrow(), State::Error | State::Fatal) {
                    self.report(State::Ready, address);
                }
            }
            Event::Live => {
                self.stale_at = None;
                self.report(State::Ready, address);
            }
            Event::Lost(lost) => self.lose(&lost, address),
            // Last known good never expires: whoever relies on these flags is
            // still running.
            Event::EnvironmentDeleted => self.refused("the environment was deleted"),
        }
    }

    fn lose(&mut self, lost: &Lost, address: &str) {
        tracing::debug!(%address, %lost, "stream lost");
        if lost.is_refusal() {
            self.refused(&lost.to_string());
        } else if *self.state.borrow() == State::Ready {
            self.stale_at
                .get_or_insert_with(|| Instant::now() + STALE_AFTER);
        } else if !self.store.is_loaded() {
            self.report(State::Error, &lost.to_string());
        }
    }

    fn refused(&mut self, cause: &str) {
        self.stale_at = None;
        if self.store.is_loaded() {
            self.report(State::Stale, cause);
        } else {
            self.report(State::Fatal, cause);
        }
    }

    /// Publishes a state, with one line in the log if it is another one.
    fn report(&self, state: State, cause: &str) {
        let changed = self.state.send_if_modified(|current| {
            let changed = *current != state;
            *current = state;
            changed
        });
        match state {
            _ if !changed => {}
            State::Ready => tracing::info!(address = cause, "following the ruleset"),
            State::Stale => tracing::warn!(cause, "serving the last known ruleset"),
            State::Error => tracing::warn!(cause, "no ruleset yet"),
            State::Fatal => tracing::error!(cause, "no ruleset, and the key is refused"),
        }
    }
}
