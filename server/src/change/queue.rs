//! A fair queue per environment, in front of the row locks: many backends
//! waiting on one row lock halve the throughput, and would use up the pool.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use burgee_proto::types::v1::ErrorReason;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Error;

/// How many changes have their turn at once: one that holds the lock, and one
/// that has a connection and waits for it, so that the lock is never idle.
const AT_ONCE: usize = 2;
/// How many changes may wait for one turn.
const WAITING_MAX: usize = 1_024;

/// One queue for each thing that changes lock.
#[derive(Default)]
pub struct Queues {
    turns: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// The right to lock; dropped after the commit.
#[derive(Debug)]
pub struct Turn {
    _permits: Vec<OwnedSemaphorePermit>,
}

impl Queues {
    /// Waits for the turn of each of `keys`, first come, first served. Callers
    /// give keys in the order in which rows are locked, so that nobody waits
    /// in a circle.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if too many wait already.
    pub async fn wait(&self, keys: &[String]) -> Result<Turn, Error> {
        let mut permits = Vec::with_capacity(keys.len());
        for key in keys {
            let turn = self.turn(key)?;
            permits.push(turn.acquire_owned().await.map_err(Error::internal)?);
        }
        Ok(Turn { _permits: permits })
    }

    fn turn(&self, key: &str) -> Result<Arc<Semaphore>, Error> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(key) {
            if Arc::strong_count(turn) > WAITING_MAX {
                return Err(Error::Unavailable {
                    reason: ErrorReason::ResourceExhausted,
                    cause: format!("more than {WAITING_MAX} changes wait for {key}"),
                });
            }
            return Ok(turn.clone());
        }
        // Nobody holds or awaits the others: they are made anew when needed.
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        let turn = Arc::new(Semaphore::new(AT_ONCE));
        turns.insert(key.to_owned(), turn.clone());
        Ok(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_are_taken_in_the_order_of_asking() {
        let queues = Arc::new(Queues::default());
        let mut first = Vec::new();
        for _ in 0..AT_ONCE {
            first.push(queues.wait(&["a".to_owned()]).await.unwrap());
        }
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut waiting = Vec::new();
        for number in 0..4 {
            let (queues, order) = (queues.clone(), order.clone());
            waiting.push(tokio::spawn(async move {
                let _turn = queues.wait(&["a".to_owned()]).await.unwrap();
                order.lock().unwrap().push(number);
            }));
            tokio::task::yield_now().await;
        }
        drop(first);
        for task in waiting {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3]);
    }
}
