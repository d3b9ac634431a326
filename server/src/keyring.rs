//! Keys from configuration: the newest makes, older ones still read what they made.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::random;

/// How long a key is, in bytes.
pub const KEY_BYTES: usize = 32;
/// How long its id is, in hexadecimal digits.
pub const ID_DIGITS: usize = 16;
/// Nobody else may read a file of keys.
const FILE_MODE: u32 = 0o600;
/// What of a file's mode lets everybody read or write it.
const OPEN_TO_ALL: u32 = 0o006;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Seals the audit log.
    AuditLog,
    /// Seals secrets that the database gives back.
    Secrets,
}

/// A key, and the id by which whatever was made with it names it. The id tells nothing of the
/// key.
#[derive(Clone)]
pub struct Key {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    id: String,
}

/// The keys that are known here, newest first. Perhaps none.
#[derive(Debug, Clone, Default)]
pub struct Keyring(Vec<Key>);

impl Purpose {
    /// Keeps the hash that an id is taken from apart from all others.
    fn id_domain(self) -> &'static [u8] {
        match self {
            Self::AuditLog => b"burgee audit key",
            Self::Secrets => b"burgee secret key",
        }
    }

    /// Where an operator gives keys for it.
    #[must_use]
    pub fn options(self) -> &'static str {
        match self {
            Self::AuditLog => "--audit-key (BURGEE_AUDIT_KEY) or --audit-key-file",
            Self::Secrets => "--secret-key-file (BURGEE_SECRET_KEY_FILE)",
        }
    }
}

impl Key {
    /// A key of these bytes.
    #[must_use]
    pub fn new(purpose: Purpose, bytes: [u8; KEY_BYTES]) -> Self {
        let bytes = Zeroizing::new(bytes);
        let hash = Sha256::new_with_prefix(purpose.id_domain()).chain_update(*bytes);
        let mut id = HEXLOWER.encode(&hash.finalize());
        id.truncate(ID_DIGITS);
        Self { bytes, id }
    }

    /// A new key.
    ///
    /// # Errors
    /// [`Failure::Refused`] if the operating system has no randomness.
    pub fn generate(purpose: Purpose) -> Result<Self, Failure> {
        Ok(Self::new(purpose, random::bytes()?))
    }

    /// How it is named.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// As a line of a file of keys.
    #[must_use]
    pub fn encoded(&self) -> String {
        STANDARD.encode(*self.bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Key({})", self.id)
    }
}

impl Keyring {
    /// Parses keys, newest first, with commas or white space between them.
    ///
    /// # Errors
    /// [`Failure::Key`] with the place of the first that is none.
    pub fn parse(purpose: Purpose, text: &str) -> Result<Self, Failure> {
        let failure = |place| Failure::Key { purpose, place };
        let words = text.split(|character: char| character == ',' || character.is_whitespace());
        let words = words.filter(|word| !word.is_empty()).enumerate();
        let keys = words.map(|(place, word)| {
            let bytes = STANDARD.decode(word).ok().map(Zeroizing::new);
            let bytes = bytes.and_then(|bytes| bytes.as_slice().try_into().ok());
            let key = bytes.map(|bytes| Key::new(purpose, bytes));
            key.ok_or(failure(place + 1))
        });
        let keys = Self(keys.collect::<Result<_, _>>()?);
        // Whoever meant to give a key must not go without one.
        keys.newest().ok_or(failure(1))?;
        Ok(keys)
    }

    /// Reads a file of keys. One that everybody may read is read, with a warning: where secrets
    /// are mounted into containers that is usual, and harmless.
    ///
    /// # Errors
    /// [`Failure::Io`], [`Failure::Key`].
    pub fn read(purpose: Purpose, path: &Path) -> Result<Self, Failure> {
        let failure = || Failure::io(format!("read {}", path.display()));
        let mut file = File::open(path).map_err(failure())?;
        let mode = file.metadata().map_err(failure())?.permissions().mode();
        if mode & OPEN_TO_ALL != 0 {
            let path = path.display();
            tracing::warn!(%path, "every user of this machine can read or write a file of keys");
        }
        let mut text = Zeroizing::new(String::new());
        file.read_to_string(&mut text).map_err(failure())?;
        Self::parse(purpose, &text)
    }

    /// Reads a file of keys; makes one with a new key if it is not there.
    ///
    /// # Errors
    /// As [`Keyring::read`].
    pub fn read_or_make(purpose: Purpose, path: &Path) -> Result<Self, Failure> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(path);
        let failure = || Failure::io(format!("write {}", path.display()));
        match file {
            Ok(mut file) => {
                let line = Zeroizing::new(Key::generate(purpose)?.encoded() + "\n");
                file.write_all(line.as_bytes()).map_err(failure())?;
                file.sync_all().map_err(failure())?;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failure()(error)),
        }
        Self::read(purpose, path)
    }

    /// The one that makes.
    #[must_use]
    pub fn newest(&self) -> Option<&Key> {
        self.0.first()
    }

    /// Those that only read.
    pub(crate) fn older(&self) -> &[Key] {
        self.0.get(1..).unwrap_or_default()
    }

    /// The one of this id.
    pub(crate) fn find(&self, id: &str) -> Option<&Key> {
        self.0.iter().find(|key| key.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_parsed_newest_first_and_shown_by_their_ids_alone() {
        let purpose = Purpose::AuditLog;
        let (new, old) = (Key::new(purpose, [1; 32]), Key::new(purpose, [2; 32]));
        let text = format!("{}, {}\n", new.encoded(), old.encoded());
        let keys = Keyring::parse(purpose, &text).unwrap();
        assert_eq!(keys.newest().unwrap().id(), new.id());
        assert_eq!(keys.older().len(), 1);
        assert_eq!(*keys.find(old.id()).unwrap().bytes(), [2; 32]);
        assert!(keys.find("").is_none());
        let shown = format!("{keys:?}");
        assert!(shown.contains(old.id()) && !shown.contains(&old.encoded()));
    }

    #[test]
    fn the_same_bytes_have_another_id_for_another_purpose() {
        let [one, other] = [Purpose::AuditLog, Purpose::Secrets].map(|it| Key::new(it, [1; 32]));
        assert_ne!(one.id(), other.id());
        assert_eq!(one.id().len(), ID_DIGITS);
    }

    #[test]
    fn a_file_is_made_once_and_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let made = Keyring::read_or_make(Purpose::Secrets, &path).unwrap();
        let read = Keyring::read_or_make(Purpose::Secrets, &path).unwrap();
        assert_eq!(made.newest().unwrap().id(), read.newest().unwrap().id());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, FILE_MODE);
    }

    #[test]
    fn what_is_no_key_is_named_by_its_place() {
        let key = Key::new(Purpose::Secrets, [1; 32]).encoded();
        for (text, expected) in [
            ("", 1),
            (" ,\n", 1),
            ("secret", 1),
            (&format!("{key},AAAA"), 2),
        ] {
            let failure = Keyring::parse(Purpose::Secrets, text).unwrap_err();
            assert!(
                matches!(failure, Failure::Key { place, .. } if place == expected),
                "{failure}"
            );
            assert!(failure.to_string().contains("--secret-key-file"));
        }
    }
}
