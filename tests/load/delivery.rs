//! How long after its acknowledgement a change is received.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use burgee_proto::sync::v1::WatchRulesetRequest;
use burgee_proto::types::v1::Position;
use burgee_tests::builders::boolean_flag;
use burgee_tests::callers::Caller;
use burgee_tests::project::TestEnvironment;
use burgee_tests::server::TestServer;
use hdrhistogram::Histogram;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Streams at once.
const STREAMS: [usize; 3] = [1, 100, 1_000];
/// Streams that share a connection, as those of a proxy or a relay do.
const STREAMS_A_CONNECTION: usize = 50;
/// Changes that are measured.
const CHANGES: usize = 100;
/// Between two changes: each is received before the next one is made.
const INTERVAL: Duration = Duration::from_millis(150);
/// The environment holds so many flags: a ruleset as one meets it.
const FLAGS: usize = 100;

/// Prints the table.
pub(crate) async fn measure(server: &TestServer) {
    let (shop, production) = server.shop().await;
    for flag in 0..FLAGS {
        shop.create_flag(boolean_flag(&format!("flag-{flag}")))
            .await;
    }
    let key = production.server_key().await;
    println!("| streams | received after p50 | p99 | max |\n|---:|---:|---:|---:|");
    for streams in STREAMS {
        let delays = delays(server, &production, &key, streams).await;
        let millis = |micros: u64| format!("{:.1} ms", micros as f64 / 1_000.0);
        println!(
            "| {streams} | {} | {} | {} |",
            millis(delays.value_at_quantile(0.50)),
            millis(delays.value_at_quantile(0.99)),
            millis(delays.max()),
        );
    }
    println!();
}

/// Microseconds from the answer to a change until a stream had it; of each
/// change by each stream. Zero where the stream was faster than the answer.
async fn delays(
    server: &TestServer,
    production: &TestEnvironment,
    key: &str,
    streams: usize,
) -> Histogram<u64> {
    let head = production.position().await;
    let (last, _) = watch::channel(None);
    let (ready, mut readies) = tokio::sync::mpsc::channel(streams);
    let mut receivers = JoinSet::new();
    for _ in 0..streams.div_ceil(STREAMS_A_CONNECTION) {
        let caller = server.caller(key);
        for _ in 0..STREAMS_A_CONNECTION.min(streams) {
            let (caller, last, ready) = (caller.clone(), last.subscribe(), ready.clone());
            receivers.spawn(receive(caller, head, ready, last));
        }
    }
    for _ in 0..streams {
        readies.recv().await.expect("every stream is synchronised");
    }
    let mut acknowledged = BTreeMap::new();
    let mut position = head;
    for change in 0..CHANGES {
        tokio::time::sleep(INTERVAL).await;
        let enabled = change % 2 == 0;
        position = production.set_enabled("flag-7", enabled).await;
        acknowledged.insert(position, Instant::now());
    }
    // Leaves the flag off, for the next measurement to begin alike.
    assert_eq!(CHANGES % 2, 0);
    last.send_replace(Some(position));
    let mut delays = Histogram::new(3).unwrap();
    for received in receivers.join_all().await {
        for (position, at) in &acknowledged {
            let arrival = received.iter().find(|(reached, _)| reached >= position);
            let (_, arrival) = arrival.expect("every stream reaches every change");
            let delay = arrival.saturating_duration_since(*at);
            delays
                .record(u64::try_from(delay.as_micros()).unwrap())
                .unwrap();
        }
    }
    delays
}

/// Follows the ruleset until the last change; gives when each position came.
async fn receive(
    caller: Caller,
    head: Position,
    ready: tokio::sync::mpsc::Sender<()>,
    last: watch::Receiver<Option<Position>>,
) -> Vec<(Position, Instant)> {
    let stream = caller
        .sync()
        .watch_ruleset(WatchRulesetRequest::default())
        .await;
    let mut stream = stream.unwrap().into_inner();
    let mut received = Vec::new();
    let mut synchronised = false;
    let mut done = last.clone();
    loop {
        let message = tokio::select! {
            message = stream.message() => message.unwrap().expect("the stream goes on"),
            // All may have come already, long before the last is announced.
            _ = done.changed() => {
                if reached_last(&received, *last.borrow()) {
                    return received;
                }
                continue;
            }
        };
        let position = message.update.unwrap().position.unwrap_or_default();
        received.push((position, Instant::now()));
        if !synchronised && position >= head {
            synchronised = true;
            ready.send(()).await.expect("somebody waits");
        }
        if reached_last(&received, *last.borrow()) {
            return received;
        }
    }
}

fn reached_last(received: &[(Position, Instant)], last: Option<Position>) -> bool {
    let reached = received.last().map(|(position, _)| *position);
    last.is_some() && reached >= last
}
