//! What an application sees of a client, in good times and bad.

// A test stops at the first thing that is not as it should be, helpers included.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

// Used by more than one test program, and not all of it by each.
#[allow(dead_code, unreachable_pub)]
#[path = "support/scripted.rs"]
mod scripted;
#[path = "client/values.rs"]
mod values;

use std::time::{Duration, Instant};

use burgee::proto::sync::v1::GoodbyeReason;
use burgee::{Client, ClientBuilder, Closed, Context, ErrorCode, State};
use tempfile::TempDir;
use tonic::Status;

use scripted::{RulesetCall, Scripted, at, bookmark, delta, flag, goodbye, snapshot, soon, state};

/// Long enough that no test waits for it in vain.
const PATIENT: Duration = Duration::from_secs(20);

fn builder(address: &str) -> ClientBuilder {
    Client::builder()
        .address(address)
        .sdk_key("burgee_srv_test")
        .init_timeout(PATIENT)
}

fn alice() -> Context {
    Context::new("alice")
}

async fn reaches(client: &Client, wanted: State) {
    let mut state = client.state();
    soon(state.wait_for(|state| *state == wanted))
        .await
        .expect("the client lives");
}

/// A client that is live with a ruleset, and the stream that feeds it.
async fn connected(
    upstream: &Scripted,
    ruleset: &burgee_evaluator::RulesetState,
) -> (
    Client,
    scripted::Stream<burgee::proto::sync::v1::WatchRulesetResponse>,
) {
    let url = upstream.url();
    let connecting = builder(&url).connect();
    let (client, stream) = tokio::join!(connecting, async {
        let stream = upstream.accept().await;
        stream.send_whole(ruleset).await;
        stream
    });
    let client = client.unwrap();
    reaches(&client, State::Ready).await;
    (client, stream)
}

#[tokio::test]
async fn connecting_returns_in_time_without_a_server_and_goes_on_trying() {
    let upstream = Scripted::start().await;
    let address = upstream.address;
    drop(upstream);

    let started = Instant::now();
    let client = builder(&format!("http://{address}"))
        .init_timeout(Duration::from_millis(100))
        .connect()
        .await
        .unwrap();
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(*client.state().borrow(), State::Error);
    let details = client.bool_details("on", &alice(), true);
    assert!(details.value);
    assert_eq!(details.error_code, Some(ErrorCode::ProviderNotReady));
    assert_eq!(details.position, None);

    let upstream = Scripted::start_at(address).await;
    let stream = upstream.accept().await;
    stream.send_whole(&state(1, &[flag("on", false, 1)])).await;
    reaches(&client, State::Ready).await;
    assert!(!client.bool("on", &alice(), true));
}

#[tokio::test]
async fn a_change_is_seen_and_can_be_waited_for() {
    let upstream = Scripted::start().await;
    let first = state(1, &[flag("on", false, 1)]);
    let (client, stream) = connected(&upstream, &first).await;
    let mut changes = client.changes();
    assert_eq!(*changes.borrow_and_update(), Some(at(1)));

    let on = flag("on", true, 2);
    let second = state(2, std::slice::from_ref(&on));
    let waiting = client.wait_for_position(at(2));
    let (reached, ()) = tokio::join!(soon(waiting), async {
        stream.send(delta(&first, &second, &[on], &[])).await;
    });
    assert_eq!(reached, Ok(at(2)));
    assert!(client.bool("on", &alice(), false));
    soon(changes.changed()).await.unwrap();
    assert_eq!(*changes.borrow(), Some(at(2)));
}

#[tokio::test]
async fn a_lie_changes_no_value() {
    let upstream = Scripted::start().await;
    let first = state(4, &[flag("on", true, 1)]);
    let (client, stream) = connected(&upstream, &first).await;
    let mut lie = snapshot(&state(9, &[flag("on", false, 9)]));
    lie.state_hash = vec![0; 16].into();
    stream.send(lie).await;
    stream.gone().await;
    assert!(client.bool("on", &alice(), false));
    assert_eq!(*client.changes().borrow(), Some(at(4)));
    // It reconnects without a token, and is live again before it is stale.
    let (request, stream) = upstream.call().await.accept();
    assert!(request.resume_token.is_empty());
    stream.send_whole(&first).await;
    assert_eq!(*client.state().borrow(), State::Ready);
}

#[tokio::test]
async fn a_client_without_a_ruleset_is_fatal_while_its_key_is_refused() {
    let upstream = Scripted::start().await;
    let client = builder(&upstream.url())
        .init_timeout(Duration::from_millis(1))
        .connect()
        .await
        .unwrap();
    upstream.call().await.refuse(Status::unauthenticated("no"));
    reaches(&client, State::Fatal).await;
    let stream = upstream.accept().await;
    stream.send_whole(&state(1, &[])).await;
    reaches(&client, State::Ready).await;
}

#[tokio::test]
async fn a_client_with_a_ruleset_is_stale_at_once_when_its_key_is_refused_and_serves_on() {
    let upstream = Scripted::start().await;
    let ruleset = state(1, &[flag("on", true, 1)]);
    let (client, stream) = connected(&upstream, &ruleset).await;
    stream
        .send(goodbye(&ruleset, GoodbyeReason::KeyRevoked))
        .await;
    reaches(&client, State::Stale).await;
    assert!(client.bool("on", &alice(), false));
}

#[tokio::test]
async fn a_deleted_environment_is_served_on() {
    let upstream = Scripted::start().await;
    let ruleset = state(1, &[flag("on", true, 1)]);
    let (client, stream) = connected(&upstream, &ruleset).await;
    stream
        .send(goodbye(&ruleset, GoodbyeReason::EnvironmentDeleted))
        .await;
    reaches(&client, State::Stale).await;
    assert!(client.bool("on", &alice(), false));
}

#[tokio::test]
async fn a_lost_stream_is_missed_after_five_seconds_and_ready_when_it_is_back() {
    let upstream = Scripted::start().await;
    let ruleset = state(1, &[flag("on", true, 1)]);
    let (client, stream) = connected(&upstream, &ruleset).await;
    let started = Instant::now();
    let lost = tokio::spawn(async move {
        drop(stream);
        let mut refused: Vec<RulesetCall> = Vec::new();
        loop {
            // Neither accepted nor refused: the hop is stuck.
            refused.push(upstream.call().await);
            if started.elapsed() > Duration::from_secs(4) {
                return (upstream, refused);
            }
        }
    });
    reaches(&client, State::Stale).await;
    assert!(started.elapsed() >= Duration::from_secs(5));
    assert!(client.bool("on", &alice(), false));
    lost.abort();
}

#[tokio::test]
async fn a_second_start_is_served_from_disk_while_the_server_is_down() {
    let folder = TempDir::new().unwrap();
    let cache = folder.path().join("made/on/demand");
    let upstream = Scripted::start().await;
    let url = upstream.url();
    let connecting = builder(&url).cache_dir(&cache).connect();
    let (client, _stream) = tokio::join!(connecting, async {
        let stream = upstream.accept().await;
        stream.send_whole(&state(5, &[flag("on", true, 1)])).await;
        stream
    });
    soon(client.unwrap().close()).await;
    drop(upstream);

    let client = builder(&url).cache_dir(&cache).connect().await.unwrap();
    assert_eq!(*client.state().borrow(), State::Stale);
    assert!(client.bool("on", &alice(), false));
    assert_eq!(*client.changes().borrow(), Some(at(5)));
    client.close().await;

    // Another key is another application: it does not see that copy.
    let other = builder(&url)
        .sdk_key("burgee_srv_other")
        .cache_dir(&cache)
        .init_timeout(Duration::from_millis(1))
        .connect()
        .await
        .unwrap();
    assert_eq!(*other.state().borrow(), State::Error);
}

#[tokio::test]
async fn what_was_on_disk_is_resumed_from() {
    let folder = TempDir::new().unwrap();
    let upstream = Scripted::start().await;
    let ruleset = state(5, &[flag("on", true, 1)]);
    let url = upstream.url();
    let connecting = builder(&url).cache_dir(folder.path()).connect();
    let (client, _stream) = tokio::join!(connecting, async {
        let stream = upstream.accept().await;
        stream.send_whole(&ruleset).await;
        stream
    });
    soon(client.unwrap().close()).await;

    let client = builder(&url).cache_dir(folder.path()).connect().await;
    let (request, stream) = upstream.call().await.accept();
    assert_eq!(request.resume_token, scripted::token(&ruleset));
    stream.send(bookmark(&ruleset)).await;
    reaches(&client.unwrap(), State::Ready).await;
}

#[tokio::test]
async fn a_bootstrap_file_serves_until_the_network_speaks() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let ruleset = r#"{"flags": [{
        "key": "on", "type": "FLAG_TYPE_BOOLEAN", "enabled": true,
        "variants": [{"key": "yes", "value": true}], "fallthrough": {"variant": "yes"}
    }]}"#;
    std::fs::write(file.path(), ruleset).unwrap();
    let upstream = Scripted::start().await;
    let client = builder(&upstream.url())
        .bootstrap_file(file.path())
        .connect()
        .await
        .unwrap();
    assert_eq!(*client.state().borrow(), State::Stale);
    let details = client.bool_details("on", &alice(), false);
    assert!(details.value);
    assert_eq!(details.position, None);
    let told = client.explain("on", &alice()).to_string();
    assert!(
        told.starts_with("on = true (variant yes): STATIC\n"),
        "{told}"
    );

    let stream = upstream.accept().await;
    stream.send_whole(&state(1, &[flag("on", false, 1)])).await;
    reaches(&client, State::Ready).await;
    assert!(!client.bool("on", &alice(), true));
}

#[tokio::test]
async fn a_bad_bootstrap_file_is_no_ruleset() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "{").unwrap();
    let upstream = Scripted::start().await;
    let client = builder(&upstream.url())
        .bootstrap_file(file.path())
        .init_timeout(Duration::from_millis(1))
        .connect()
        .await
        .unwrap();
    let details = client.bool_details("on", &alice(), true);
    assert_eq!(details.error_code, Some(ErrorCode::ProviderNotReady));
}

#[tokio::test]
async fn closing_ends_the_stream_and_may_be_repeated() {
    let upstream = Scripted::start().await;
    let (client, stream) = connected(&upstream, &state(1, &[flag("on", true, 1)])).await;
    let waiting = {
        let client = client.clone();
        tokio::spawn(async move { client.wait_for_position(at(99)).await })
    };
    soon(client.close()).await;
    stream.gone().await;
    soon(client.close()).await;
    assert_eq!(soon(waiting).await.unwrap(), Err(Closed));
    assert!(client.bool("on", &alice(), false), "what is held stays");
}

#[tokio::test]
async fn dropping_the_last_clone_ends_the_stream() {
    let upstream = Scripted::start().await;
    let (client, stream) = connected(&upstream, &state(1, &[])).await;
    let clone = client.clone();
    drop(client);
    assert_eq!(*clone.state().borrow(), State::Ready);
    drop(clone);
    stream.gone().await;
}
