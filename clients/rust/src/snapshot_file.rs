//! The snapshot file: one format for an SDK's disk copy, a relay's, and a
//! bootstrap file.
//!
//! ```text
//! BURGEE\0\1 ‖ SHA-256 of the rest ‖ SnapshotHeader ‖ Item ‖ Item ‖ …
//! ```
//!
//! The messages are `burgee.sync.v1`'s, each varint-delimited. [`format`] is the
//! bytes; [`SnapshotFile`] is the file, which survives being killed at any
//! instant: a new one is complete on disk before it takes the place of the old
//! one, and the old one is kept.

pub mod format;
mod keep;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub use self::format::{Invalid, Snapshot};
pub use self::keep::{SAVE_INTERVAL, keep};
use crate::sync::Holding;

/// A snapshot file and the files beside it: `….previous`, `….corrupt`,
/// `….new` while it is written, and `….lock`.
///
/// Every method does blocking I/O.
#[derive(Debug, Clone)]
pub struct SnapshotFile {
    path: PathBuf,
}

/// Why nothing was saved. What was on disk before is still there.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// Another process writes this file just now.
    #[error("another process is writing it")]
    Busy,
    /// The disk did not take it.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl SnapshotFile {
    /// The file at `path`, which need not exist, in a folder that must when
    /// something is saved.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes what is held: to a file of its own, flushed to disk, and then put
    /// in place by renaming. Readable by its owner only, as it tells who is
    /// targeted by name.
    ///
    /// # Errors
    /// [`SaveError`]; whatever happened, the current or the previous file is
    /// complete.
    pub fn save(&self, held: &Holding, saved_at: SystemTime) -> Result<(), SaveError> {
        let lock = open_private(&self.beside("lock"), OpenOptions::new().write(true))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => SaveError::Busy,
            TryLockError::Error(error) => SaveError::Io(error),
        })?;
        let new = self.beside("new");
        let file = open_private(&new, OpenOptions::new().write(true).truncate(true))?;
        let mut writer = BufWriter::new(file);
        format::write(&mut writer, held, saved_at)?;
        writer.flush()?;
        writer.get_ref().sync_all()?;
        drop(writer);
        match fs::rename(&self.path, self.beside("previous")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        fs::rename(&new, &self.path)?;
        sync_folder(&self.path)?;
        Ok(())
    }

    /// Reads the file, or the previous one where it is missing or bad. A bad
    /// file is set aside as `….corrupt`, for people to look at. `None`: there is
    /// no good one.
    ///
    /// `environment`: the uid that it must be of, where that is known.
    #[must_use]
    pub fn load(&self, environment: Option<&str>) -> Option<Snapshot> {
        let previous = self.beside("previous");
        [&self.path, &previous]
            .into_iter()
            .find_map(|path| self.load_one(path, environment))
    }

    /// Removes the file and all that stands beside it.
    ///
    /// # Errors
    /// The first failure other than that a file is not there.
    pub fn remove(&self) -> io::Result<()> {
        let beside = ["previous", "corrupt", "new", "lock"].map(|name| self.beside(name));
        for path in std::iter::once(&self.path).chain(&beside) {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        sync_folder(&self.path)
    }

    fn load_one(&self, path: &Path, environment: Option<&str>) -> Option<Snapshot> {
        let error = match read(path, environment) {
            Ok(snapshot) => return Some(snapshot),
            Err(Invalid::Io(error)) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => error,
        };
        tracing::warn!(file = %path.display(), %error, "snapshot file cannot be used");
        // What cannot be read may be readable later; only bad bytes are set aside.
        if !matches!(error, Invalid::Io(_))
            && let Err(error) = fs::rename(path, self.beside("corrupt"))
        {
            tracing::warn!(file = %path.display(), %error, "cannot set the bad file aside");
        }
        None
    }

    fn beside(&self, name: &str) -> PathBuf {
        let mut path = OsString::from(&self.path);
        path.push(".");
        path.push(name);
        path.into()
    }
}

/// Reads one file, such as a bootstrap file, without touching it.
///
/// # Errors
/// [`Invalid`], if it cannot be read, or is not whole and right.
pub fn read(path: &Path, environment: Option<&str>) -> Result<Snapshot, Invalid> {
    let file = File::open(path)?;
    format::read(BufReader::new(file), environment)
}

/// Opens for the owner alone, creating where there is nothing.
fn open_private(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.create(true).open(path)
}

/// Makes a rename last: on Unix the folder is a file of its own.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix)
        && let Some(folder) = path.parent()
    {
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
