//! Passwords: how they are kept, which are good enough, and how often one may be tried.
//!
//! A hash takes tens of milliseconds and 19 MiB on purpose. So it is computed off the runtime's
//! threads, by a few at a time, in memory that is used again; and whoever waits too long for
//! their turn is told to come back.

pub mod attempts;
mod rules;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
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
    memory: Memory,
}

/// The memory of hashes that were computed, for the next ones: one for each turn. What is
/// given back to the allocator it may keep for each thread that ever computed one.
type Memory = Arc<Mutex<Vec<Vec<Block>>>>;

/// The right to compute one hash.
#[derive(Debug)]
pub struct Turn {
    permit: OwnedSemaphorePermit,
    hashes: Arc<AtomicU64>,
    memory: Memory,
}

impl Default for Passwords {
    /// One core is left to everybody else.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            turns: Arc::new(Semaphore::new((cores - 1).max(1))),
            hashes: Arc::default(),
            memory: Arc::default(),
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
            memory: Arc::clone(&self.memory),
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
        self.run(move |blocks| match hash {
            Some(hash) => {
                let known = PasswordHash::new(&hash).map_err(internal)?;
                let params = Params::try_from(&known).map_err(internal)?;
                let salt = known.salt.as_deref().unwrap_or_default();
                let output = compute(&password, salt, params, blocks)?;
                // In constant time.
                Ok(known.hash == Some(output))
            }
            None => {
                compute(&password, NOBODY_SALT, params()?, blocks)?;
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
        self.run(move |blocks| {
            rules::check_strength(&password, &context)?;
            let salt = random::bytes()?;
            let params = params()?;
            let hash = PasswordHash {
                algorithm: Algorithm::Argon2id.ident(),
                version: Some(Version::V0x13.into()),
                params: ParamsString::try_from(&params).map_err(internal)?,
                salt: Some(Salt::new(&salt).map_err(internal)?),
                hash: Some(compute(&password, &salt, params, blocks)?),
            };
            Ok(hash.to_string())
        })
        .await
    }

    /// The turn ends with the work, even if nobody waits for that any more.
    async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce(&mut Vec<Block>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.hashes.fetch_add(1, Ordering::Relaxed);
        let (permit, memory) = (self.permit, self.memory);
        let work = tokio::task::spawn_blocking(move || {
            let held = || memory.lock().unwrap_or_else(PoisonError::into_inner);
            let mut blocks = held().pop().unwrap_or_default();
            let outcome = work(&mut blocks);
            held().push(blocks);
            drop(permit);
            outcome
        });
        work.await.map_err(Error::internal)?
    }
}

fn params() -> Result<Params, Error> {
    Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(internal)
}

fn compute(
    password: &str,
    salt: &[u8],
    params: Params,
    blocks: &mut Vec<Block>,
) -> Result<Output, Error> {
    let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    blocks.resize(params.block_count(), Block::default());
    let mut output = vec![0; length];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(password.as_bytes(), salt, &mut output, blocks)
        .map_err(internal)?;
    Output::new(&output).map_err(internal)
}

fn internal(error: impl std::fmt::Display) -> Error {
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
