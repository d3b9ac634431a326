//! Keys that no loaded environment vouches for: the source is asked, once for
//! all who ask at the same time, and its answer is kept for a second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::keys::{Grant, KeyHash};
use crate::refused::Refused;
use crate::single_flight::SingleFlight;
use crate::source::Source;

/// An answer is kept so long, so that a revocation is late by no more.
pub(crate) const ANSWER_AGE_MAX: Duration = Duration::from_secs(1);

/// Answers that are kept. Guessed keys fill this, and then only cost queries.
const ANSWERS_MAX: usize = 10_000;

/// Look-ups at once, so that guessed keys cannot overwhelm the source.
const LOOKUPS_MAX: usize = 8;

/// A look-up that takes longer has failed, waiting for its turn included.
const LOOKUP_MAX: Duration = Duration::from_secs(2);

/// What the source said of a key.
pub(crate) type Answer = Option<Arc<Grant>>;

/// The look-ups under way, and recent answers.
pub(crate) struct Lookups {
    flights: SingleFlight<KeyHash, Result<Answer, Refused>>,
    permits: Arc<Semaphore>,
    answers: Mutex<HashMap<KeyHash, (Instant, Answer)>>,
}

impl Default for Lookups {
    fn default() -> Self {
        Self {
            flights: SingleFlight::default(),
            permits: Arc::new(Semaphore::new(LOOKUPS_MAX)),
            answers: Mutex::default(),
        }
    }
}

impl Lookups {
    /// What the source says of a key now, or said within the last second.
    ///
    /// # Errors
    ///
    /// [`Refused::NotCurrent`]: it could not say.
    pub(crate) async fn get(
        &self,
        runtime: &Handle,
        source: &Arc<dyn Source>,
        hash: &KeyHash,
    ) -> Result<Answer, Refused> {
        if let Some(answer) = self.recent(hash) {
            return Ok(answer);
        }
        let ask = || {
            let (source, permits, hash) = (source.clone(), self.permits.clone(), *hash);
            async move {
                let asked = timeout(LOOKUP_MAX, ask(&*source, &permits, &hash)).await;
                asked.unwrap_or(Err(Refused::NotCurrent("checking the key took too long")))
            }
        };
        let asked_at = Instant::now();
        let flight = self.flights.run(runtime, hash, ask).await;
        let answer = flight.unwrap_or(Err(Refused::Internal))?;
        self.keep(*hash, asked_at, answer.clone());
        Ok(answer)
    }

    fn recent(&self, hash: &KeyHash) -> Option<Answer> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (asked_at, answer) = answers.get(hash)?;
        (asked_at.elapsed() < ANSWER_AGE_MAX).then(|| answer.clone())
    }

    fn keep(&self, hash: KeyHash, asked_at: Instant, answer: Answer) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= ANSWERS_MAX {
            answers.retain(|_, (asked_at, _)| asked_at.elapsed() < ANSWER_AGE_MAX);
        }
        if answers.len() < ANSWERS_MAX {
            answers.insert(hash, (asked_at, answer));
        }
    }
}

async fn ask(source: &dyn Source, permits: &Semaphore, hash: &KeyHash) -> Result<Answer, Refused> {
    let _permit = permits.acquire().await.map_err(|_| Refused::Internal)?;
    match source.access_key(hash).await {
        Ok(key) => Ok(key.map(|key| Arc::new(key.into()))),
        Err(error) => {
            tracing::warn!(%error, "looking up a key failed");
            Err(Refused::NotCurrent("the key cannot be checked now"))
        }
    }
}
