//! Answers the hub's questions from what upstream has delivered.

use std::time::Duration;

use burgee_hub::{EnvironmentLoad, Source, SourceError};
use burgee_proto::types::v1::AccessKey;
use tokio::time::timeout;

use super::holdings::Holdings;

/// How long upstream is given to bring something newer. The hub asks again
/// while somebody waits.
const CATCH_UP_WAIT: Duration = Duration::from_secs(1);

#[tonic::async_trait]
impl Source for Holdings {
    async fn load(&self, environment: &str) -> Result<Option<EnvironmentLoad>, SourceError> {
        match self.get(environment) {
            Some(followed) => match &*followed.held() {
                Some(held) => Ok(Some(held.load())),
                None => Err(SourceError::Unavailable(
                    "upstream has not sent it yet".to_owned(),
                )),
            },
            None if self.knows_all_environments() => Ok(None),
            None => Err(SourceError::Unavailable(
                "upstream is away, and it is not on disk".to_owned(),
            )),
        }
    }

    async fn catch_up(&self, environment: &str) -> Result<(), SourceError> {
        let Some(followed) = self.get(environment) else {
            return Err(SourceError::Unavailable("it is not followed".to_owned()));
        };
        let mut positions = followed.positions();
        positions.mark_unchanged();
        if !followed.liveness.is_live() {
            followed.hurry();
        }
        // Upstream pushes: what is new there is on its way.
        match timeout(CATCH_UP_WAIT, positions.changed()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_dropped)) => Err(SourceError::Unavailable("it was dropped".to_owned())),
            Err(_elapsed) if followed.liveness.is_live() => Ok(()),
            Err(_elapsed) => Err(SourceError::Unavailable("upstream is away".to_owned())),
        }
    }

    async fn access_key(&self, _hash: &[u8; 32]) -> Result<Option<AccessKey>, SourceError> {
        // The hub holds every environment that is held here, and with it every
        // key that there is.
        if self.is_current() {
            Ok(None)
        } else {
            Err(SourceError::Unavailable(
                "upstream is away, and may know the key".to_owned(),
            ))
        }
    }

    fn is_current(&self) -> bool {
        Holdings::is_current(self)
    }
}
