//! Secrets are nowhere but where they were given: not in logs, traces, rows, snapshots, errors
//! or exports. Nor is what an evaluation context says beside what flags ask for.

mod evaluations;
mod machines;
mod outputs;
mod people;

use std::fmt::Debug;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use burgee_tests::audit;
use burgee_tests::builders::boolean_flag;
use burgee_tests::canaries::Canaries;
use burgee_tests::collector::Collector;
use burgee_tests::postgres::TestDatabase;
use burgee_tests::project::TestEnvironment;
use burgee_tests::relay::TestRelay;
use burgee_tests::secrets::{KeyFile, key};
use burgee_tests::server::{Options, TestServer};
use tempfile::TempDir;
use tonic::Status;
use uuid::Uuid;

const ADA: &str = "ada@example.com";
/// The bytes of the keys in files.
const KEY: u8 = 0xa7;
/// What a flag is named that appears in every output: whoever did not look would not find it.
const PLANTED: &str = "planted-flag-0b7e";
/// So much of everything that there is nothing more verbose.
const LOG: &str = "trace";

/// A deployment that is driven, and all that was told of it.
struct Drive {
    server: TestServer,
    relay: TestRelay,
    collector: Collector,
    environment: TestEnvironment,
    canaries: Canaries,
    /// Refusals, and what evaluations say.
    answers: String,
    _keys: (KeyFile, TempDir),
}

fn random(what: &str) -> String {
    format!("{what} {}", Uuid::now_v7().simple())
}

/// A file of keys for the audit log.
fn audit_keys(canaries: &mut Canaries) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit-keys");
    let line = canaries.add("the key of the audit log", audit::key(KEY));
    std::fs::write(&path, line).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    (folder, path)
}

impl Drive {
    async fn start() -> Self {
        let mut canaries = Canaries::default();
        let collector = Collector::start().await;
        let secret_keys = KeyFile::with(&[KEY]);
        canaries.add("the key of secrets", key(KEY).encoded());
        canaries.add_bytes("the bytes of keys", &[KEY; 32]);
        let (folder, path) = audit_keys(&mut canaries);
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let verbose = [own("BURGEE_LOG", LOG), collector.variable()];
        let mut environment = verbose.to_vec();
        environment.push(secret_keys.variable());
        environment.push(own("BURGEE_AUDIT_KEY_FILE", path.to_str().unwrap()));

        let database = Arc::new(TestDatabase::create().await);
        let password = canaries.add(
            "the database's password",
            random("database").replace(' ', ""),
        );
        let (user, rest) = database.url().split_once('@').unwrap();
        let url = format!("{user}:{password}@{rest}");
        let options = Options {
            environment,
            ..Options::default()
        };
        let server = TestServer::start_with(&database, url, options).await;
        let (shop, environment) = server.shop().await;
        shop.create_flag(boolean_flag(PLANTED)).await;
        shop.set_client_visible(PLANTED, true).await;
        environment.enable(PLANTED).await;
        let relay_key = canaries.add("a relay key", environment.relay_key().await);
        let verbose = verbose.each_ref();
        let verbose = verbose.map(|(name, value)| (name.as_str(), value.as_str()));
        let relay = TestRelay::with(server.address(), &relay_key, &verbose).await;
        canaries.add("the first token", database.admin_token().await);
        Self {
            server,
            relay,
            collector,
            environment,
            canaries,
            answers: String::new(),
            _keys: (secret_keys, folder),
        }
    }

    /// Keeps a refusal.
    fn refuse<T>(&mut self, outcome: Result<T, Status>) {
        let status = outcome.map(drop).expect_err("a refusal was due");
        self.hear(&status);
        self.answers
            .push_str(&String::from_utf8_lossy(status.details()));
    }

    /// Keeps what must not hold a secret.
    fn hear(&mut self, answer: &impl Debug) {
        self.answers.push_str(&format!("{answer:?}\n"));
    }
}

#[tokio::test]
async fn secrets_are_nowhere_but_where_they_were_given() {
    /// So many at least: a drive that gives fewer does not do what it says.
    const SECRETS_MIN: usize = 60;

    let mut drive = Drive::start().await;
    let ada = drive.passwords().await;
    drive.second_factor(&ada).await;
    drive.machines().await;
    drive.own_tokens(&ada).await;
    drive.mistakes(&ada).await;
    drive.evaluations().await;
    assert!(
        drive.canaries.len() >= SECRETS_MIN,
        "{}",
        drive.canaries.len()
    );
    let outputs = drive.outputs().await;
    let mut leaks = Vec::new();
    for output in &outputs {
        output.holds_what_belongs_there();
        let found = drive.canaries.found_in(&output.bytes);
        leaks.extend(found.iter().map(|it| format!("{}: {it}", output.what)));
    }
    assert!(leaks.is_empty(), "{leaks:#?}");
    let bytes: usize = outputs.iter().map(|it| it.bytes.len()).sum();
    println!(
        "{} secrets, {} outputs, {} KiB: nothing",
        drive.canaries.len(),
        outputs.len(),
        bytes >> 10
    );
}
