//! Postgres clusters of our own, and a database for each test.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::sync::OnceCell;

use crate::fault_proxy::{FaultProxy, Target};
use crate::process::{built, run};

mod cluster;

pub use cluster::Cluster;

/// Enough for a test's own looks at its database.
const POOL_CONNECTIONS_MAX: u32 = 4;

/// Databases made by this process so far, on whatever cluster.
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A database of one test.
pub struct TestDatabase {
    url: String,
    name: String,
    socket: PathBuf,
    pool: PgPool,
    admin_token: OnceCell<String>,
}

impl TestDatabase {
    /// An empty database on the cluster that the run's tests share.
    pub async fn create() -> Self {
        Self::create_on(Cluster::shared().await).await
    }

    /// An empty database on a cluster that a test has for itself.
    pub async fn create_on(cluster: &Cluster) -> Self {
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let maintenance = PgPoolOptions::new()
            .max_connections(1)
            .connect(&cluster.url("postgres"))
            .await
            .unwrap();
        // A name of our own making.
        let create = AssertSqlSafe(format!("create database {name}"));
        sqlx::raw_sql(create).execute(&maintenance).await.unwrap();
        maintenance.close().await;
        let url = cluster.url(&name);
        Self {
            pool: PgPoolOptions::new()
                .max_connections(POOL_CONNECTIONS_MAX)
                .connect_lazy(&url)
                .unwrap(),
            url,
            name,
            socket: cluster.socket(),
            admin_token: OnceCell::new(),
        }
    }

    /// What a server connects to.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A proxy before the database, and what a server behind it connects to.
    /// Connections that LISTEN are marked.
    pub async fn proxy(&self) -> (FaultProxy, String) {
        let target = Target::Unix(self.socket.clone());
        let proxy = FaultProxy::start_marking(target, "LISTEN").await;
        let direct: PgConnectOptions = self.url.parse().unwrap();
        let (user, address, name) = (direct.get_username(), proxy.address(), &self.name);
        let url = format!("postgres://{user}@{address}/{name}?sslmode=disable");
        (proxy, url)
    }

    /// For a look behind the API.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A token of the built-in service account, made by
    /// `burgee-server create-admin-token` when first asked for.
    ///
    /// # Panics
    ///
    /// When the command fails: no server has migrated the database yet.
    pub async fn admin_token(&self) -> String {
        let make = async || self.operate(&["create-admin-token"]);
        self.admin_token.get_or_init(make).await.clone()
    }

    /// Makes another organization, as an operator does; the token of whoever may do everything
    /// in it.
    ///
    /// # Panics
    ///
    /// When the command fails: no server has migrated the database yet.
    #[must_use]
    pub fn create_organization(&self, key: &str) -> String {
        self.operate(&["create-organization", "--key", key])
    }

    /// What a command of `burgee-server` on this database prints.
    fn operate(&self, command: &[&str]) -> String {
        let command = [command, &["--database-url", &self.url]].concat();
        let output = run(&built("burgee-server"), &command);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A number that a query finds.
    pub async fn number(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection as _, PgConnection};

    use super::*;

    #[tokio::test]
    async fn a_database_is_reached_directly_and_through_a_proxy() {
        let database = TestDatabase::create().await;
        assert_eq!(database.number("select 42::bigint").await, 42);
        let (proxy, url) = database.proxy().await;
        let mut connection = PgConnection::connect(&url).await.unwrap();
        connection.ping().await.unwrap();
        proxy.cut();
        connection.ping().await.unwrap_err();
    }

    #[tokio::test]
    async fn a_cluster_of_ones_own_stops_and_starts_again() {
        let mut cluster = Cluster::start(true).await;
        let database = TestDatabase::create_on(&cluster).await;
        sqlx::raw_sql("create table kept (it integer)")
            .execute(database.pool())
            .await
            .unwrap();
        cluster.kill9().await;
        PgConnection::connect(database.url()).await.unwrap_err();
        cluster.start_again().await;
        assert_eq!(database.number("select count(*) from kept").await, 0);
    }
}
