//! Where rulesets come from, seen from the hub: Postgres through the server's
//! change feed, or another hop through the relay's upstream.

use std::sync::Arc;
use std::time::SystemTime;

use burgee_proto::sync::v1::Item;
use burgee_proto::types::v1::{AccessKey, Position};

/// What the hub asks of whoever feeds it. News comes the other way, through
/// [`Hub::publish`](crate::Hub::publish) and its siblings.
#[tonic::async_trait]
pub trait Source: Send + Sync + 'static {
    /// Reads a whole environment. `None`: there certainly is no such
    /// environment; whoever cannot be certain answers an error.
    ///
    /// # Errors
    ///
    /// A [`SourceError`]. What the hub holds stays as it is.
    async fn load(&self, environment: &str) -> Result<Option<EnvironmentLoad>, SourceError>;

    /// Reads now what is new in an environment, without waiting for the next
    /// wake-up. What is found arrives through `publish`, at the latest when
    /// this returns.
    ///
    /// # Errors
    ///
    /// A [`SourceError`]. The hub asks again while somebody waits.
    async fn catch_up(&self, environment: &str) -> Result<(), SourceError>;

    /// Looks up a key that no loaded environment vouches for. A hop that knows
    /// no keys beside those of its environments answers `None` while it is
    /// current.
    ///
    /// # Errors
    ///
    /// A [`SourceError`], also by a hop that is not current.
    async fn access_key(&self, hash: &[u8; 32]) -> Result<Option<AccessKey>, SourceError>;

    /// Whether news would arrive: the database answers, or every upstream
    /// stream is live. While it is not, an unknown key is no proof of anything,
    /// and nothing that is held is let go.
    fn is_current(&self) -> bool;
}

/// Why a source could not answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// It is away or too slow. The text is for the log alone.
    #[error("the source is unavailable: {0}")]
    Unavailable(String),
    /// What it holds cannot be read. The text is for the log alone.
    #[error("the source is corrupt: {0}")]
    Corrupt(String),
}

/// A whole environment.
#[derive(Clone, Debug)]
pub struct EnvironmentLoad {
    /// Its uid.
    pub environment: String,
    /// Where it stands.
    pub position: Position,
    /// Removals up to this revision are no longer known: a receiver below it
    /// needs a snapshot. A hop that took a snapshot gives that revision.
    pub floor: u64,
    /// Every item, access keys included.
    pub items: Vec<Arc<Item>>,
    /// What was removed above `floor`.
    pub tombstones: Vec<Tombstone>,
    /// When `position` was committed, on the database's clock, where known.
    pub committed_at: Option<SystemTime>,
}

/// A removed item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// The enum number of its kind.
    pub kind: i32,
    /// Its key within the kind.
    pub key: String,
    /// The revision that removed it. A hop that learnt of it by a delta gives
    /// that delta's revision.
    pub revision: u64,
}

/// What changed in an environment between two positions of one epoch: the last
/// writer of each item.
#[derive(Clone, Debug)]
pub struct EnvironmentDelta {
    /// The environment's uid.
    pub environment: String,
    /// Everything after this position is in here. The hub takes it if it holds
    /// this or anything up to `position`; otherwise it asks the source again.
    pub from: Position,
    /// Where the environment stands with it.
    pub position: Position,
    /// New items and items with a new body.
    pub upserted: Vec<Arc<Item>>,
    /// Items that are gone.
    pub removed: Vec<Tombstone>,
    /// When `position` was committed, on the database's clock, where known.
    pub committed_at: Option<SystemTime>,
}
