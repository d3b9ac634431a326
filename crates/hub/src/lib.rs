//! Holds the latest ruleset of each environment, and serves sync and evaluation
//! from it. The same code in server and relay: what differs is the [`Source`]
//! behind it.
//!
//! | concern | modules |
//! |---|---|
//! | the handle: news in, services out | [`Hub`], `core` |
//! | what feeds it | [`source`] |
//! | an environment, and its latest state | `environment`, `state`, `tombstones` |
//! | messages as bytes, made once | `encoding` |
//! | who may do what, and how often | [`credential`], `keys`, `lookups`, `authentication`, [`limits`] |
//! | what any stream does | `opening`, `follower`, `pace` |
//! | SyncService | `sync`, `ruleset_stream`, `environments_stream` |
//! | EvaluationService | `evaluation`, `results`, `evaluations_stream`, `changes`, `deadline` |
//! | when keys were used; TelemetryService | `uses`, [`telemetry`] |
//! | what ends or idles | `streams`, `maintenance` |
//!
//! Deliberately absent: any knowledge of Postgres or of an upstream; a task, a
//! queue or an encoding for a subscriber.

mod authentication;
mod changes;
mod config;
mod core;
pub mod credential;
mod deadline;
mod encoding;
mod environment;
mod environments_stream;
mod evaluation;
mod evaluations_stream;
mod follower;
mod hub;
mod keys;
pub mod limits;
mod lookups;
mod maintenance;
mod opening;
mod pace;
mod refused;
mod results;
mod ruleset_stream;
mod single_flight;
pub mod source;
mod state;
mod streams;
mod sync;
pub mod telemetry;
mod tombstones;
mod uses;

pub use config::HubConfig;
pub use hub::{CROSS_ORIGIN_PATHS, Hub, NotCompiled};
pub use refused::{ERROR_DOMAIN, explain, reason_name};
pub use source::{EnvironmentDelta, EnvironmentLoad, Source, SourceError, Tombstone};
pub use streams::CloseConnection;
pub use uses::KeyUse;
