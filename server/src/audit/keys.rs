//! The keys that seal the log: the newest seals, older ones verify.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use sha2::{Digest as _, Sha256};

use crate::api_keys::shipped::hex;
use crate::failure::Failure;
use crate::random;

/// How long a key is, in bytes.
const KEY_BYTES: usize = 32;
/// How much of a key's hash is its id, in bytes.
const ID_BYTES: usize = 8;
/// Keeps the hash that the id is taken from apart from all others.
const ID_DOMAIN: &[u8] = b"burgee audit key";
/// Nobody else may read a file of keys.
const FILE_MODE: u32 = 0o600;

/// A key, and the id by which seals name it. The id tells nothing of the key.
#[derive(Clone)]
pub struct Key {
    bytes: [u8; KEY_BYTES],
    id: String,
}

/// The keys that are known here, newest first. None: seals are made without a key.
#[derive(Debug, Clone, Default)]
pub struct Keys(Vec<Key>);

/// Where the keys are.
#[derive(Clone, Default, Args)]
pub struct KeyOptions {
    /// Keys that seal the audit log, 32 bytes in base64 each; with commas between them, newest first
    #[arg(
        long,
        env = "BURGEE_AUDIT_KEY",
        hide_env_values = true,
        value_name = "KEYS"
    )]
    pub audit_key: Option<String>,
    /// A file with these keys, one a line, newest first
    #[arg(
        long,
        env = "BURGEE_AUDIT_KEY_FILE",
        value_name = "FILE",
        conflicts_with = "audit_key"
    )]
    pub audit_key_file: Option<PathBuf>,
}

impl Key {
    /// A key of these bytes.
    #[must_use]
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        let hash = Sha256::new_with_prefix(ID_DOMAIN).chain_update(bytes);
        let hash: [u8; 32] = hash.finalize().into();
        let id: Vec<u8> = hash.into_iter().take(ID_BYTES).collect();
        Self {
            bytes,
            id: hex(&id),
        }
    }

    /// How seals name it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// As a line of a file of keys.
    #[must_use]
    pub fn encoded(&self) -> String {
        STANDARD.encode(self.bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Key({})", self.id)
    }
}

impl Keys {
    /// Parses keys, newest first, with commas or white space between them.
    ///
    /// # Errors
    /// [`Failure::AuditKey`] with the place of the first that is none.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let words = text.split(|character: char| character == ',' || character.is_whitespace());
        let words = words.filter(|word| !word.is_empty()).enumerate();
        let keys = words.map(|(place, word)| {
            let bytes = STANDARD.decode(word).ok();
            let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
            bytes.map(Key::new).ok_or(Failure::AuditKey(place + 1))
        });
        let keys = Self(keys.collect::<Result<_, _>>()?);
        // Whoever meant to give a key must not go without one.
        keys.newest().ok_or(Failure::AuditKey(1))?;
        Ok(keys)
    }

    /// Reads a file of keys.
    ///
    /// # Errors
    /// [`Failure::Io`], [`Failure::AuditKey`].
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(path);
        Self::parse(&text.map_err(Failure::io(format!("read {}", path.display())))?)
    }

    /// Reads a file of keys; makes one with a new key if it is not there.
    ///
    /// # Errors
    /// As [`Keys::read`].
    pub fn read_or_make(path: &Path) -> Result<Self, Failure> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(path);
        let failure = || Failure::io(format!("write {}", path.display()));
        match file {
            Ok(mut file) => {
                let key = Key::new(random::bytes()?);
                writeln!(file, "{}", key.encoded()).map_err(failure())?;
                file.sync_all().map_err(failure())?;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failure()(error)),
        }
        Self::read(path)
    }

    /// The one that seals.
    #[must_use]
    pub fn newest(&self) -> Option<&Key> {
        self.0.first()
    }

    /// The one that a seal names.
    pub(super) fn find(&self, id: &str) -> Option<&Key> {
        self.0.iter().find(|key| key.id == id)
    }
}

impl KeyOptions {
    /// The keys.
    ///
    /// # Errors
    /// [`Failure::Io`], [`Failure::AuditKey`].
    pub fn keys(&self) -> Result<Keys, Failure> {
        match (&self.audit_key, &self.audit_key_file) {
            (Some(text), _) => Keys::parse(text),
            (None, Some(path)) => Keys::read(path),
            (None, None) => Ok(Keys::default()),
        }
    }
}

impl fmt::Debug for KeyOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = self.audit_key.as_ref().map(|_| "…");
        formatter
            .debug_struct("KeyOptions")
            .field("audit_key", &given)
            .field("audit_key_file", &self.audit_key_file)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn keys_are_parsed_newest_first_and_shown_by_their_ids_alone() {
        let (new, old) = (Key::new([1; 32]), Key::new([2; 32]));
        let keys = Keys::parse(&format!("{}, {}\n", new.encoded(), old.encoded())).unwrap();
        assert_eq!(keys.newest().unwrap().id(), new.id());
        assert_eq!(keys.find(old.id()).unwrap().bytes(), [2; 32]);
        assert!(keys.find("").is_none());
        let shown = format!("{keys:?}");
        assert!(shown.contains(old.id()) && !shown.contains(&old.encoded()));
        let options = KeyOptions {
            audit_key: Some(old.encoded()),
            ..KeyOptions::default()
        };
        assert!(!format!("{options:?}").contains(&old.encoded()));
    }

    #[test]
    fn a_file_is_made_once_and_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit-keys");
        let made = Keys::read_or_make(&path).unwrap();
        let read = Keys::read_or_make(&path).unwrap();
        assert_eq!(made.newest().unwrap().id(), read.newest().unwrap().id());
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, FILE_MODE);
    }

    #[test]
    fn what_is_no_key_is_named_by_its_place() {
        let key = Key::new([1; 32]).encoded();
        for (text, place) in [
            ("", 1),
            (" ,\n", 1),
            ("secret", 1),
            (&format!("{key},AAAA"), 2),
        ] {
            let failure = Keys::parse(text).unwrap_err();
            assert!(
                matches!(failure, Failure::AuditKey(at) if at == place),
                "{failure}"
            );
        }
    }
}
