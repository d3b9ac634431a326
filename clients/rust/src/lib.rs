#![doc = include_str!("../README.md")]
//!
//! # The crate's rooms
//!
//! From the front door to the innermost:
//!
//! | module | what |
//! |---|---|
//! | [`Client`] | public API, lifecycle, states |
//! | [`sync`] | streams, resuming, waits; the relay follows upstream with it |
//! | `store` | the ruleset that evaluations read, swapped as a whole |
//! | [`snapshot_file`] | the copy on disk |
//! | `burgee-evaluator` | what a flag is for a context: a crate of its own |

mod address;
mod bootstrap;
mod client;
mod json;
mod key;
pub mod snapshot_file;
mod store;
pub mod sync;

pub use burgee_evaluator::InvalidContext;
pub use burgee_proto as proto;
pub use burgee_proto::types::v1::{ErrorCode, Explanation, Position, Reason};

pub use self::address::{Address, InvalidAddress};
pub use self::client::{
    Client, ClientBuilder, Closed, ConfigError, Context, ContextBuilder, Details, State,
};
pub use self::key::{InvalidKey, Key};
