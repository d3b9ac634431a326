//! Where the keys are that seal the log: the newest seals, older ones verify. None: seals are
//! made without a key.

use std::fmt;
use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;
use crate::keyring::{Keyring, Purpose};

/// Where the keys are.
#[derive(Clone, Default, Args)]
#[command(next_help_heading = "Keys of the audit log")]
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

impl KeyOptions {
    /// The keys.
    ///
    /// # Errors
    /// [`Failure::Io`], [`Failure::Key`].
    pub fn keys(&self) -> Result<Keyring, Failure> {
        match (&self.audit_key, &self.audit_key_file) {
            (Some(text), _) => Keyring::parse(Purpose::AuditLog, text),
            (None, Some(path)) => Keyring::read(Purpose::AuditLog, path),
            (None, None) => Ok(Keyring::default()),
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
    use super::*;
    use crate::keyring::Key;

    #[test]
    fn options_are_shown_without_the_keys() {
        let key = Key::new(Purpose::AuditLog, [1; 32]).encoded();
        let options = KeyOptions {
            audit_key: Some(key.clone()),
            ..KeyOptions::default()
        };
        assert!(!format!("{options:?}").contains(&key));
    }
}
