//! `burgee-relay`, as an operator starts it.

use std::path::{Path, PathBuf};

use burgee_proto::sync::v1::SnapshotHeader;
use burgee_proto::types::v1::Position;
use prost::Message as _;
use tempfile::TempDir;

use crate::callers::Caller;
use crate::process::{Running, built};
use crate::server::STOP_DEADLINE;

/// What a snapshot file begins with, and how long the hash is that follows.
const SNAPSHOT_MAGIC: &[u8] = b"BURGEE\0\x01";
const SHA256_BYTES: usize = 32;
/// What the relay prints when it takes calls.
const READY: &str = "burgee-relay listening on ";

/// A running relay with a disk of its own.
pub struct TestRelay {
    process: Running,
    disk: TempDir,
    upstream: String,
    environment: Vec<(String, String)>,
    address: String,
}

impl TestRelay {
    /// Below `upstream` (addresses with commas between them), with this relay
    /// key.
    pub async fn start(upstream: &str, key: &str) -> Self {
        Self::with(upstream, key, &[]).await
    }

    /// The same, with these environment variables.
    pub async fn with(upstream: &str, key: &str, environment: &[(&str, &str)]) -> Self {
        let disk = tempfile::tempdir().unwrap();
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut environment: Vec<_> = environment.iter().map(own).collect();
        environment.push(("BURGEE_RELAY_KEY".to_owned(), key.to_owned()));
        let (process, address) = start(upstream, disk.path(), "127.0.0.1:0", &environment).await;
        Self {
            process,
            disk,
            upstream: upstream.to_owned(),
            environment,
            address,
        }
    }

    /// Such as `http://127.0.0.1:4001`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whoever holds `credential`.
    #[must_use]
    pub fn caller(&self, credential: &str) -> Caller {
        Caller::new(&self.address, credential)
    }

    /// Where it keeps its snapshots.
    #[must_use]
    pub fn disk(&self) -> &Path {
        self.disk.path()
    }

    /// Every file on its disk, however deep.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect(self.disk.path(), &mut files);
        files.sort();
        files
    }

    /// The newest position that its disk has of an environment.
    #[must_use]
    pub fn saved(&self, environment: &str) -> Option<Position> {
        let headers = self.files().into_iter().filter_map(|file| header(&file));
        headers
            .filter(|header| header.environment == environment)
            .filter_map(|header| header.position)
            .max()
    }

    /// The position that a file on its disk is of, if it is a snapshot.
    #[must_use]
    pub fn position_in(file: &Path) -> Option<Position> {
        header(file)?.position
    }

    /// All that it has written to standard output.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.process.stdout()
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.stderr()
    }

    /// The most memory that it has held so far, in bytes.
    #[must_use]
    pub fn peak_memory_bytes(&self) -> u64 {
        self.process.peak_memory_bytes()
    }

    /// kill −9.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Starts it again where it was, after [`TestRelay::kill9`] or
    /// [`TestRelay::stop`].
    pub async fn start_again(&mut self) {
        let listen = self.address.trim_start_matches("http://").to_owned();
        let environment = &self.environment;
        let (process, _) = start(&self.upstream, self.disk.path(), &listen, environment).await;
        self.process = process;
    }

    /// Asks it to end and waits until it has.
    ///
    /// # Panics
    ///
    /// When it does not end in time, or not in peace.
    pub async fn stop(&mut self) {
        let status = self.process.stop(STOP_DEADLINE).await;
        assert!(status.success(), "{status}");
    }
}

async fn start(
    upstream: &str,
    disk: &Path,
    listen: &str,
    environment: &[(String, String)],
) -> (Running, String) {
    let arguments = ["--listen", listen, "--upstream", upstream, "--data-dir"];
    let mut arguments = arguments.map(str::to_owned).to_vec();
    arguments.push(disk.display().to_string());
    let mut process = Running::start(&built("burgee-relay"), &arguments, environment);
    let line = process.line_with(READY).await;
    let address = line.split_once(READY).unwrap().1.trim().to_owned();
    (process, address)
}

/// What a snapshot file says of itself, where `file` is one.
fn header(file: &Path) -> Option<SnapshotHeader> {
    let bytes = std::fs::read(file).ok()?;
    let rest = bytes.strip_prefix(SNAPSHOT_MAGIC)?.get(SHA256_BYTES..)?;
    SnapshotHeader::decode_length_delimited(rest).ok()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
