//! Files in the data directory that nobody else may read.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Nobody else may read them.
pub(super) const MODE: u32 = 0o600;

/// Keeps a text in a file, which is the old one or the new one at any time; gives its path.
///
/// # Errors
/// [`Failure::Io`].
pub(super) fn keep(data_dir: &Path, file: &str, text: &str) -> Result<PathBuf, Failure> {
    let path = data_dir.join(file);
    // Written under another name before it takes its own.
    let new = data_dir.join(format!("{file}.new"));
    let written = || {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(MODE);
        let mut opened = options.open(&new)?;
        opened.write_all(text.as_bytes())?;
        opened.sync_all()?;
        fs::rename(&new, &path)
    };
    written().map_err(Failure::io(format!("write {}", path.display())))?;
    Ok(path)
}
