//! A Postgres of one's own, for `burgee-server dev` and for tests: a cluster in a
//! folder, reachable through a unix socket only, that ends with this process.
//!
//! - `binaries`: which `initdb` and `postgres`.
//! - `account`: as whom they run; they refuse root.
//! - `cluster`: the folder, its lock, and `initdb`.
//! - `leftovers`: what a killed predecessor left running.
//! - `process`: the running server and its end.

mod account;
mod binaries;
mod cluster;
mod leftovers;
mod process;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use tokio::time::Instant;

use self::account::Account;
use self::binaries::Binaries;
use self::cluster::{Cluster, DataDir};
use self::process::Process;

/// The oldest Postgres that Burgee runs on.
const OLDEST_VERSION: u32 = 15;

/// The cluster's superuser and its first database.
const USER: &str = "burgee";
const DATABASE: &str = "postgres";

/// The port only names the socket: nothing listens on TCP.
const PORT: u16 = 5432;

/// How long a start may take: after a crash, recovery is part of it.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// Pause between two looks at whether it is up.
const POLL: Duration = Duration::from_millis(20);

/// Bytes of Postgres's log that an error quotes.
const QUOTED_LOG_BYTES: usize = 2000;

/// Where the cluster lives, and how it runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder that holds the cluster; made when it is not there.
    pub data_dir: PathBuf,
    /// Whether a commit survives a crash of the machine. Tests are faster without.
    pub durable: bool,
    /// Connections at the same time.
    pub max_connections: u16,
    /// The folder of `initdb` and `postgres`. `None` searches: `BURGEE_PG_BIN`, then
    /// the path, Debian's and Red Hat's versioned folders newest first, and
    /// `.tools/postgres/bin` here or above, which `make setup` fills.
    pub binaries: Option<PathBuf>,
}

impl Options {
    /// A durable cluster in `data_dir`, by whichever Postgres is found.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            durable: true,
            max_connections: 100,
            binaries: None,
        }
    }
}

/// A running private cluster. [`PrivatePostgres::stop`] it; one that is dropped is
/// told to stop, and one whose process dies ends by itself.
#[derive(Debug)]
pub struct PrivatePostgres {
    process: Process,
    socket_dir: PathBuf,
    /// Released last, so that the next one waits for all of it.
    _lock: File,
}

/// Why there is no private Postgres.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No usable binaries.
    #[error(
        "no Postgres {OLDEST_VERSION} or newer found: run `make setup`, install your system's \
         postgresql package, or set BURGEE_PG_BIN to the folder of initdb and postgres{looked}"
    )]
    NotFound {
        /// What was looked at, and why it was not taken, a line each.
        looked: String,
    },
    /// Another process has this data directory.
    #[error("{} is in use by process {holder}", data_dir.display())]
    InUse {
        /// The data directory.
        data_dir: PathBuf,
        /// Its process id, as it has written it down.
        holder: String,
    },
    /// The cluster was made by another major version.
    #[error(
        "the cluster in {} was made by Postgres {made_by}, and none was found{looked}",
        cluster.display()
    )]
    OtherVersion {
        /// The cluster.
        cluster: PathBuf,
        /// Its major version.
        made_by: u32,
        /// What was looked at, and why it was not taken, a line each.
        looked: String,
    },
    /// The cluster belongs to somebody else.
    #[error("the cluster in {} belongs to another user (uid {owner})", cluster.display())]
    NotOurs {
        /// The cluster.
        cluster: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// Postgres's own account cannot get at a folder.
    #[error(
        "{} cannot be reached by the user {user}, as whom Postgres runs: \
         choose another data directory, or let others pass through its parents",
        path.display()
    )]
    Unreachable {
        /// The folder.
        path: PathBuf,
        /// The account.
        user: String,
    },
    /// `initdb` failed.
    #[error("initdb failed:\n{0}")]
    Initdb(String),
    /// Postgres ended, or was not up in time.
    #[error("Postgres did not start ({outcome}):\n{log}")]
    Start {
        /// How it ended.
        outcome: String,
        /// The end of its log.
        log: String,
    },
    /// A leftover of a killed predecessor would not end.
    #[error("a Postgres of an earlier process (process {0}) does not end")]
    Leftover(i32),
    /// The system refused something.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

impl PrivatePostgres {
    /// Starts the cluster in `options.data_dir`, and makes it first if need be.
    /// Whatever a killed predecessor left behind is ended and cleared away.
    ///
    /// As root, Postgres runs as the owner of the cluster, at first as `postgres` or
    /// `nobody`. Others are then let through the data directory, though not into it. If
    /// one of its parents is closed to that account, the cluster is put into
    /// `/var/lib/burgee`, and the data directory has a link to it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn start(options: Options) -> Result<Self, Error> {
        let data_dir = DataDir::open(&options.data_dir)?;
        let cluster = data_dir.cluster()?;
        let account = Account::for_cluster(cluster.as_ref())?;
        let made_by = cluster.as_ref().map(Cluster::version).transpose()?;
        let binaries = Binaries::find(options.binaries.as_deref(), &account, made_by, &data_dir)?;
        let cluster = match cluster {
            Some(cluster) => cluster,
            None => data_dir.init(&binaries, &account, options.durable).await?,
        };
        account.must_reach(cluster.path())?;
        leftovers::end(cluster.path()).await?;

        let socket_dir = data_dir.socket_dir(&account)?;
        let log = data_dir.log();
        let process = Process::spawn(process::Launch {
            postgres: binaries.postgres(),
            arguments: arguments(&options, &cluster, &socket_dir),
            account,
            log: log.clone(),
        })?;
        let started = Self {
            process,
            socket_dir,
            _lock: data_dir.into_lock(),
        };
        started.wait_until_up(&log).await?;
        Ok(started)
    }

    /// The URL of the cluster's first database, for sqlx and for libpq.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of(DATABASE)
    }

    /// The URL of another database of the cluster, by its plain name.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        let host = percent_encoded(&self.socket_dir);
        // All of it is said, so that no PG* environment variable fills a gap.
        format!("postgres://{USER}@localhost:{PORT}/{database}?host={host}&sslmode=disable")
    }

    /// The process id of the postmaster: tests pause and kill it.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until Postgres has ended, which it does unasked only when something is
    /// wrong, and tells how.
    pub async fn ended(&self) -> String {
        self.process.ended().await
    }

    /// Ends all sessions and stops, within a bound: first in order, then at once.
    pub async fn stop(mut self) {
        self.process.stop().await;
        // Empty now, and made anew by the next start.
        let _ = std::fs::remove_dir(&self.socket_dir);
    }

    async fn wait_until_up(&self, log: &Path) -> Result<(), Error> {
        let url = self.url();
        let deadline = Instant::now() + START_TIMEOUT;
        let failed = |outcome: String| Error::Start {
            outcome,
            log: end_of(log),
        };
        loop {
            let connected = tokio::select! {
                connected = PgConnection::connect(&url) => connected,
                outcome = self.process.ended() => return Err(failed(outcome)),
            };
            match connected {
                Ok(connection) => {
                    // Up is up: how this connection ends says nothing.
                    let _ = connection.close().await;
                    return Ok(());
                }
                Err(error) if Instant::now() > deadline => return Err(failed(error.to_string())),
                Err(_) => tokio::time::sleep(POLL).await,
            }
        }
    }
}

fn arguments(options: &Options, cluster: &Cluster, socket_dir: &Path) -> Vec<OsString> {
    // A list of folders, in which a quoted name may hold anything.
    let socket_dirs = socket_dir.to_string_lossy().replace('"', "\"\"");
    let mut settings = vec![
        "listen_addresses=".to_owned(),
        format!("unix_socket_directories=\"{socket_dirs}\""),
        "unix_socket_permissions=0700".to_owned(),
        format!("port={PORT}"),
        format!("max_connections={}", options.max_connections),
        "logging_collector=off".to_owned(),
    ];
    if !options.durable {
        settings.extend(
            ["fsync", "synchronous_commit", "full_page_writes"].map(|name| format!("{name}=off")),
        );
    }
    let mut arguments = vec!["-D".into(), cluster.path().into()];
    for setting in settings {
        arguments.extend(["-c".into(), setting.into()]);
    }
    arguments
}

/// As RFC 3986 has it, with the slashes encoded too.
fn percent_encoded(path: &Path) -> String {
    let mut encoded = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            encoded.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn end_of(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let begin = bytes.len().saturating_sub(QUOTED_LOG_BYTES);
    String::from_utf8_lossy(bytes.get(begin..).unwrap_or_default()).into_owned()
}

/// Names what was tried, for a `map_err` on the system's answer.
fn cannot(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
    let what = what.into();
    |source| Error::Io { what, source }
}
