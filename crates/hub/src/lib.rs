//! Holds the latest ruleset of each environment, and serves sync and evaluation
//! from it. The same code in server and relay: what differs is the [`Source`]
//! behind it.
//!
//! | concern | module |
//! |---|---|
//! | what feeds the hub | [`source`] |
//! | what a credential looks like | [`credential`] |

mod config;
pub mod credential;
pub mod source;

pub use config::HubConfig;
pub use source::{EnvironmentDelta, EnvironmentLoad, Source, SourceError, Tombstone};
