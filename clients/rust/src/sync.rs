//! Follows rulesets over the network: `burgee.sync.v1` as its client sees it.
//!
//! | file | what |
//! |---|---|
//! | `follower` | one environment: messages in, verified states out |
//! | `environments` | the set of environments that a relay key opens |
//! | `watch` | a stream that is opened again for ever |
//! | `route` | which address is next, and after what wait |
//! | `connections` | channels shared by many streams |
//! | `key_uses` | tells upstream which keys were used |
//!
//! Nothing here is ever emptied by an error: whoever holds a state keeps it.

mod connections;
mod environments;
mod follower;
mod key_uses;
mod route;
mod watch;

use std::fmt;

use burgee_evaluator::Refusal;
use burgee_proto::sync::v1::{ClientInfo, GoodbyeReason};
use tonic::Status;

pub use self::connections::{Connections, Lease};
pub use self::environments::{EnvironmentsFollower, Membership};
pub use self::follower::{Event, Follower, Holding, Swap};
pub use self::key_uses::report_key_uses;
pub use self::watch::Liveness;
use crate::Key;

/// Where streams come from, and as whom they are asked for.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The hops, in the order in which they are tried.
    pub connections: Connections,
    /// The key that is shown. A new one is used at once where the old one was
    /// refused, and otherwise from the next stream on.
    pub key: tokio::sync::watch::Receiver<Key>,
    /// Who asks.
    pub client: ClientInfo,
}

/// Why a stream ended. Another is opened by itself.
#[derive(Debug, Clone)]
pub enum Lost {
    /// It could not be opened, or broke.
    Failed(Status),
    /// The key was refused. It is tried again, ever more rarely.
    Refused(Status),
    /// Nothing came for 45 s.
    Silent,
    /// A message was not what it claimed to be. What is held stays untouched.
    Lied(Refusal),
    /// It ended in good order.
    Goodbye(GoodbyeReason),
}

impl Lost {
    /// Whether the other side objects to the key.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Refused(_) | Self::Goodbye(GoodbyeReason::KeyRevoked)
        )
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `{:?}` escapes what the other side wrote: it must not forge log lines.
        match self {
            Self::Failed(status) => {
                write!(formatter, "{:?}: {:?}", status.code(), status.message())
            }
            Self::Refused(status) => {
                write!(formatter, "refused: {:?}", status.message())
            }
            Self::Silent => write!(formatter, "nothing was heard for too long"),
            Self::Lied(refusal) => write!(formatter, "a message was refused: {refusal}"),
            Self::Goodbye(reason) => write!(formatter, "goodbye: {reason:?}"),
        }
    }
}

/// Who this process is, for people who look at the connected clients: `sdk` such
/// as `burgee-rust`, its `version`, and an identity made anew here.
#[must_use]
pub fn client_info(sdk: &str, version: &str) -> ClientInfo {
    ClientInfo {
        sdk: sdk.to_owned(),
        version: version.to_owned(),
        instance_id: format!("{:032x}", rand::random::<u128>()),
        level: burgee_evaluator::LEVEL,
    }
}
