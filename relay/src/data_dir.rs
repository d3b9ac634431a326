//! The relay's folder: one snapshot file an environment, and a lock.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use burgee::snapshot_file::SnapshotFile;
use burgee::sync::Holding;

/// What snapshot files are called, after the environment's uid.
const EXTENSION: &str = "snapshot";
/// Held for as long as the relay runs; the system lets go of it when it ends,
/// however it ends.
const LOCK: &str = "lock";
/// Where the hyphens of a uid are.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];
/// The length of a uid.
const UID_BYTES: usize = 36;

/// A folder that belongs to this relay alone.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// An environment that was on disk.
#[derive(Debug)]
pub struct Restored {
    /// Its uid.
    pub environment: String,
    /// The last known good ruleset, access keys included.
    pub held: Holding,
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another relay runs in it.
    #[error("another relay uses the data directory {}", .0.display())]
    InUse(PathBuf),
    /// It cannot be made, read or written.
    #[error("cannot use the data directory {}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl DataDir {
    /// Takes a folder, making it if it is not there. Blocking.
    ///
    /// # Errors
    /// [`Error`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let unusable = |source| Error::Io {
            path: path.to_owned(),
            source,
        };
        fs::create_dir_all(path).map_err(unusable)?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join(LOCK))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// The snapshot file of an environment.
    #[must_use]
    pub fn file(&self, environment: &str) -> SnapshotFile {
        SnapshotFile::new(self.path.join(format!("{environment}.{EXTENSION}")))
    }

    /// Reads every environment that has a good file. Blocking.
    ///
    /// # Errors
    /// [`Error`], if the folder itself cannot be read.
    pub fn restore(&self) -> Result<Vec<Restored>, Error> {
        let unusable = |source| Error::Io {
            path: self.path.clone(),
            source,
        };
        let mut environments = std::collections::BTreeSet::new();
        for entry in fs::read_dir(&self.path).map_err(unusable)? {
            let name = entry.map_err(unusable)?.file_name();
            // The previous file counts too: the current one may be missing.
            let environment = name.to_str().and_then(|name| name.split_once('.'));
            if let Some((environment, rest)) = environment
                && rest.starts_with(EXTENSION)
                && is_environment(environment)
            {
                environments.insert(environment.to_owned());
            }
        }
        Ok(environments
            .into_iter()
            .filter_map(|environment| self.restore_one(environment))
            .collect())
    }

    fn restore_one(&self, environment: String) -> Option<Restored> {
        let snapshot = self.file(&environment).load(Some(&environment))?;
        if !snapshot.held.with_access_keys {
            // An SDK's file: without access keys nobody could be let in.
            tracing::warn!(environment, "snapshot without access keys; not used");
            return None;
        }
        tracing::info!(
            environment,
            position = ?snapshot.held.state.position(),
            saved_at = ?snapshot.saved_at,
            "restored from disk"
        );
        Some(Restored {
            environment,
            held: snapshot.held,
        })
    }
}

/// Whether a text is an environment's uid: a lower-case UUID. Nothing else may
/// become the name of a file.
#[must_use]
pub fn is_environment(text: &str) -> bool {
    text.len() == UID_BYTES
        && text.bytes().enumerate().all(|(index, byte)| {
            if HYPHENS.contains(&index) {
                byte == b'-'
            } else {
                matches!(byte, b'0'..=b'9' | b'a'..=b'f')
            }
        })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use burgee_evaluator::RulesetState;
    use burgee_proto::types::v1::Position;
    use bytes::Bytes;
    use tempfile::TempDir;

    use super::*;

    const ONE: &str = "3f2b8c1e-0000-4000-8000-000000000001";
    const TWO: &str = "3f2b8c1e-0000-4000-8000-000000000002";

    fn save(data_dir: &DataDir, environment: &str, revision: u64, with_access_keys: bool) {
        let position = Position { epoch: 1, revision };
        let held = Holding {
            state: RulesetState::new(environment, position, []),
            resume_token: Bytes::new(),
            with_access_keys,
        };
        data_dir
            .file(environment)
            .save(&held, SystemTime::now())
            .unwrap();
    }

    fn restored(data_dir: &DataDir) -> Vec<(String, u64)> {
        let restored = data_dir.restore().unwrap().into_iter();
        restored
            .map(|one| (one.environment, one.held.state.position().revision))
            .collect()
    }

    #[test]
    fn every_good_file_is_restored_and_nothing_else() {
        let folder = TempDir::new().unwrap();
        let data_dir = DataDir::open(folder.path()).unwrap();
        save(&data_dir, ONE, 4, true);
        save(&data_dir, TWO, 5, true);
        save(&data_dir, TWO, 6, true);
        fs::write(folder.path().join("notes.snapshot"), b"x").unwrap();
        fs::write(data_dir.file(TWO).path(), b"x").unwrap();
        assert_eq!(restored(&data_dir), [(ONE.into(), 4), (TWO.into(), 5)]);
    }

    #[test]
    fn a_file_under_another_environments_name_is_not_served() {
        let folder = TempDir::new().unwrap();
        let data_dir = DataDir::open(folder.path()).unwrap();
        save(&data_dir, ONE, 4, true);
        fs::rename(data_dir.file(ONE).path(), data_dir.file(TWO).path()).unwrap();
        assert_eq!(restored(&data_dir), []);
    }

    #[test]
    fn a_file_without_access_keys_is_not_served() {
        let folder = TempDir::new().unwrap();
        let data_dir = DataDir::open(folder.path()).unwrap();
        save(&data_dir, ONE, 4, false);
        assert_eq!(restored(&data_dir), []);
    }

    #[test]
    fn a_folder_is_of_one_relay_alone() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("made/on/demand");
        let first = DataDir::open(&path).unwrap();
        assert!(matches!(DataDir::open(&path), Err(Error::InUse(_))));
        drop(first);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn only_a_uid_becomes_a_file() {
        assert!(is_environment(ONE));
        for text in [
            "",
            "../../../../../../../../../etc/passwd",
            "3F2B8C1E-0000-4000-8000-000000000001",
            "3f2b8c1e-0000-4000-8000-00000000000/",
            "3f2b8c1e00000-4000-8000-000000000001",
        ] {
            assert!(!is_environment(text), "{text}");
        }
    }
}
