//! Passwords: how they are kept, which are good enough, and how often one may be tried.
//!
//! A hash takes tens of milliseconds and 19 MiB on purpose. So it is computed off the runtime's
//! threads, by a few at a time, and whoever waits too long for their turn is told to come back.

pub mod attempts;
mod rules;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Error;
use crate::random;

pub use rules::{Context, PASSWORD_MAX};

/// Memory of one hash, in KiB. This and the two that follow are OWASP's second choice for
/// argon2id: <https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html>
const MEMORY_KIB: u32 = 19 * 1024;
/// How often the memory is gone through.
const PASSES: u32 = 2;
/// Threads of one hash.
const LANES: u32 = 1;
/// How long anybody waits for their turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(2);
/// When to come back after that.
const BUSY_RETRY: Duration = Duration::from_secs(2);
/// Goes with the password of somebody who does not exist: as much work as anybody's.
const NOBODY_SALT: &[u8; 16] = b"nobody's salt...";

/// Hashes passwords, a few at a time. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    hashes: Arc<AtomicU64>,
}

/// The right to compute one hash.
#[derive(Debug)]
pub struct Turn {
    permit: OwnedSemaphorePermit,
    hashes: Arc<AtomicU64>,
}

impl Default for Passwords {
    /// One core is left to everybody else.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            turns: Arc::new(Semaphore::new((cores - 1).max(1))),
            hashes: Arc::default(),
        }
    }
}

impl Passwords {
    /// Waits until a hash may be computed.
    ///
    /// # Errors
    /// [`Error::Exhausted`] after 2 s.
    pub async fn turn(&self) -> Result<Turn, Error> {
        let waiting = Arc::clone(&self.turns).acquire_owned();
        let permit = tokio::time::timeout(TURN_TIMEOUT, waiting).await;
        let permit = permit.map_err(|_| Error::Exhausted {
            description: "too many people are signing in at once; try again".to_owned(),
            retry_after: BUSY_RETRY,
        })?;
        Ok(Turn {
            permit: permit.map_err(Error::internal)?,
            hashes: Arc::clone(&self.hashes),
        })
    }

    /// How many hashes were computed.
    #[must_use]
    pub fn hashes(&self) -> u64 {
        self.hashes.load(Ordering::Relaxed)
    }
}

impl Turn {
    /// Whether a password is the one that was hashed. For nobody's hash it is not, after the
    /// same work.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub async fn verify(self, password: String, hash: Option<String>) -> Result<bool, Error> {
        self.run(move || match hash {
            Some(hash) => Ok(argon2()?
                .verify_password(password.as_bytes(), hash.as_str())
                .is_ok()),
            None => {
                let hash = argon2()?.hash_password_with_salt(password.as_bytes(), NOBODY_SALT);
                hash.map_err(internal)?;
                Ok(false)
            }
        })
        .await
    }

    /// Judges a new password, and hashes it for keeping.
    ///
    /// # Errors
    /// [`Error::Invalid`] for one that is easily guessed.
    pub async fn hash_new(self, password: String, context: Context) -> Result<String, Error> {
        self.run(move || {
            rules::check_strength(&password, &context)?;
            let salt = random::bytes()?;
            let hash = argon2()?.hash_password_with_salt(password.as_bytes(), &salt);
            Ok(hash.map_err(internal)?.to_string())
        })
        .await
    }

    /// The turn ends with the work, even if nobody waits for that any more.
    async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.hashes.fetch_add(1, Ordering::Relaxed);
        let permit = self.permit;
        let work = tokio::task::spawn_blocking(move || {
            let outcome = work();
            drop(permit);
            outcome
        });
        work.await.map_err(Error::internal)?
    }
}

fn argon2() -> Result<Argon2<'static>, Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None);
    let params = params.map_err(|error| Error::internal(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn internal(error: argon2::password_hash::Error) -> Error {
    Error::internal(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "lanterns over harbour 7";

    async fn hash(passwords: &Passwords, password: &str) -> Result<String, Error> {
        let turn = passwords.turn().await.unwrap();
        let context = Context::new("password", ["ada@example.com", "Ada"]);
        turn.hash_new(password.to_owned(), context).await
    }

    #[tokio::test]
    async fn what_was_hashed_is_verified_and_nothing_else_is() {
        let passwords = Passwords::default();
        let hash = hash(&passwords, GOOD).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        for (password, good) in [(GOOD, true), ("lanterns over harbour 8", false)] {
            let turn = passwords.turn().await.unwrap();
            let outcome = turn.verify(password.to_owned(), Some(hash.clone())).await;
            assert_eq!(outcome.unwrap(), good, "{password}");
        }
    }

    #[tokio::test]
    async fn nobody_costs_as_much_work_as_anybody() {
        let passwords = Passwords::default();
        let turn = passwords.turn().await.unwrap();
        assert!(!turn.verify(GOOD.to_owned(), None).await.unwrap());
        assert_eq!(passwords.hashes(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_too_long_is_told_when_to_come_back() {
        let passwords = Passwords::default();
        let mut turns = Vec::new();
        for _ in 0..passwords.turns.available_permits() {
            turns.push(passwords.turn().await.unwrap());
        }
        let outcome = passwords.turn().await;
        assert!(
            matches!(outcome, Err(Error::Exhausted { .. })),
            "{outcome:?}"
        );
        drop(turns);
        passwords.turn().await.unwrap();
    }

    #[tokio::test]
    async fn what_is_easily_guessed_is_refused() {
        let passwords = Passwords::default();
        for weak in [
            "password123",
            "qwertyuiop",
            "1234567890",
            "ada@example.com",
            "aaaaaaaaaaaaaaa",
            "Burgee2026!",
        ] {
            let outcome = hash(&passwords, weak).await;
            assert!(matches!(outcome, Err(Error::Invalid(_))), "{weak}");
        }
        hash(&passwords, GOOD).await.unwrap();
    }
}
