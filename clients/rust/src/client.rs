//! The client: what an application holds.

mod context;
mod details;
mod evaluate;
mod explain;
mod options;
mod task;

use std::sync::Arc;

use burgee_proto::types::v1::Position;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub use self::context::{Context, ContextBuilder};
pub use self::details::Details;
pub use self::options::{ClientBuilder, ConfigError};

use self::options::Options;
use crate::store::Store;

/// Evaluates flags in memory, with a ruleset that a task keeps up to date.
///
/// Cheap to clone; clones are the same client. It ends with [`Client::close`],
/// or when the last clone is dropped. What it holds can be evaluated even then.
#[derive(Debug, Clone)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<Store>,
    state: watch::Receiver<State>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    /// Ends the task with the last clone.
    _ends_task: DropGuard,
}

/// How well a client is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Live: a change is here as soon as it is anywhere.
    Ready,
    /// Serving, but not live: the stream has been lost for more than 5 s, the
    /// key was refused, or the ruleset is from disk alone.
    Stale,
    /// Nothing to serve yet; every evaluation gives the caller's default.
    Error,
    /// As `Error`, and the key is refused. It is tried again all the same, after
    /// 1, 2, 4 s … up to 5 min.
    Fatal,
}

/// The client was closed before the position came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client is closed")]
pub struct Closed;

impl Client {
    /// Sets a client up.
    #[must_use]
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    async fn start(options: Options) -> Self {
        let store = Arc::new(Store::new());
        let (state_sender, mut state) = watch::channel(State::Error);
        let shutdown = CancellationToken::new();
        let tasks = TaskTracker::new();
        let init_timeout = options.init_timeout;
        tasks.spawn(task::run(
            options,
            Arc::clone(&store),
            state_sender,
            shutdown.clone(),
        ));
        tasks.close();
        // Late or never is fine: the task goes on.
        let serving = |state: &State| matches!(state, State::Ready | State::Stale);
        let _ = timeout(init_timeout, state.wait_for(serving)).await;
        Self(Arc::new(Inner {
            store,
            state,
            tasks,
            _ends_task: shutdown.clone().drop_guard(),
            shutdown,
        }))
    }

    /// How well the client is served, and every change of that.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<State> {
        self.0.state.clone()
    }

    /// Where the ruleset stands, and every change of that: what was computed
    /// from flags may be computed anew. `None` without a ruleset, or with one
    /// from a file that has no position.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Option<Position>> {
        self.0.store.positions()
    }

    /// Waits until the ruleset is at `position` or newer, such as the one that
    /// an update answered with. Gives the position that it then has.
    ///
    /// # Errors
    /// [`Closed`], if the client is closed before. There is no other time limit.
    pub async fn wait_for_position(&self, position: Position) -> Result<Position, Closed> {
        let mut changes = self.changes();
        tokio::select! {
            biased;
            reached = changes.wait_for(|held| *held >= Some(position)) => {
                reached.ok().and_then(|held| *held).ok_or(Closed)
            }
            () = self.0.shutdown.cancelled() => Err(Closed),
        }
    }

    /// Ends the task and its connections, and writes the copy on disk. May be
    /// called more than once. Evaluations go on with what is held.
    pub async fn close(&self) {
        self.0.shutdown.cancel();
        self.0.tasks.wait().await;
    }
}
