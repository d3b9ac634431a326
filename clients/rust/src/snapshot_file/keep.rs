//! Keeps a snapshot file up to date with what is held in memory.

use std::time::{Duration, SystemTime};

use burgee_proto::types::v1::Position;
use tokio::sync::watch;
use tokio::time::timeout;

use super::{SaveError, SnapshotFile};
use crate::sync::Holding;

/// A file is written at most this often.
pub const SAVE_INTERVAL: Duration = Duration::from_secs(5);

/// Saves what the channel holds whenever it changes, at most every 5 s, and once
/// more without delay when the sender is dropped; then it returns. What the
/// channel holds at first counts as saved; `None` is never saved.
pub fn keep(
    file: SnapshotFile,
    mut held: watch::Receiver<Option<Holding>>,
) -> impl Future<Output = ()> + Send {
    // Read here, and not at the first poll: something may be sent before it.
    let saved = held.borrow_and_update().as_ref().map(Identity::of);
    run(file, held, saved)
}

async fn run(
    file: SnapshotFile,
    mut held: watch::Receiver<Option<Holding>>,
    mut saved: Option<Identity>,
) {
    loop {
        let unsaved = |held: &Option<Holding>| {
            let identity = held.as_ref().map(Identity::of);
            identity.is_some() && identity != saved
        };
        let Ok(current) = held.wait_for(unsaved).await.map(|current| current.clone()) else {
            return;
        };
        let succeeded = save(&file, current.as_ref()).await;
        if succeeded {
            saved = current.as_ref().map(Identity::of);
        }
        let ended = timeout(SAVE_INTERVAL, held.wait_for(|_| false))
            .await
            .is_ok();
        if ended && !succeeded {
            return;
        }
    }
}

/// Tells states apart: two at one position can differ, when the first was
/// mended by a snapshot.
#[derive(Debug, PartialEq, Eq)]
struct Identity(Position, [u8; 16], [u8; 16]);

impl Identity {
    fn of(held: &Holding) -> Self {
        let state = &held.state;
        Self(state.position(), state.state_hash(), state.access_hash())
    }
}

async fn save(file: &SnapshotFile, held: Option<&Holding>) -> bool {
    let Some(held) = held.cloned() else {
        return true;
    };
    let path = file.path().to_owned();
    let file = file.clone();
    let saving = tokio::task::spawn_blocking(move || file.save(&held, SystemTime::now()));
    match saving.await {
        Ok(Ok(())) => true,
        // Whoever has the lock writes the same environment.
        Ok(Err(SaveError::Busy)) => false,
        Ok(Err(SaveError::Io(error))) => {
            tracing::warn!(file = %path.display(), %error, "snapshot file cannot be written");
            false
        }
        // The runtime is shutting down.
        Err(_cancelled) => false,
    }
}
