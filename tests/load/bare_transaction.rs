//! What a change costs in Postgres alone: the same lock and the same rows, in
//! tables of the same form, without reading, checking or telling anybody.

use std::sync::Arc;

use burgee_tests::postgres::TestDatabase;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use crate::rate::AsyncRepeat;

/// What a change writes to.
const TABLES: [&str; 8] = [
    "environment_heads",
    "environment_items",
    "environment_changes",
    "flag_configs",
    "change_sets",
    "audit_entries",
    "outbox",
    "idempotency_records",
];

/// Bytes of a change set's, a response's and an outbox row's body.
const BODY_BYTES: usize = 300;

/// Copies of the tables, with the environments and items of a real server.
pub(crate) struct BareTransactions {
    database: Arc<TestDatabase>,
}

impl BareTransactions {
    /// Copies tables and rows from `database` into a schema beside them.
    pub(crate) async fn prepare(database: &Arc<TestDatabase>) -> Self {
        let mut script = "create schema bare;".to_owned();
        for table in TABLES {
            script += &format!("create table bare.{table} (like public.{table} including all);");
        }
        for table in ["environment_heads", "environment_items", "flag_configs"] {
            script += &format!("insert into bare.{table} select * from public.{table};");
        }
        // Names of our own making.
        let script = AssertSqlSafe(script);
        sqlx::raw_sql(script)
            .execute(database.pool())
            .await
            .unwrap();
        Self {
            database: Arc::clone(database),
        }
    }

    /// One for each of `environments`, each on a connection of its own.
    pub(crate) async fn workers(&self, environments: &[&str]) -> Vec<BareTransaction> {
        let mut workers = Vec::new();
        for (number, environment) in environments.iter().enumerate() {
            workers.push(BareTransaction {
                connection: PgConnection::connect(self.database.url()).await.unwrap(),
                environment: environment.parse().unwrap(),
                // Callers of one environment change flags of their own.
                flag: i64::try_from(number % 8).unwrap(),
            });
        }
        workers
    }
}

/// Whoever changes one flag of one environment.
pub(crate) struct BareTransaction {
    connection: PgConnection,
    environment: Uuid,
    flag: i64,
}

impl AsyncRepeat for BareTransaction {
    async fn once(&mut self) {
        let mut transaction = self.connection.begin().await.unwrap();
        let lock =
            "select revision from bare.environment_heads where environment_id = $1 for update";
        let revision: i64 = sqlx::query_scalar(lock)
            .bind(self.environment)
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
        sqlx::query(include_str!("bare_transaction.sql"))
            .bind(self.environment)
            .bind(revision + 1)
            .bind(self.flag)
            .bind(Uuid::new_v4())
            .bind(vec![7_u8; BODY_BYTES])
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    }
}
