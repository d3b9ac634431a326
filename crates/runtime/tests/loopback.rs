//! The listener and the guards, over real sockets and with real clients.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests may stop at the first thing that is not as it should be"
)]

#[path = "loopback/answers.rs"]
mod answers;
#[path = "loopback/attacks.rs"]
mod attacks;
#[path = "loopback/bodies.rs"]
mod bodies;
#[path = "loopback/calls.rs"]
mod calls;
#[path = "loopback/listening.rs"]
mod listening;
#[path = "loopback/served.rs"]
mod served;
#[path = "loopback/shutdown.rs"]
mod shutdown;
#[path = "loopback/tls.rs"]
mod tls;
