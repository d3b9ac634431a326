//! As whom Postgres runs. It refuses root, and its folders must be its own.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;

use nix::unistd::{AccessFlags, Uid, User, access, geteuid};

use super::cluster::Cluster;
use super::{Error, cannot};

/// The accounts that root runs Postgres as, best first.
const ACCOUNTS: [&str; 2] = ["postgres", "nobody"];

/// The user and group of Postgres's processes.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) name: String,
    /// Whether it is the account of this process, and nothing has to be changed.
    pub(super) is_ours: bool,
}

/// The permission to run a file, or to pass through a folder.
const EXECUTE: u32 = 0o1;

impl Account {
    /// This process's account; if that is root, the owner of the cluster, or for a new
    /// one the first of `postgres` and `nobody` that exists.
    pub(super) fn for_cluster(cluster: Option<&Cluster>) -> Result<Self, Error> {
        let us = geteuid();
        let owner = cluster.map(Cluster::owner).transpose()?;
        let uid = match owner {
            Some(owner) if owner == us.as_raw() && !us.is_root() => us,
            Some(owner) if us.is_root() && owner != us.as_raw() => Uid::from_raw(owner),
            Some(owner) => {
                let cluster = cluster.map(|cluster| cluster.path().to_owned());
                return Err(Error::NotOurs {
                    cluster: cluster.unwrap_or_default(),
                    owner,
                });
            }
            None if us.is_root() => return Self::first_of(&ACCOUNTS),
            None => us,
        };
        let user = User::from_uid(uid).map_err(|error| cannot("look up a user")(error.into()))?;
        match user {
            Some(user) => Ok(Self::of(user)),
            None => Err(Error::Io {
                what: format!("find the user with uid {uid}"),
                source: std::io::ErrorKind::NotFound.into(),
            }),
        }
    }

    fn first_of(names: &[&str]) -> Result<Self, Error> {
        for name in names {
            let user =
                User::from_name(name).map_err(|error| cannot("look up a user")(error.into()))?;
            if let Some(user) = user {
                return Ok(Self::of(user));
            }
        }
        Err(Error::Io {
            what: format!(
                "find a user to run Postgres as: one of {}",
                names.join(", ")
            ),
            source: std::io::ErrorKind::NotFound.into(),
        })
    }

    fn of(user: User) -> Self {
        Self {
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            is_ours: user.uid == geteuid(),
            name: user.name,
        }
    }

    /// Makes the account the owner of `path`.
    pub(super) fn own(&self, path: &Path) -> Result<(), Error> {
        if self.is_ours {
            return Ok(());
        }
        chown(path, Some(self.uid), Some(self.gid)).map_err(cannot(format!(
            "give {} to {}",
            path.display(),
            self.name
        )))
    }

    /// Whether the account can pass through all folders above `path`.
    pub(super) fn reaches(&self, path: &Path) -> bool {
        let Ok(path) = path.canonicalize() else {
            return false;
        };
        path.ancestors()
            .skip(1)
            .all(|folder| self.may_execute(folder))
    }

    pub(super) fn must_reach(&self, path: &Path) -> Result<(), Error> {
        if self.reaches(path) {
            return Ok(());
        }
        Err(Error::Unreachable {
            path: path.to_owned(),
            user: self.name.clone(),
        })
    }

    /// Whether the account can run `program`.
    pub(super) fn may_run(&self, program: &Path) -> bool {
        self.reaches(program) && self.may_execute(program)
    }

    /// Whether the account can run the file, or pass through the folder.
    pub(super) fn may_execute(&self, path: &Path) -> bool {
        if self.is_ours {
            return access(path, AccessFlags::X_OK).is_ok();
        }
        path.metadata()
            .is_ok_and(|metadata| self.is_granted_to_execute(&metadata))
    }

    /// By the mode alone: another account has no groups but its own when we start
    /// something as it.
    fn is_granted_to_execute(&self, metadata: &Metadata) -> bool {
        let shift = if metadata.uid() == self.uid {
            6
        } else if metadata.gid() == self.gid {
            3
        } else {
            0
        };
        (metadata.mode() >> shift) & EXECUTE != 0
    }
}
