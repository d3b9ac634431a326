//! How often something happens in a second when several do it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

/// Before counting begins: connections are made, caches and plans are warm.
const WARM_UP: Duration = Duration::from_secs(1);
/// How long is counted.
const COUNTED: Duration = Duration::from_secs(4);
/// Of so many rounds the median is taken. What is compared takes turns, so that
/// a machine that slows down slows both.
pub(crate) const ROUNDS: usize = 3;

/// Runs each of `workers` again and again; gives how often a second one
/// finished.
pub(crate) async fn per_second<Worker>(workers: impl IntoIterator<Item = Worker>) -> f64
where
    Worker: AsyncRepeat,
{
    let counted = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let mut running = JoinSet::new();
    for mut worker in workers {
        let (counted, stop) = (Arc::clone(&counted), Arc::clone(&stop));
        running.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                worker.once().await;
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    tokio::time::sleep(WARM_UP).await;
    let (before, begin) = (counted.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(COUNTED).await;
    let done = counted.load(Ordering::Relaxed) - before;
    let rate = done as f64 / begin.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    running.join_all().await;
    rate
}

/// Something that is done again and again.
pub(crate) trait AsyncRepeat: Send + 'static {
    /// Does it once.
    fn once(&mut self) -> impl Future<Output = ()> + Send;
}

/// The middle one of an odd number of rates.
pub(crate) fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
