//! The control plane without its port, on a real Postgres.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may stop at the first thing that is not as it should be"
)]

mod api_keys;
mod credentials;
mod deletions;
mod ended_keys;
mod epochs;
mod plane;
mod relay_keys;
mod uses;
