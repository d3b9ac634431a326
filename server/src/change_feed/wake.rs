//! When to look: a local commit, a notification of another replica, or a second
//! gone by.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::app::App;

/// The channel on which replicas tell each other of commits.
const CHANNEL: &str = "burgee_heads";
/// The first commit is told at once, those of the next so long together.
const GATHER: Duration = Duration::from_millis(5);
/// No change goes unnoticed for longer than this.
const FLOOR: Duration = Duration::from_secs(1);

/// Waits for reasons to look.
pub(super) struct Wake {
    committed: watch::Receiver<()>,
    notified: watch::Receiver<()>,
    listening: JoinHandle<()>,
}

impl Wake {
    pub(super) fn new(app: &App) -> Self {
        let (told, notified) = watch::channel(());
        let listening = tokio::spawn(listen(app.pools.feed.clone(), told));
        Self {
            committed: app.committed.subscribe(),
            notified,
            listening,
        }
    }

    /// Returns when there is a reason to look. Those that come meanwhile count
    /// once.
    pub(super) async fn wait(&mut self) {
        tokio::time::sleep(GATHER).await;
        tokio::select! {
            _ = self.committed.changed() => {}
            Ok(()) = self.notified.changed() => {}
            () = tokio::time::sleep(FLOOR) => {}
        }
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Passes notifications on. A lost connection may have lost some, so finding
/// one lost counts as one.
async fn listen(pool: PgPool, told: watch::Sender<()>) {
    loop {
        if let Err(error) = listen_once(&pool, &told).await {
            // Behind a transaction-mode pooler it never works: then the floor does.
            tracing::debug!(%error, "not listening for notifications");
        }
        tokio::time::sleep(FLOOR).await;
    }
}

async fn listen_once(pool: &PgPool, told: &watch::Sender<()>) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        told.send_replace(());
        // None: the connection was lost and made again.
        listener.try_recv().await?;
    }
}

/// Tells other replicas of local commits, in a transaction of its own: inside
/// the one that writes, NOTIFY takes a cluster-wide lock at commit. Commits that
/// come while one is told are told together.
pub(super) async fn notify_others(app: &App) {
    let mut committed = app.committed.subscribe();
    while committed.changed().await.is_ok() {
        let told = sqlx::query!("select pg_notify($1, '')", CHANNEL)
            .execute(&app.pools.write)
            .await;
        if let Err(error) = told {
            tracing::debug!(%error, "could not notify; other replicas look within a second");
        }
        tokio::time::sleep(GATHER).await;
    }
}
