//! A private Postgres cluster.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use burgee_server::private_postgres::{Options, PrivatePostgres};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::{Mutex, oneshot};

use crate::wait::{SOON, within};

/// Enough for the servers of all tests that run at once.
const CONNECTIONS_MAX: u16 = 300;

/// A running cluster on a unix socket. Dropping it ends it; its files are gone
/// when this process is.
pub struct Cluster {
    /// `None` while it is stopped.
    postgres: Option<PrivatePostgres>,
    options: Options,
}

impl Cluster {
    /// The cluster that this process's tests share, each with a database of its
    /// own. It does not survive a crash of the machine: nothing in it is worth
    /// the wait for a disk.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        static STARTING: Mutex<()> = Mutex::const_new(());
        let _one = STARTING.lock().await;
        if let Some(cluster) = SHARED.get() {
            return cluster;
        }
        let (started, cluster) = oneshot::channel();
        // It belongs to a thread and a runtime that stay as long as the process:
        // those of a test end with the test.
        std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap().block_on(async {
                let _ = started.send(Self::start(false).await);
                std::future::pending::<()>().await;
            });
        });
        let cluster = cluster.await.expect("the cluster starts");
        SHARED.get_or_init(|| cluster)
    }

    /// A cluster that a test has for itself, to stop and start. `durable`: with
    /// what it takes to survive a crash of the machine, as in production.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start(durable: bool) -> Self {
        let mut folder = tempfile::Builder::new();
        let folder = folder.prefix("burgee-postgres-").tempdir().unwrap().keep();
        delete_after_this_process(&folder);
        let options = Options {
            durable,
            max_connections: CONNECTIONS_MAX,
            ..Options::new(folder)
        };
        let mut cluster = Self {
            postgres: None,
            options,
        };
        cluster.start_again().await;
        cluster
    }

    /// Stops it: every connection is closed.
    ///
    /// # Panics
    ///
    /// When it is stopped already.
    pub async fn stop(&mut self) {
        self.postgres.take().expect("it runs").stop().await;
    }

    /// Starts it again after [`Cluster::stop`] or [`Cluster::kill9`].
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start_again(&mut self) {
        let postgres = PrivatePostgres::start(self.options.clone()).await;
        self.postgres = Some(postgres.unwrap_or_else(|error| panic!("{error}")));
    }

    /// kill −9 of its first process; the others follow.
    ///
    /// # Panics
    ///
    /// When it is stopped already, or does not end.
    pub async fn kill9(&mut self) {
        let postgres = self.postgres.take().expect("it runs");
        let process = i32::try_from(postgres.process_id()).unwrap();
        kill(Pid::from_raw(process), Signal::SIGKILL).unwrap();
        within("Postgres ends", SOON, postgres.ended()).await;
    }

    /// Its socket.
    ///
    /// # Panics
    ///
    /// When it is stopped.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        let options: PgConnectOptions = self.url("postgres").parse().unwrap();
        let folder = options.get_socket().expect("a unix socket");
        folder.join(format!(".s.PGSQL.{}", options.get_port()))
    }

    /// What a client of `database` connects to.
    ///
    /// # Panics
    ///
    /// When it is stopped.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.postgres.as_ref().expect("it runs").url_of(database)
    }
}

/// Deletes `folder` when this process has ended, however it ends: a shell waits
/// for the end of a pipe that nobody else holds, and then for Postgres.
fn delete_after_this_process(folder: &Path) {
    let shell = Command::new("sh")
        .args(["-c", "cat; until rm -rf -- \"$0\"; do sleep 0.1; done"])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Its end of the pipe is held until the process ends.
    std::mem::forget(shell);
}
