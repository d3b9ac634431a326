//! What must hold for every input: a function for each fuzz target. It panics
//! where something does not.
//!
//! `fuzz_targets/` hands them to libFuzzer; the evaluator's test `fuzz` calls
//! them with the seeds and everything that was found, and with random bytes.
//! Whatever can be is compared with somebody else's code: the crates `semver`,
//! `time`, `ipnet` and `regex`, or a plain model of what the design says.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a target tells"
)]

mod addresses;
mod asking;
mod clause_model;
mod contexts;
mod evaluation_model;
mod items;
mod patterns;
mod receiver_model;
mod times;
mod updates;
mod versions;

#[path = "../../tests/support/builders.rs"]
mod builders;
#[path = "../../examples/conformance/explained.rs"]
mod explained;
#[path = "../../tests/support/generate.rs"]
pub(crate) mod generate;

pub use addresses::addresses;
pub use contexts::contexts;
pub use items::items;
pub use patterns::patterns;
pub use times::times;
pub use updates::updates;
pub use versions::versions;
