//! The relay's upstream: follows every environment that the relay key opens, and
//! feeds the hub with what comes.
//!
//! | file | what |
//! |---|---|
//! | `holdings` | what has been received so far, and how it stands |
//! | `membership` | environments come and go with what the key opens |
//! | `environment` | follows one environment |
//! | `source` | answers the hub's questions |
//! | `key_uses` | tells upstream which keys were used |
//!
//! Only upstream's word that an environment is gone drops it: `removed`, a set
//! without it, or a goodbye because it was deleted. An error never does, and a
//! refused key never does.

mod environment;
mod holdings;
mod key_uses;
mod membership;
mod source;

use std::sync::Arc;

use burgee::sync::Origin;
use burgee_hub::Hub;
use tokio_util::sync::CancellationToken;

pub use self::holdings::{Holdings, Standing};
use crate::data_dir::{DataDir, Restored};

/// Feeds a hub from upstream.
pub struct Upstream {
    origin: Origin,
    holdings: Arc<Holdings>,
    hub: Hub,
    data_dir: Arc<DataDir>,
}

impl Upstream {
    /// Feeds `hub` with what the origin's key opens. `holdings` is the hub's
    /// source.
    #[must_use]
    pub fn new(origin: Origin, holdings: Arc<Holdings>, hub: Hub, data_dir: Arc<DataDir>) -> Self {
        Self {
            origin,
            holdings,
            hub,
            data_dir,
        }
    }

    /// Serves what was on disk, and follows upstream until `shutdown`; then
    /// writes what is not on disk yet.
    pub async fn run(self, restored: Vec<Restored>, shutdown: CancellationToken) {
        let uses = key_uses::run(self.origin.clone(), self.hub.clone(), shutdown.clone());
        let mut environments = membership::Environments::new(self);
        for restored in restored {
            environments.restore(restored);
        }
        tokio::join!(environments.run(shutdown), uses);
    }
}
