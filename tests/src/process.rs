//! A child process that ends with the test, whatever becomes of the test.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::wait::{SOON, eventually};

/// What a failing test prints of a process's output, counted from the end.
const PRINTED_OUTPUT_MAX_BYTES: u64 = 32 * 1024;

/// A running program of ours. Dropping it kills it; the kernel does so if the
/// test's own thread or process ends without dropping anything.
pub struct Running {
    name: String,
    child: Child,
    output: TempDir,
}

impl Running {
    /// Starts `program` with `arguments` and `environment`.
    ///
    /// The kernel kills it when the *thread* that called this ends: call it
    /// from a test's own thread (where `#[tokio::test]` polls the test), not
    /// from a pool that lets threads go.
    #[must_use]
    pub fn start(program: &Path, arguments: &[String], environment: &[(String, String)]) -> Self {
        let output = tempfile::tempdir().unwrap();
        let create = |name: &str| File::create(output.path().join(name)).unwrap();
        let child = dies_with_this_thread(program)
            .args(arguments)
            .envs(environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(create("stdout"))
            .stderr(create("stderr"))
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
        Self {
            name: program.file_name().unwrap().to_string_lossy().into_owned(),
            child,
            output,
        }
    }

    /// Waits for the first line of standard output that holds `text`, and
    /// gives it.
    ///
    /// # Panics
    ///
    /// When the program ends first, or says nothing of the kind in time.
    pub async fn line_with(&mut self, text: &str) -> String {
        let what = format!("{} prints `{text}`", self.name);
        eventually(&what, SOON * 3, async || {
            let found = self
                .stdout()
                .split_inclusive('\n')
                .find(|line| line.ends_with('\n') && line.contains(text))
                .map(|line| line.trim_end().to_owned());
            if found.is_none()
                && let Some(status) = self.child.try_wait().unwrap()
            {
                panic!("{} ended with {status}:\n{}", self.name, self.stderr());
            }
            found
        })
        .await
    }

    /// All that it has written to standard output.
    #[must_use]
    pub fn stdout(&self) -> String {
        std::fs::read_to_string(self.output.path().join("stdout")).unwrap()
    }

    /// All that it has written to standard error.
    #[must_use]
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(self.output.path().join("stderr")).unwrap()
    }

    /// The most memory that it has held so far, in bytes.
    ///
    /// # Panics
    ///
    /// When it has ended.
    #[must_use]
    pub fn peak_memory_bytes(&self) -> u64 {
        self.status_bytes("VmHWM:")
    }

    /// The memory that it holds now, in bytes.
    ///
    /// # Panics
    ///
    /// When it has ended.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.status_bytes("VmRSS:")
    }

    fn status_bytes(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let value = status.lines().find_map(|line| line.strip_prefix(field));
        let kibibytes = value.unwrap().trim().trim_end_matches(" kB");
        kibibytes.parse::<u64>().unwrap() * 1_024
    }

    /// kill −9: nothing of it runs any more when this returns.
    pub fn kill9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    ///
    /// # Panics
    ///
    /// When it has not ended within `deadline`.
    pub async fn stop(&mut self, deadline: Duration) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.ended(deadline).await
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    ///
    /// When it has not ended within `deadline`.
    pub async fn ended(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        eventually(&what, deadline, async || self.child.try_wait().unwrap()).await
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            for stream in ["stdout", "stderr"] {
                let text = tail(&self.output.path().join(stream));
                eprintln!("--- {stream} of {} ---\n{text}", self.name);
            }
        }
    }
}

/// Runs a program to its end.
///
/// # Panics
///
/// When it cannot be started.
#[must_use]
pub fn run(program: &Path, arguments: &[&str]) -> Output {
    run_with(program, arguments, &[])
}

/// The same, with these environment variables.
///
/// # Panics
///
/// When it cannot be started.
#[must_use]
pub fn run_with(program: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    dies_with_this_thread(program)
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()))
}

/// The built program `name` of this workspace, found beside the running one.
///
/// # Panics
///
/// When it was not built.
#[must_use]
pub fn built(name: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap();
    // Tests run from `target/{profile}/deps`, programs from `target/{profile}`.
    let found = this
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file());
    found.unwrap_or_else(|| {
        panic!("{name} is not built; run `cargo build --workspace --bins`, or `make test`")
    })
}

/// Rust runs nothing between fork and exec without unsafe code; setpriv asks the
/// kernel for the death signal and becomes the program, under the same pid.
fn dies_with_this_thread(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

fn tail(path: &Path) -> String {
    let Ok(mut file) = File::open(path) else {
        return String::new();
    };
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let from = length.saturating_sub(PRINTED_OUTPUT_MAX_BYTES);
    let mut bytes = Vec::new();
    if file.seek(SeekFrom::Start(from)).is_err() || file.read_to_end(&mut bytes).is_err() {
        return String::new();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
