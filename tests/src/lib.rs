//! Whatever needs more than one part of Burgee: the harness that the promises
//! (`tests/*.rs`), the scripts (`grpcurl/`) and the measurements (`load/`) share.
//!
//! Everything is real: a private Postgres cluster for the run with a database
//! for each test, the `burgee-server` and `burgee-relay` programs as an operator
//! starts them, gRPC over loopback. Only the world outside is played: a network
//! that fails ([`fault_proxy`]) and an upstream that lies ([`scripted_upstream`]).
//!
//! | module | what it holds |
//! |---|---|
//! | [`wait`] | conditions with a deadline, instead of sleeps |
//! | [`process`] | a child process that ends with the test, and whose output a failing test prints |
//! | [`postgres`] | clusters and databases |
//! | [`server`], [`relay`] | `burgee-server` and `burgee-relay`: start, kill −9, restart |
//! | [`callers`] | typed clients with a credential |
//! | [`contract`] | every RPC and what its fields' comments say, for generated requests |
//! | [`project`] | a project with environments, and short words for changing it |
//! | [`digest`] | what a database holds, in short |
//! | [`accounts`] | service accounts with a role somewhere |
//! | [`audit`] | the audit log behind the API, for whoever tampers with it |
//! | [`secrets`] | keys that secrets are sealed with |
//! | [`people`], [`second_factor`] | people who are invited and sign in |
//! | [`issuer`], [`id_token`] | an OpenID Connect issuer, honest or not |
//! | [`single_sign_on`] | people who sign in with it |
//! | [`builders`] | flags, rules and segments that show only what matters |
//! | [`watcher`] | follows a ruleset stream and checks every message of it |
//! | [`viewer`] | follows the evaluations of a context |
//! | [`fault_proxy`] | a TCP connection that can be cut, stalled, refused |
//! | [`scripted_upstream`] | a sync service that says whatever a test wants |
//! | [`canaries`] | secrets that are searched for where they must not be |
//! | [`collector`] | an OpenTelemetry collector |
//! | [`errors`] | what a refusal says |
//! | [`dev_server`] | `burgee-server dev`, and the lines it prints |
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first thing that is not as it should be"
)]

pub mod accounts;
pub mod audit;
pub mod builders;
pub mod callers;
pub mod canaries;
pub mod collector;
pub mod contract;
pub mod dev_server;
pub mod digest;
pub mod errors;
pub mod fault_proxy;
pub mod id_token;
pub mod issuer;
pub mod people;
pub mod postgres;
pub mod process;
pub mod project;
pub mod relay;
pub mod scripted_upstream;
pub mod second_factor;
pub mod secrets;
pub mod server;
pub mod single_sign_on;
pub mod viewer;
pub mod wait;
pub mod watcher;
