//! Conditions with a deadline. Nothing in a test sleeps for a fixed time: it
//! waits for what it needs, and says what it waited for if that never comes.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long a test waits for something that is due at once. Far above what it
/// takes, so that a busy machine fails no test.
pub const SOON: Duration = Duration::from_secs(20);

/// Between two looks at a condition.
const INTERVAL: Duration = Duration::from_millis(10);

/// Waits until `condition` gives a value.
///
/// # Panics
///
/// When `deadline` has passed, naming `what`.
pub async fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < end, "not within {deadline:?}: {what}");
        sleep(INTERVAL).await;
    }
}

/// Waits until `condition` is true.
///
/// # Panics
///
/// When `deadline` has passed, naming `what`.
pub async fn until(what: &str, deadline: Duration, mut condition: impl AsyncFnMut() -> bool) {
    eventually(what, deadline, async || condition().await.then_some(())).await;
}

/// Gives what `future` gives.
///
/// # Panics
///
/// When `deadline` has passed first, naming `what`.
pub async fn within<T>(what: &str, deadline: Duration, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(deadline, future).await {
        Ok(value) => value,
        Err(_) => panic!("not within {deadline:?}: {what}"),
    }
}
