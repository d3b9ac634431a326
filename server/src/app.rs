//! The only shared state.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool, Postgres, Transaction};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::change::queue::Queues;
use crate::config::Database;
use crate::descriptors::Descriptors;
use crate::error::Error;
use crate::failure::{self, Failure};
use crate::outbound::Outbound;
use crate::outbound::options::OutboundOptions;
use crate::passwords::Passwords;
use crate::sealing::Sealing;

/// What a database's URL begins with.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
/// How long a start waits for the database.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause between two attempts to reach it.
const START_PAUSE: Duration = Duration::from_secs(1);
/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(1_500);
/// How long closing every connection may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection that nobody uses is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// Bounds on every session, whatever becomes of the process that opened it.
const SESSION: &[(&str, &str)] = &[
    ("statement_timeout", "10s"),
    ("lock_timeout", "5s"),
    ("idle_in_transaction_session_timeout", "15s"),
    ("timezone", "UTC"),
    // Compiling a statement takes longer than any of them runs.
    ("jit", "off"),
];
/// For sessions that change things. Their statements take arrays of a few rows, and find each
/// row by its key: planning them anew for the lengths that they are given costs more than all
/// else, and a plan that reads whole tables, good while these are small, would be kept.
const CHANGING: &[(&str, &str)] = &[
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
];
/// For sessions that must not write.
const READ_ONLY: &[(&str, &str)] = &[("default_transaction_read_only", "on")];

/// What every part of the control plane may reach. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// Connections by purpose, so that none starves another.
    pub pools: Pools,
    /// The contract as data.
    pub descriptors: Descriptors,
    /// Where writers of one environment wait their turn.
    pub queues: Arc<Queues>,
    /// Whether this is `burgee-server dev`: credentials made here are marked, and
    /// marked ones are honoured here alone.
    pub dev: bool,
    /// Seals secrets that the database gives back, if there is a key for them.
    pub sealing: Sealing,
    /// Calls others, at addresses that users chose.
    pub outbound: Outbound,
    /// Hashes passwords, a few at a time.
    pub passwords: Passwords,
    /// Told after each local commit, so that the feed need not wait for Postgres.
    pub committed: watch::Sender<()>,
}

/// Connection pools by purpose.
#[derive(Clone)]
pub struct Pools {
    /// Changes. The only pool that may write anything evaluated.
    pub write: PgPool,
    /// Lists and reads. Its sessions are read-only.
    pub read: PgPool,
    /// The change feed. Its sessions are read-only.
    pub feed: PgPool,
    /// Credentials. Its sessions are read-only.
    pub authentication: PgPool,
}

impl App {
    /// Waits for the database, for up to 30 s, and shares it out.
    ///
    /// # Errors
    /// [`Failure::DatabaseUrl`], or [`Failure::Unreachable`] if the database
    /// refuses, or does not answer in time.
    pub async fn connect(database: &Database, dev: bool) -> Result<Self, Failure> {
        let options = options(database)?;
        connect(&options).await?.close().await?;
        Ok(Self {
            pools: Pools::open(database, &options),
            descriptors: Descriptors::load()?,
            queues: Arc::default(),
            dev,
            sealing: Sealing::default(),
            outbound: OutboundOptions::default().outbound()?,
            passwords: Passwords::default(),
            committed: watch::Sender::new(()),
        })
    }

    /// Opens the transaction of a change. A connection that was lost while it was idle is found
    /// out by this, instead of by a question before each transaction.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn begin(&self) -> Result<Transaction<'static, Postgres>, Error> {
        let pool = &self.pools.write;
        for _ in 0..pool.options().get_max_connections() {
            match pool.begin().await {
                // It is out of the pool now; the next one may be good.
                Err(error) if is_lost(&error) => {}
                other => return Ok(other?),
            }
        }
        Ok(pool.begin().await?)
    }

    /// Closes every connection, within 5 s: a database that does not answer must
    /// not keep the process from ending.
    pub async fn close(&self) {
        let Pools {
            write,
            read,
            feed,
            authentication,
        } = &self.pools;
        let closing = async {
            for pool in [write, read, feed, authentication] {
                pool.close().await;
            }
        };
        if tokio::time::timeout(CLOSE_TIMEOUT, closing).await.is_err() {
            tracing::warn!("the database did not close its connections in time");
        }
    }
}

/// Whether an error tells of a connection that Postgres has ended.
fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        // admin_shutdown, crash_shutdown, idle_session_timeout
        sqlx::Error::Database(error) => error
            .code()
            .is_some_and(|code| matches!(&*code, "57P01" | "57P02" | "57P05")),
        _ => false,
    }
}

impl Pools {
    /// Connections are made when they are needed.
    fn open(database: &Database, options: &PgConnectOptions) -> Self {
        let bounded = options.clone().options(SESSION.iter().copied());
        let read_only = bounded.clone().options(READ_ONLY.iter().copied());
        let changing = bounded.options(CHANGING.iter().copied());
        let pool_options = |size: u32| {
            PgPoolOptions::new()
                .max_connections(size)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .idle_timeout(IDLE_TIMEOUT)
        };
        let pool = |size: u32, options: &PgConnectOptions| {
            pool_options(size).connect_lazy_with(options.clone())
        };
        let sizes = &database.pools;
        Self {
            write: pool_options(sizes.write_connections)
                .test_before_acquire(false)
                .connect_lazy_with(changing),
            read: pool(sizes.read_connections, &read_only),
            feed: pool(sizes.feed_connections, &read_only),
            authentication: pool(sizes.authentication_connections, &read_only),
        }
    }
}

/// How to reach a database.
///
/// # Errors
/// [`Failure::DatabaseUrl`].
pub fn options(database: &Database) -> Result<PgConnectOptions, Failure> {
    let url = &database.database_url;
    // Any other would be taken for one of these.
    if !SCHEMES.iter().any(|scheme| url.starts_with(scheme)) {
        let description = format!("it begins with neither {} nor {}", SCHEMES[0], SCHEMES[1]);
        return Err(Failure::DatabaseUrl(description));
    }
    let options = PgConnectOptions::from_str(url);
    let options = options.map_err(|error| Failure::DatabaseUrl(error.to_string()))?;
    // Notices are for people at a prompt.
    let quiet = [("client_min_messages", "warning")];
    Ok(options.application_name("burgee-server").options(quiet))
}

/// One connection, without bounds on its statements. Waits for a database that
/// is away or still starting, with a line in the log for each attempt.
///
/// # Errors
/// [`Failure::Unreachable`] if it refuses, or does not answer within 30 s.
pub async fn connect(options: &PgConnectOptions) -> Result<PgConnection, Failure> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        let attempt = tokio::time::timeout_at(deadline, PgConnection::connect_with(options)).await;
        let error = match attempt {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => error,
            Err(_) => sqlx::Error::PoolTimedOut,
        };
        let late = Instant::now() + START_PAUSE > deadline;
        let text = failure::said(&error);
        // Whether waiting may help is what callers of the API would be told.
        match Error::from(error) {
            Error::Unavailable { .. } if !late => {
                tracing::warn!(cause = text, "waiting for the database");
                tokio::time::sleep(START_PAUSE).await;
            }
            _ => return Err(Failure::Unreachable(text)),
        }
    }
}
