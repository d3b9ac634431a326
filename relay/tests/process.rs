//! `burgee-relay` as an operator runs it: started, killed, started again.

// A test stops at the first thing that is not as it should be, helpers included.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

// The SDK's own tests play the same upstream.
#[allow(dead_code, unreachable_pub)]
#[path = "../../clients/rust/tests/support/scripted.rs"]
mod scripted;
#[allow(dead_code)]
#[path = "support/relay.rs"]
mod support;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use burgee::Client;
use burgee_hub::credential::{Kind, generate};
use tempfile::TempDir;

use scripted::{ENVIRONMENT, Scripted, at, flag};
use support::{Above, alice, key_of_relay, ruleset, saved, sdk_key};

/// The design's bound for a cold start, ten times over for a busy machine.
const COLD_START_MAX: Duration = Duration::from_secs(5);

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_burgee-relay"));
    command
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A running relay and where it listens. Dropping it kills it.
struct Process {
    child: Child,
    url: String,
    /// Read all the time: a full pipe would stop the relay.
    log: Option<JoinHandle<String>>,
}

impl Process {
    fn start(upstream: &str, data_dir: &Path, key_file: &Path) -> Self {
        let arguments = [
            "--listen",
            "127.0.0.1:0",
            "--upstream",
            upstream,
            "--data-dir",
            data_dir.to_str().unwrap(),
            "--key-file",
            key_file.to_str().unwrap(),
            "--drain-seconds",
            "0",
        ];
        let mut child = command(&arguments)
            .env("BURGEE_LOG", "debug")
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line.trim().strip_prefix("burgee-relay listening on ");
        let url = url.unwrap_or_else(|| panic!("{line:?}")).to_owned();
        let mut stderr = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            stderr.read_to_string(&mut log).unwrap();
            log
        });
        Self {
            child,
            url,
            log: Some(log),
        }
    }

    /// kill −9; gives what it had logged.
    fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.log.take().unwrap().join().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _ended = self.child.wait();
    }
}

async fn client(process: &Process) -> Client {
    Client::builder()
        .address(&process.url)
        .sdk_key(sdk_key().expose())
        .init_timeout(scripted::DEADLINE)
        .connect()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_started_again_without_upstream_it_serves_what_it_held() {
    let folder = TempDir::new().unwrap();
    let (data_dir, key_file) = (folder.path().join("data"), folder.path().join("key"));
    std::fs::create_dir(&data_dir).unwrap();
    std::fs::write(&key_file, key_of_relay().expose()).unwrap();
    let upstream = Scripted::start().await;
    let url = upstream.url();

    let relay = Process::start(&url, &data_dir, &key_file);
    let above = Above::names(upstream, &[ENVIRONMENT]).await;
    let stream = above.upstream.accept().await;
    stream.send_whole(&ruleset(7, &[flag("on", true, 1)])).await;
    assert!(client(&relay).await.bool("on", &alice(), false));
    saved(&data_dir).await;
    let log = relay.kill();
    drop((above, stream));
    for secret in [key_of_relay(), sdk_key()] {
        let random = &secret.expose()["burgee_srv_".len()..];
        assert!(!log.contains(random), "a key is in the log: {log}");
    }
    assert!(log.contains(ENVIRONMENT), "it logs what it does: {log}");

    let started = Instant::now();
    let relay = Process::start(&url, &data_dir, &key_file);
    let client = client(&relay).await;
    assert!(started.elapsed() < COLD_START_MAX);
    assert!(client.bool("on", &alice(), false));
    assert_eq!(*client.changes().borrow(), Some(at(7)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_replaced_in_its_file_is_shown_upstream() {
    let folder = TempDir::new().unwrap();
    let (data_dir, key_file) = (folder.path().join("data"), folder.path().join("key"));
    std::fs::write(&key_file, key_of_relay().expose()).unwrap();
    let upstream = Scripted::start().await;
    let _relay = Process::start(&upstream.url(), &data_dir, &key_file);
    let old = upstream.environments_call().await;
    assert!(old.authorization.ends_with(key_of_relay().expose()));
    let new = generate(Kind::Relay, [3; 32]);
    std::fs::write(&key_file, new.expose()).unwrap();
    old.refuse(tonic::Status::unauthenticated("replaced"));
    loop {
        let call = upstream.environments_call().await;
        if call.authorization.ends_with(new.expose()) {
            return;
        }
        call.refuse(tonic::Status::unauthenticated("replaced"));
    }
}

fn refused(arguments: &[&str]) -> (Output, String) {
    let output = command(arguments).output().unwrap();
    assert!(!output.status.success(), "{arguments:?}");
    let message = String::from_utf8(output.stderr.clone()).unwrap();
    (output, message)
}

#[test]
fn a_wrong_configuration_is_one_clear_line_and_never_the_key() {
    let folder = TempDir::new().unwrap();
    let data_dir = folder.path().to_str().unwrap();
    let fixed = ["--upstream", "http://127.0.0.1:1", "--data-dir", data_dir];
    let wrong_kind = generate(Kind::Server, [4; 32]);
    let (output, message) = refused(&[&fixed[..], &["--key", wrong_kind.expose()]].concat());
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(message.contains("burgee_rly_"), "{message}");
    assert!(!message.contains(wrong_kind.expose()), "{message}");
    assert!(output.stdout.is_empty());

    let (_, message) = refused(&fixed);
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(message.contains("--key-file"), "{message}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let key = key_of_relay();
    let arguments = [&fixed[..], &["--key", key.expose(), "--listen", &listen]].concat();
    let (_, message) = refused(&arguments);
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(message.contains(&listen), "{message}");
}
