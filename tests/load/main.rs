//! Measures Burgee on this machine, beside what the machine does without it:
//! how long an acknowledged change takes to reach its receivers, how many
//! changes a second it takes beside the bare transaction, how many
//! evaluations a second it answers beside a bare gRPC echo, and what it keeps
//! for each stream.
//!
//! Run it with `make load`; it prints tables in Markdown.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measurement stops at the first thing that is not as it should be"
)]

mod bare_transaction;
mod changes;
mod delivery;
mod echo;
mod evaluations;
mod idle;
mod machine;
mod rate;

use std::sync::Arc;

use burgee_tests::postgres::{Cluster, TestDatabase};
use burgee_tests::server::{TestServer, WITHOUT_RATE_LIMITS};
use clap::{Parser, Subcommand};

/// Measures Burgee on this machine.
#[derive(Parser)]
#[command(name = "burgee-load")]
struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
}

/// What to measure; everything, if nothing is named.
#[derive(Clone, Copy, PartialEq, Eq, Subcommand)]
enum What {
    /// An acknowledged change until it is received, by 1, 100 and 1,000 streams.
    Delivery,
    /// Changes a second, beside the bare transaction.
    Changes,
    /// Evaluations a second, beside a bare echo.
    Evaluations,
    /// What a server keeps for each of 1,000 ruleset streams.
    Idle,
    /// Runs the bare echo; `evaluations` starts it as a process of its own.
    #[command(hide = true)]
    Echo,
}

#[tokio::main]
async fn main() {
    let what = Arguments::parse().what;
    if what == Some(What::Echo) {
        return echo::serve().await;
    }
    println!("{}\n", machine::describe());
    // As in production: what is acknowledged is on the disk.
    let cluster = Cluster::start(true).await;
    let wanted = |it: What| what.is_none_or(|what| what == it);
    if wanted(What::Delivery) {
        delivery::measure(&server(&cluster).await).await;
    }
    if wanted(What::Changes) {
        changes::measure(&server(&cluster).await).await;
    }
    if wanted(What::Evaluations) {
        evaluations::measure(&server(&cluster).await).await;
    }
    if wanted(What::Idle) {
        idle::measure(&server(&cluster).await).await;
    }
}

/// A server on a database of its own, so that no measurement sees another's
/// rows.
async fn server(cluster: &Cluster) -> TestServer {
    let database = Arc::new(TestDatabase::create_on(cluster).await);
    TestServer::on_with(&database, WITHOUT_RATE_LIMITS).await
}
