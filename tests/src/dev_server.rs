//! `burgee-server dev`, as someone who tries Burgee out starts it, and the lines
//! it prints for them.

use std::path::{Path, PathBuf};
use std::process::Output;

use crate::process::{Running, built};
use crate::server::STOP_DEADLINE;

/// What it prints when it takes calls.
const READY: &str = "burgee-server listening on ";
/// What every line that calls it names.
const GRPCURL: &str = "grpcurl ";

/// A running development server.
pub struct DevServer {
    process: Running,
    address: String,
}

impl DevServer {
    /// With its Postgres and its keys in `folder`, on the loopback address
    /// `listen`.
    pub async fn start(folder: &Path, listen: &str) -> Self {
        let arguments = ["dev", "--listen", listen, "--data-dir"].map(str::to_owned);
        let mut arguments = arguments.to_vec();
        arguments.push(folder.display().to_string());
        let mut process = Running::start(&built("burgee-server"), &arguments, &[]);
        let line = process.line_with(READY).await;
        let address = line.split_once(READY).unwrap().1.trim().to_owned();
        Self { process, address }
    }

    /// Such as `http://127.0.0.1:4000`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Such as `127.0.0.1:4000`.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.address.trim_start_matches("http://")
    }

    /// All that it has printed so far.
    #[must_use]
    pub fn printed(&self) -> String {
        self.process.stdout()
    }

    /// The first credential among what it printed that begins so, such as
    /// `burgee_srv_`.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn credential(&self, prefix: &str) -> String {
        let printed = self.printed();
        let begin = printed
            .find(prefix)
            .unwrap_or_else(|| panic!("no {prefix} in:\n{printed}"));
        let of_key = |character: &char| character.is_ascii_alphanumeric() || *character == '_';
        printed[begin..].chars().take_while(of_key).collect()
    }

    /// The commands among what it printed, as one pastes them into a shell: one
    /// that ends a line with a backslash goes on in the next.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        let printed = self.printed().replace("\\\n", " ");
        let commands = printed.lines().filter(|line| line.contains(GRPCURL));
        commands.map(|line| line.trim().to_owned()).collect()
    }

    /// kill −9.
    pub fn kill9(&mut self) {
        self.process.kill9();
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

/// Where this repository's scripts are.
#[must_use]
pub fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("grpcurl")
}

/// Runs a command of a shell, with grpcurl on its path if this repository's
/// set-up has installed it.
pub async fn shell(command: &str, environment: &[(&str, &str)]) -> Output {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin");
    let path = std::env::var("PATH").unwrap_or_default();
    tokio::process::Command::new("bash")
        .args(["-c", command])
        .env("PATH", format!("{}:{path}", tools.display()))
        .envs(environment.iter().copied())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap()
}
