//! What a flag is for a context: a pure function of a ruleset at one position,
//! a flag key, a context and a wanted type. No clock, no randomness, no I/O.
//!
//! | step | module |
//! |---|---|
//! | messages of a stream become a verified ruleset | [`receiver`] |
//! | which is items at one position, with a hash | [`state`], [`hash`] |
//! | it is compiled, item by item | `ruleset`, `flag`, `segment`, `condition`, `operators` |
//! | and linked: who names whom, who is not understood, whom a change touches | `link`, `difference` |
//! | a context is flattened, its limits checked | [`context`], `attribute` |
//! | and a flag evaluated, step by step | `evaluate`, [`bucket`] |
//! | which can be told | `trace`, [`explain`] |
//! | before that, the server admits what it stores and ships | [`admit_flag`], [`limits`], [`normal_form`], [`pattern`] |
//!
//! ```
//! use burgee_evaluator::{Context, Ruleset};
//! use burgee_proto::types::v1 as types;
//!
//! let ruleset = Ruleset::from_message(&types::Ruleset::default());
//! let alice = types::EvaluationContext {
//!     targeting_key: "alice".into(),
//!     attributes: None,
//! };
//! let alice = Context::new(&alice)?;
//! let evaluated = ruleset.evaluate("checkout", &alice, types::ValueType::Boolean);
//! assert_eq!(evaluated.error_code, types::ErrorCode::FlagNotFound);
//! # Ok::<(), burgee_evaluator::InvalidContext>(())
//! ```

mod admission;
mod attribute;
pub mod bucket;
mod condition;
pub mod context;
mod difference;
mod evaluate;
pub mod explain;
mod flag;
pub mod hash;
mod keys;
pub mod limits;
mod link;
pub mod normal_form;
mod operators;
pub mod pattern;
mod problem;
pub mod receiver;
mod ruleset;
mod segment;
mod source;
pub mod state;
mod trace;

pub use admission::{admit_flag, admit_segment};
pub use burgee_proto::sync::v1::Item;
pub use context::{Context, InvalidContext};
pub use evaluate::Evaluated;
pub use hash::{Digest, state_hash};
pub use operators::cidr::normalise_block;
pub use problem::Problem;
pub use receiver::{Applied, Received, Receiver, Refusal};
pub use ruleset::{Ruleset, check_condition, check_flag, check_segment};
pub use state::{ItemId, RulesetState};

/// The highest item level that this evaluator reads rightly. Items of a higher
/// one are not understood: PARSE_ERROR for what depends on them.
pub const LEVEL: u32 = 1;
