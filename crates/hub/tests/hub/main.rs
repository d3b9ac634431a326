//! The hub, called through its gRPC routes in process, fed by a source that
//! does what each test says. Every ruleset message goes through the receiver
//! that SDKs and relays use, which checks order and hash.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod convergence;
mod evaluation;
mod flags;
mod following;
mod harness;
mod keys;
mod lifecycle;
mod resuming;
mod viewer;
mod watching;
mod world;
