//! What a client evaluates with: one pointer, swapped as a whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use burgee_evaluator::{Ruleset, RulesetState};
use burgee_proto::types::v1::Position;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use crate::Key;
use crate::bootstrap::{self, Bootstrap};
use crate::snapshot_file::SnapshotFile;
use crate::sync::Holding;

/// A disk that does not answer in this time must not keep the network waiting.
const DISK_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes of the key's digest that name its cache file.
const NAME_BYTES: usize = 8;

/// The ruleset that evaluations read, and its position for whoever waits.
#[derive(Debug)]
pub(crate) struct Store {
    loaded: ArcSwapOption<Loaded>,
    position: watch::Sender<Option<Position>>,
}

/// One ruleset, ready to evaluate.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) ruleset: Ruleset,
    /// `None`: from a file that has none.
    pub(crate) position: Option<Position>,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self {
            loaded: ArcSwapOption::empty(),
            position: watch::Sender::new(None),
        }
    }

    /// What to evaluate with. Neither blocks nor counts references.
    pub(crate) fn load(&self) -> arc_swap::Guard<Option<Arc<Loaded>>> {
        self.loaded.load()
    }

    /// Whether there is anything to evaluate with.
    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded.load().is_some()
    }

    /// The position, as it changes.
    pub(crate) fn positions(&self) -> watch::Receiver<Option<Position>> {
        self.position.subscribe()
    }

    /// Takes over what the network brought, compiling only what changed.
    pub(crate) fn swap(&self, state: &RulesetState) {
        let ruleset = match &*self.loaded.load() {
            Some(before) => before.ruleset.recompile(state),
            None => Ruleset::compile(state),
        };
        self.set(ruleset, Some(state.position()));
    }

    /// Takes over what was on disk.
    pub(crate) fn restore(&self, bootstrap: Bootstrap) {
        match bootstrap {
            Bootstrap::Snapshot(held) => {
                self.set(Ruleset::compile(&held.state), Some(held.state.position()));
            }
            Bootstrap::Ruleset(ruleset) => self.set(ruleset, None),
        }
    }

    fn set(&self, ruleset: Ruleset, position: Option<Position>) {
        // The pointer first: whoever hears of a position finds it there.
        self.loaded
            .store(Some(Arc::new(Loaded { ruleset, position })));
        self.position.send_replace(position);
    }
}

/// The copy on disk of the environment that a key opens. The key's digest tells
/// two applications apart that share a folder.
pub(crate) fn cache_file(folder: &Path, key: &Key) -> SnapshotFile {
    let digest = Sha256::digest(key.expose());
    let name: String = digest
        .iter()
        .take(NAME_BYTES)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    SnapshotFile::new(folder.join(format!("{name}.snapshot")))
}

/// Reads what is on disk: the copy, else the bootstrap file. Gives the former
/// as a place to resume from.
pub(crate) async fn read_disk(
    cache: Option<SnapshotFile>,
    bootstrap_file: Option<PathBuf>,
) -> (Option<Holding>, Option<Bootstrap>) {
    let reading = tokio::task::spawn_blocking(move || {
        if let Some(snapshot) = cache.and_then(|file| file.load(None)) {
            let held = snapshot.held;
            return (Some(held.clone()), Some(Bootstrap::Snapshot(held)));
        }
        let Some(path) = bootstrap_file else {
            return (None, None);
        };
        match bootstrap::read(&path) {
            Ok(bootstrap) => (None, Some(bootstrap)),
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "bootstrap file cannot be used");
                (None, None)
            }
        }
    });
    match tokio::time::timeout(DISK_TIMEOUT, reading).await {
        Ok(Ok(read)) => read,
        Ok(Err(_cancelled)) => (None, None),
        Err(_elapsed) => {
            tracing::warn!("the disk does not answer; starting without it");
            (None, None)
        }
    }
}
