//! What was looked up a moment ago, known or unknown alike.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long an answer is good: together with the look-up's own time, a revoked
/// token ends within 2 s.
const AGE_MAX: Duration = Duration::from_secs(1);
/// The most answers that are kept.
const ANSWERS_MAX: usize = 10_000;

/// Answers by the hash of the credential, each for at most a second.
#[derive(Debug)]
pub(super) struct Cache<V> {
    answers: Mutex<HashMap<[u8; 32], (Instant, V)>>,
}

impl<V> Default for Cache<V> {
    fn default() -> Self {
        Self {
            answers: Mutex::default(),
        }
    }
}

impl<V: Clone> Cache<V> {
    /// What was found, if that is not too long ago.
    pub(super) fn get(&self, hash: &[u8; 32], now: Instant) -> Option<V> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (asked, answer) = answers.get(hash)?;
        is_fresh(*asked, now).then(|| answer.clone())
    }

    /// Keeps what was found by a question asked at `asked`.
    pub(super) fn put(&self, hash: [u8; 32], asked: Instant, answer: V) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= ANSWERS_MAX {
            answers.retain(|_, (other, _)| is_fresh(*other, asked));
        }
        // Whoever floods it with credentials makes it useless, not large.
        if answers.len() >= ANSWERS_MAX {
            answers.clear();
        }
        answers.insert(hash, (asked, answer));
    }
}

fn is_fresh(asked: Instant, now: Instant) -> bool {
    now.saturating_duration_since(asked) < AGE_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_forgotten_after_a_second() {
        let cache = Cache::default();
        let asked = Instant::now();
        cache.put([1; 32], asked, "known");
        assert_eq!(
            cache.get(&[1; 32], asked + Duration::from_millis(999)),
            Some("known")
        );
        assert_eq!(cache.get(&[1; 32], asked + AGE_MAX), None);
        assert_eq!(cache.get(&[2; 32], asked), None);
    }

    #[test]
    fn it_stays_small_whatever_is_asked() {
        let cache = Cache::default();
        let now = Instant::now();
        for number in 0..2 * u32::try_from(ANSWERS_MAX).unwrap() {
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&number.to_be_bytes());
            cache.put(hash, now, ());
        }
        assert!(cache.answers.lock().unwrap().len() <= ANSWERS_MAX);
    }
}
