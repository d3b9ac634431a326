//! The running server: started by a thread of its own, ended with this process.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::watch;

use super::account::Account;
use super::{Error, cannot};

/// How it is asked to stop, and how long it has for it: ending all sessions and
/// writing everything down, then at once, with recovery at the next start.
const WAYS_TO_STOP: [(Signal, Duration); 3] = [
    (Signal::SIGINT, Duration::from_secs(20)),
    (Signal::SIGQUIT, Duration::from_secs(5)),
    (Signal::SIGKILL, Duration::from_secs(5)),
];

/// Variables that would tell Postgres something else than its arguments do.
pub(super) const FOREIGN_VARIABLES: [&str; 5] = [
    "PGDATA",
    "PGPORT",
    "PGDATESTYLE",
    "PGCLIENTENCODING",
    "PGOPTIONS",
];

/// How to start it.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) postgres: PathBuf,
    pub(super) arguments: Vec<OsString>,
    pub(super) account: Account,
    pub(super) log: PathBuf,
}

/// A started postmaster.
#[derive(Debug)]
pub(super) struct Process {
    id: Pid,
    /// How it ended, once it has.
    outcome: watch::Receiver<Option<String>>,
}

impl Process {
    pub(super) fn spawn(launch: Launch) -> Result<Self, Error> {
        let log = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            // It may quote statements.
            .mode(0o600)
            .open(&launch.log);
        let log = log.map_err(cannot(format!("write {}", launch.log.display())))?;
        let mut command = launch
            .command(log)
            .map_err(cannot("write Postgres's log"))?;

        let (started, start) = std::sync::mpsc::sync_channel(1);
        let (ended, outcome) = watch::channel(None);
        // The kernel signals a child when the thread that started it ends, and the
        // threads of a runtime come and go. This one stays as long as the child.
        std::thread::Builder::new()
            .name("private-postgres".to_owned())
            .spawn(move || match command.spawn() {
                Ok(child) => {
                    let _ = started.send(Ok(child.id()));
                    ended.send_replace(Some(await_end(child)));
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            })
            .map_err(cannot("start a thread"))?;
        let id = start
            .recv()
            .unwrap_or_else(|_| Err(std::io::ErrorKind::BrokenPipe.into()))
            .map_err(cannot(format!("run {}", launch.postgres.display())))?;
        Ok(Self {
            id: Pid::from_raw(id.cast_signed()),
            outcome,
        })
    }

    pub(super) fn id(&self) -> u32 {
        self.id.as_raw().cast_unsigned()
    }

    /// Waits until it has ended, and tells how.
    pub(super) async fn ended(&self) -> String {
        let mut outcome = self.outcome.clone();
        let ended = outcome.wait_for(Option::is_some).await;
        ended
            .map_or_else(|_| None, |outcome| outcome.clone())
            .unwrap_or_default()
    }

    /// Stops it within a bound.
    pub(super) async fn stop(&mut self) {
        for (signal, patience) in WAYS_TO_STOP {
            self.signal(signal);
            if tokio::time::timeout(patience, self.ended()).await.is_ok() {
                return;
            }
            tracing::warn!(%signal, "Postgres has not stopped yet");
        }
    }

    fn signal(&self, signal: Signal) {
        // One that has ended is no longer ours to signal: the id may be another's.
        if self.outcome.borrow().is_none() {
            // It may end just now, which is what was wanted.
            let _ = kill(self.id, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::SIGINT);
    }
}

impl Launch {
    fn command(&self, log: File) -> std::io::Result<Command> {
        let mut command = dying_with_parent(&self.postgres);
        command
            .args(&self.arguments)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A terminal's Ctrl-C is for us: we stop Postgres when we are done with it.
            .process_group(0);
        for name in FOREIGN_VARIABLES {
            command.env_remove(name);
        }
        become_account(&mut command, &self.account);
        Ok(command)
    }
}

/// The program, such that the kernel tells it to shut down when we end, however that
/// happens. Without util-linux's setpriv, the next start ends what is left.
fn dying_with_parent(program: &Path) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let Some(setpriv) = std::env::split_paths(&path)
        .map(|folder| folder.join("setpriv"))
        .find(|file| file.exists())
    else {
        return Command::new(program);
    };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "INT", "--"]).arg(program);
    command
}

/// Runs the command as `account`, which gives up root and all its groups.
pub(super) fn become_account(command: &mut Command, account: &Account) {
    if !account.is_ours {
        command.uid(account.uid).gid(account.gid);
    }
}

fn await_end(mut child: Child) -> String {
    match child.wait() {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}
