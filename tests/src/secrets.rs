//! Files with the keys that secrets are sealed with.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use burgee_server::keyring::{Key, Keyring, Purpose};
use burgee_server::sealing::Sealing;
use tempfile::TempDir;

/// A file of keys that may be rewritten, as an operator does who rotates them.
pub struct KeyFile {
    folder: TempDir,
}

/// A key, as an operator writes it.
#[must_use]
pub fn key(byte: u8) -> Key {
    Key::new(Purpose::Secrets, [byte; 32])
}

impl KeyFile {
    /// With the keys of these bytes, newest first.
    #[must_use]
    pub fn with(bytes: &[u8]) -> Self {
        let file = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        file.rewrite(bytes);
        file
    }

    /// With other keys from now on.
    pub fn rewrite(&self, bytes: &[u8]) {
        let lines: Vec<String> = bytes.iter().map(|byte| key(*byte).encoded()).collect();
        std::fs::write(self.path(), lines.join("\n")).unwrap();
        let ours_alone = Permissions::from_mode(0o600);
        std::fs::set_permissions(self.path(), ours_alone).unwrap();
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("secret-keys")
    }

    /// What seals with it.
    #[must_use]
    pub fn sealing(&self) -> Sealing {
        Sealing::new(Keyring::read(Purpose::Secrets, &self.path()).unwrap())
    }

    /// The environment variable that names it.
    #[must_use]
    pub fn variable(&self) -> (String, String) {
        let path = self.path().to_str().unwrap().to_owned();
        ("BURGEE_SECRET_KEY_FILE".to_owned(), path)
    }
}
