//! What a flag is for a context: a pure function of a ruleset at one position,
//! a flag key, a context and a wanted type. No clock, no randomness, no I/O.
//!
//! | step | module |
//! |---|---|
//! | messages of a stream become a verified ruleset | [`receiver`] |
//! | which is items at one position | [`state`], [`hash`] |

pub mod hash;
pub mod receiver;
pub mod state;

pub use burgee_proto::sync::v1::Item;
pub use hash::{Digest, state_hash};
pub use receiver::{Applied, Received, Receiver, Refusal};
pub use state::{ItemId, RulesetState};

/// The highest item level that this evaluator reads rightly. Items of a higher
/// one are not understood: PARSE_ERROR for what depends on them.
pub const LEVEL: u32 = 1;
