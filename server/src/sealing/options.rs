//! Where the keys are that seal secrets.

use std::path::PathBuf;

use clap::Args;

use super::Sealing;
use crate::failure::Failure;
use crate::keyring::{Keyring, Purpose};

/// Where the keys are. A file only: command lines and environments are seen by too many.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Keys of secrets")]
pub struct SecretKeyOptions {
    /// A file with the keys that seal secrets in the database, 32 bytes in base64 each, one a line, newest first
    #[arg(long, env = "BURGEE_SECRET_KEY_FILE", value_name = "FILE")]
    pub secret_key_file: Option<PathBuf>,
}

impl SecretKeyOptions {
    /// What seals with these keys, or with none.
    ///
    /// # Errors
    /// [`Failure::Io`], [`Failure::Key`].
    pub fn sealing(&self) -> Result<Sealing, Failure> {
        let path = self.secret_key_file.as_deref();
        let keys = path.map(|path| Keyring::read(Purpose::Secrets, path));
        Ok(Sealing::new(keys.transpose()?.unwrap_or_default()))
    }
}
