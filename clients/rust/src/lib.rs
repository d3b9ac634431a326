//! The crate's rooms, from the front door to the innermost:
//!
//! | module | what |
//! |---|---|
//! | [`Client`] | public API, lifecycle, states |
//! | [`sync`] | streams, resuming, waits; the relay follows upstream with it |
//! | `store` | the ruleset that evaluations read, swapped as a whole |
//! | [`snapshot_file`] | the copy on disk |
//! | `burgee-evaluator` | what a flag is for a context: a crate of its own |

mod address;
mod key;
pub mod snapshot_file;
pub mod sync;

pub use burgee_proto as proto;

pub use self::address::{Address, InvalidAddress};
pub use self::key::{InvalidKey, Key};
