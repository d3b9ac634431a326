//! Follows one environment: what comes goes to the hub and to the disk.

use std::sync::Arc;
use std::time::SystemTime;

use burgee::snapshot_file::{self, SnapshotFile};
use burgee::sync::{Event, Follower, Holding, Lost, Origin, Swap};
use burgee_hub::Hub;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::holdings::{Followed, Holdings};
use crate::held::{Held, News};

/// A running environment.
#[derive(Debug)]
pub(super) struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
    file: SnapshotFile,
}

/// What an environment is followed with.
pub(super) struct Task {
    environment: String,
    follower: Follower,
    followed: Arc<Followed>,
    holdings: Arc<Holdings>,
    hub: Hub,
    saver: watch::Sender<Option<Holding>>,
    gone: mpsc::Sender<String>,
}

impl Running {
    /// Ends it, writing what is not on disk yet. Nothing of it reaches the hub
    /// afterwards. Gives its file.
    pub(super) async fn stop(self) -> SnapshotFile {
        self.stop.cancel();
        // A task that panicked has said so in the log.
        let _ = self.task.await;
        self.file
    }
}

/// Removes the files of an environment that is no more.
pub(super) async fn remove(file: SnapshotFile) {
    let removed = tokio::task::spawn_blocking(move || (file.remove(), file)).await;
    if let Ok((Err(error), file)) = removed {
        tracing::warn!(file = %file.path().display(), %error, "cannot remove the snapshot");
    }
}

/// Follows `environment` from `restored` on, until it is stopped. `gone` hears of
/// it when upstream says that it was deleted.
pub(super) fn follow(
    environment: &str,
    restored: Option<Holding>,
    file: SnapshotFile,
    origin: &Origin,
    holdings: &Arc<Holdings>,
    hub: &Hub,
    gone: mpsc::Sender<String>,
) -> Running {
    let held = restored
        .as_ref()
        .map(|holding| Held::new(holding.state.clone()));
    if let Some(held) = &held {
        hub.publish_whole(held.load());
    }
    let (saver, saved) = watch::channel(restored.clone());
    let follower = Follower::new(origin, Some(environment.to_owned()), restored, true);
    let followed = Arc::new(Followed::new(held, follower.liveness(), follower.hurry()));
    holdings.insert(environment, Arc::clone(&followed));
    holdings.review();

    let keeping = snapshot_file::keep(file.clone(), saved);
    let stop = CancellationToken::new();
    let task = Task {
        environment: environment.to_owned(),
        follower,
        followed,
        holdings: Arc::clone(holdings),
        hub: hub.clone(),
        saver,
        gone,
    };
    let stopped = stop.clone();
    let task = tokio::spawn(async move {
        // The task ends first: with it goes the sender that keeping waits for.
        let following = stopped.run_until_cancelled_owned(task.run());
        let ((), _) = tokio::join!(keeping, following);
    });
    Running { stop, task, file }
}

impl Task {
    async fn run(mut self) {
        loop {
            match self.follower.next().await {
                Event::Swapped(swap) => self.take(swap),
                Event::Live => {}
                Event::Lost(lost) => self.lose(&lost),
                Event::EnvironmentDeleted => {
                    // Should nobody listen, the relay is shutting down.
                    let _ = self.gone.send(self.environment.clone()).await;
                }
            }
        }
    }

    fn take(&self, swap: Swap) {
        let state = &swap.held.state;
        let news = {
            let mut held = self.followed.held();
            match &mut *held {
                Some(held) => held.advance(state, &swap.change, SystemTime::now()),
                None => News::Whole(held.insert(Held::new(state.clone())).load()),
            }
        };
        match news {
            News::Whole(load) => self.hub.publish_whole(load),
            News::Delta(delta) => self.hub.publish(delta),
        }
        self.followed.told();
        self.holdings.review();
        self.saver.send_replace(Some(swap.held));
    }

    fn lose(&self, lost: &Lost) {
        let environment = &self.environment;
        let address = self.follower.address();
        if let Lost::Lied(_) = lost {
            let refused_in_all = self.holdings.count_lie();
            tracing::warn!(environment, address, %lost, refused_in_all, "serving what is held");
        } else {
            tracing::debug!(environment, address, %lost, "stream lost");
        }
    }
}
