//! How many changes a second are taken, beside the bare transaction.

use burgee_proto::admin::v1::flag_service_client::FlagServiceClient;
use burgee_tests::builders::boolean_flag;
use burgee_tests::callers::{Authenticated, Caller};
use burgee_tests::project::TestEnvironment;
use burgee_tests::server::TestServer;

use crate::bare_transaction::{BareTransactions, Reads};
use crate::rate::{AsyncRepeat, ROUNDS, median, per_second};

/// Callers who change one environment at once.
const CALLERS_OF_ONE: usize = 8;
/// Environments changed at once, by one caller each.
const ENVIRONMENTS: usize = 50;

/// Prints the table.
pub(crate) async fn measure(server: &TestServer) {
    let shop = server.project("shop").await;
    let mut environments = Vec::new();
    for environment in 0..ENVIRONMENTS {
        environments.push(
            shop.environment(&format!("environment-{environment}"))
                .await,
        );
    }
    for flag in 0..CALLERS_OF_ONE {
        shop.create_flag(boolean_flag(&format!("flag-{flag}")))
            .await;
    }
    let bare = BareTransactions::prepare(server.database()).await;
    println!(
        "| changes a second | Burgee | bare transaction | share | with its reads | share |\n\
         |---|---:|---:|---:|---:|---:|"
    );
    let one = vec![environments[0].clone(); CALLERS_OF_ONE];
    row("one environment, 8 callers", server, &bare, &one).await;
    row(
        "50 environments, a caller each",
        server,
        &bare,
        &environments,
    )
    .await;
    println!();
}

/// `environments`: one for each caller.
async fn row(
    what: &str,
    server: &TestServer,
    bare: &BareTransactions,
    environments: &[TestEnvironment],
) {
    let uids: Vec<_> = environments.iter().map(|it| it.uid.as_str()).collect();
    let (mut changes, mut writes, mut reads_and_writes) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let toggles = environments.iter().enumerate();
        let toggle = |(caller, environment): (usize, &TestEnvironment)| {
            let key = format!("flag-{}", caller % CALLERS_OF_ONE);
            Toggle::of(server.admin(), environment, key)
        };
        changes.push(per_second(toggles.map(toggle)).await);
        writes.push(bare_rate(bare, Reads::Nothing, &uids).await);
        reads_and_writes.push(bare_rate(bare, Reads::WhatAChangeReads, &uids).await);
    }
    let (changes, writes) = (median(changes), median(writes));
    let reads_and_writes = median(reads_and_writes);
    println!(
        "| {what} | {changes:.0} | {writes:.0} | {:.2} | {reads_and_writes:.0} | {:.2} |",
        changes / writes,
        changes / reads_and_writes,
    );
}

/// The better of as many at once as there are callers, and one after the other:
/// a queue at a row lock may be slower than that.
async fn bare_rate(bare: &BareTransactions, reads: Reads, environments: &[&str]) -> f64 {
    let queued = per_second(bare.workers(reads, environments).await).await;
    let alone = per_second(bare.workers(reads, &environments[..1]).await).await;
    queued.max(alone)
}

/// A caller who turns a flag on and off.
struct Toggle {
    flags: FlagServiceClient<Authenticated>,
    environment: TestEnvironment,
    key: String,
    enabled: bool,
}

impl Toggle {
    fn of(admin: &Caller, environment: &TestEnvironment, key: String) -> Self {
        Self {
            flags: admin.flags(),
            environment: environment.clone(),
            key,
            enabled: false,
        }
    }
}

impl AsyncRepeat for Toggle {
    async fn once(&mut self) {
        self.enabled = !self.enabled;
        let request = self
            .environment
            .set_enabled_request(&self.key, self.enabled);
        self.flags.set_flag_enabled(request).await.unwrap();
    }
}
