//! What a server keeps for each stream that waits for a change.

use burgee_proto::sync::v1::{WatchRulesetRequest, WatchRulesetResponse};
use burgee_tests::builders::boolean_flag;
use burgee_tests::server::TestServer;
use tonic::Streaming;

/// Streams at once.
const STREAMS: usize = 1_000;
/// Streams that share a connection, as those of a proxy or a relay do.
const STREAMS_A_CONNECTION: usize = 50;
/// The environment holds so many flags.
const FLAGS: usize = 500;
/// Makes each flag as large as those that one meets.
const METADATA_BYTES: usize = 1_000;

/// Prints the table.
pub(crate) async fn measure(server: &TestServer) {
    let (shop, production) = server.shop().await;
    for flag in 0..FLAGS {
        let mut flag = boolean_flag(&format!("flag-{flag}"));
        flag.metadata = Some(prost_types::Struct {
            fields: [("note".to_owned(), "x".repeat(METADATA_BYTES).into())].into(),
        });
        shop.create_flag(flag).await;
    }
    let key = production.server_key().await;
    let mut first = server.caller(&key).sync();
    let watch = WatchRulesetRequest::default();
    let first = first.watch_ruleset(watch.clone()).await.unwrap();
    let mut held = vec![first.into_inner()];
    let snapshot = synchronise(&mut held[0]).await;

    let before = server.memory_bytes();
    let mut callers = Vec::new();
    for _ in 0..STREAMS / STREAMS_A_CONNECTION {
        let caller = server.caller(&key);
        for _ in 0..STREAMS_A_CONNECTION {
            let stream = caller.sync().watch_ruleset(watch.clone()).await;
            let mut stream = stream.unwrap().into_inner();
            synchronise(&mut stream).await;
            held.push(stream);
        }
        callers.push(caller);
    }
    let more = server.memory_bytes().saturating_sub(before);
    let kibibytes = |bytes: f64| bytes / 1_024.0;
    println!("| streams | ruleset | memory of each |\n|---:|---:|---:|");
    println!(
        "| {STREAMS} | {:.0} KiB | {:.1} KiB |\n",
        kibibytes(snapshot as f64),
        kibibytes(more as f64 / STREAMS as f64),
    );
}

/// Reads up to the first bookmark; gives how many bytes of items came before it.
async fn synchronise(stream: &mut Streaming<WatchRulesetResponse>) -> usize {
    use burgee_proto::sync::v1::ruleset_update::Message;
    use prost::Message as _;
    let mut bytes = 0;
    loop {
        let message = stream.message().await.unwrap();
        let update = message.and_then(|it| it.update);
        let update = update.expect("the stream goes on");
        bytes += update.encoded_len();
        if let Some(Message::Bookmark(_)) = update.message {
            return bytes;
        }
    }
}
