//! The data directory: its lock, the cluster in it, and the socket's place.
//!
//! ```text
//! data_dir/lock          held by whoever runs the cluster; holds its process id
//! data_dir/cluster/      Postgres's own, or a link to where its account can reach it
//! data_dir/socket/       the unix socket, unless its path would be too long
//! data_dir/postgres.log  of the last start
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use tokio::process::Command;
use uuid::Uuid;

use super::account::Account;
use super::binaries::Binaries;
use super::process::{FOREIGN_VARIABLES, become_account};
use super::{Error, PORT, USER, cannot};

/// Where root puts clusters whose data directory Postgres's account cannot reach.
const REACHABLE: &str = "/var/lib/burgee";

/// Where sockets go whose path would be too long, whatever the data directory.
const SHORT: &str = "/tmp";

/// How much of a hash tells folders of sockets apart, in hexadecimal digits.
const FOLDER_DIGITS: usize = 16;

/// The bytes of a unix socket's path, without the final zero (`sockaddr_un`).
const MAX_SOCKET_PATH_BYTES: usize = 107;

/// Only Postgres's account gets in: whoever does is superuser.
const PRIVATE: u32 = 0o700;

/// What others need on the way to something that they own.
const PASS_THROUGH: u32 = 0o011;

/// A data directory that this process has to itself.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    lock: File,
}

/// A cluster that has been made.
#[derive(Debug)]
pub(super) struct Cluster {
    path: PathBuf,
}

impl DataDir {
    /// Makes the directory if need be, and locks it.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let what = || format!("use the data directory {}", path.display());
        fs::create_dir_all(path).map_err(cannot(what()))?;
        // Postgres runs elsewhere, so relative paths would be others.
        let path = path.canonicalize().map_err(cannot(what()))?;
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join("lock"))
            .map_err(cannot(what()))?;
        Self { path, lock }.locked()
    }

    fn locked(mut self) -> Result<Self, Error> {
        let what = || format!("lock the data directory {}", self.path.display());
        match self.lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(cannot(what())(error)),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                self.lock
                    .read_to_string(&mut holder)
                    .map_err(cannot(what()))?;
                return Err(Error::InUse {
                    data_dir: self.path,
                    holder: holder.trim().to_owned(),
                });
            }
        }
        let named = |lock: &mut File| {
            lock.set_len(0)?;
            lock.rewind()?;
            writeln!(lock, "{}", std::process::id())
        };
        named(&mut self.lock).map_err(cannot(what()))?;
        Ok(self)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path.join("postgres.log")
    }

    pub(super) fn into_lock(self) -> File {
        self.lock
    }

    /// The cluster, if it has been made.
    pub(super) fn cluster(&self) -> Result<Option<Cluster>, Error> {
        match self.path.join("cluster").canonicalize() {
            Ok(path) => Ok(Some(Cluster { path })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(cannot(format!("look into {}", self.path.display()))(error)),
        }
    }

    /// Makes the cluster. It appears under its name when it is whole, so that one that
    /// was interrupted counts as none.
    pub(super) async fn init(
        &self,
        binaries: &Binaries,
        account: &Account,
        durable: bool,
    ) -> Result<Cluster, Error> {
        let link = self.path.join("cluster");
        let unfinished = self.path.join("cluster.unfinished");
        remove(&unfinished).map_err(cannot("clear away an unfinished cluster"))?;
        // A link whose cluster has been deleted.
        remove(&link).map_err(cannot("clear away the link to a deleted cluster"))?;

        private_folder(&unfinished, account)?;
        self.let_through(account)?;
        if account.reaches(&unfinished) {
            initdb(binaries, account, &unfinished, durable).await?;
            fs::rename(&unfinished, &link).map_err(cannot("name the new cluster"))?;
        } else {
            let elsewhere = self.elsewhere(account)?;
            initdb(binaries, account, &elsewhere, durable).await?;
            remove(&unfinished).map_err(cannot("clear away a cluster out of reach"))?;
            symlink(&elsewhere, &link).map_err(cannot("link to the new cluster"))?;
        }
        let path = link
            .canonicalize()
            .map_err(cannot("find the new cluster"))?;
        Ok(Cluster { path })
    }

    /// Lets another account pass through the data directory: through, not into it.
    fn let_through(&self, account: &Account) -> Result<(), Error> {
        if account.may_execute(&self.path) {
            return Ok(());
        }
        let what = || format!("let {} pass through {}", account.name, self.path.display());
        let metadata = fs::metadata(&self.path).map_err(cannot(what()))?;
        let mut permissions = metadata.permissions();
        permissions.set_mode(metadata.mode() | PASS_THROUGH);
        fs::set_permissions(&self.path, permissions).map_err(cannot(what()))
    }

    /// A new folder that the account reaches, for root alone can get at this one.
    fn elsewhere(&self, account: &Account) -> Result<PathBuf, Error> {
        // A new name each time: data must not come back after it was deleted here.
        let path = Path::new(REACHABLE).join(format!("postgres-{}", Uuid::now_v7()));
        fs::create_dir_all(REACHABLE).map_err(cannot(format!("make {REACHABLE}")))?;
        private_folder(&path, account)?;
        account.must_reach(&path)?;
        tracing::warn!(
            data_dir = %self.path.display(),
            cluster = %path.display(),
            user = account.name,
            "Postgres cannot reach the data directory; it only has a link to the cluster"
        );
        Ok(path)
    }

    /// The folder of the socket: in the data directory, or if that will not do, one of
    /// its own in a short place.
    pub(super) fn socket_dir(&self, account: &Account) -> Result<PathBuf, Error> {
        let here = self.path.join("socket");
        // A new one: the account may be another than the last time.
        remove(&here).map_err(cannot("clear away the last socket"))?;
        private_folder(&here, account)?;
        let name_bytes = format!("/.s.PGSQL.{PORT}").len();
        let is_short = here.as_os_str().len() + name_bytes <= MAX_SOCKET_PATH_BYTES;
        // Settings and URLs are text.
        let is_text = here.to_str().is_some();
        if is_short && is_text && account.reaches(&here) {
            return Ok(here);
        }
        // The same one each time: a process that is killed does not clear it away.
        let digest = Sha256::digest(self.path.as_os_str().as_bytes());
        let mut digest = HEXLOWER.encode(&digest);
        digest.truncate(FOLDER_DIGITS);
        let elsewhere = Path::new(SHORT).join(format!("burgee-{}-{digest}", account.uid));
        private_folder(&elsewhere, account)?;
        Ok(elsewhere)
    }
}

impl Cluster {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn owner(&self) -> Result<u32, Error> {
        let metadata = fs::metadata(&self.path);
        let metadata = metadata.map_err(cannot(format!("look at {}", self.path.display())))?;
        Ok(metadata.uid())
    }

    /// The major version that made it.
    pub(super) fn version(&self) -> Result<u32, Error> {
        let path = self.path.join("PG_VERSION");
        let what = || format!("read the version of the cluster in {}", path.display());
        let text = fs::read_to_string(&path).map_err(cannot(what()))?;
        text.trim()
            .parse()
            .map_err(|_| cannot(what())(io::ErrorKind::InvalidData.into()))
    }
}

/// A folder of the account alone. One that is there must be just that: in a place
/// where anybody can write, it could be anybody's.
fn private_folder(path: &Path, account: &Account) -> Result<(), Error> {
    let what = || format!("make the folder {}", path.display());
    match DirBuilder::new().mode(PRIVATE).create(path) {
        Ok(()) => return account.own(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(cannot(what())(error)),
    }
    let found = fs::symlink_metadata(path).map_err(cannot(what()))?;
    if found.is_dir() && found.uid() == account.uid && found.mode() & 0o777 == PRIVATE {
        return Ok(());
    }
    Err(Error::Io {
        what: format!(
            "use {}, which is not only {}'s",
            path.display(),
            account.name
        ),
        source: io::ErrorKind::PermissionDenied.into(),
    })
}

/// Removes a folder or a link, if it is there.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

async fn initdb(
    binaries: &Binaries,
    account: &Account,
    cluster: &Path,
    durable: bool,
) -> Result<(), Error> {
    let mut command = std::process::Command::new(binaries.initdb());
    command
        .args([
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-instructions",
        ])
        .arg(format!("--username={USER}"))
        .args((!durable).then_some("--no-sync"))
        .arg("--pgdata")
        .arg(cluster)
        // Not every account may enter the folder that we are in.
        .current_dir("/");
    for name in FOREIGN_VARIABLES {
        command.env_remove(name);
    }
    become_account(&mut command, account);
    let output = Command::from(command).kill_on_drop(true).output().await;
    let output = output.map_err(cannot("run initdb"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Initdb(
        String::from_utf8_lossy(&output.stderr).into_owned(),
    ))
}
