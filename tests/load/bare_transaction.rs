//! What a change costs in Postgres alone: the same lock and the same rows, in
//! tables of the same form, without checking or telling anybody; with or without
//! reading first what a change must know.

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
    pub(crate) async fn workers(
        &self,
        reads: Reads,
        environments: &[&str],
    ) -> Vec<BareTransaction> {
        let mut workers = Vec::new();
        for (number, environment) in environments.iter().enumerate() {
            workers.push(BareTransaction {
                connection: PgConnection::connect(self.database.url()).await.unwrap(),
                reads,
                environment: environment.parse().unwrap(),
                // Callers of one environment change flags of their own.
                flag: i64::try_from(number % 8).unwrap(),
            });
        }
        workers
    }
}

/// Whether a transaction reads before it writes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// The lock and one statement: the least that keeps the promises.
    Nothing,
    /// As a change does, each with a statement of its own: epoch, idempotency
    /// record, flag and configuration, items.
    WhatAChangeReads,
}

/// What a change reads, with $1 environment and $2 the flag's key.
const READS: [&str; 4] = [
    "select epoch, clock_timestamp(), $1::uuid, $2::text from deployment",
    "select body_hash, response, $1::uuid from bare.idempotency_records
     where principal = 'serviceAccounts/admin' and method = 'SetFlagEnabled' and request_id = $2",
    "select f.body, f.version, c.body, c.version from flags f
     join bare.flag_configs c on c.flag_id = f.id
     where c.environment_id = $1 and f.key = $2",
    "select kind, key, level, body from bare.environment_items
     where environment_id = $1 and kind = 1 and key = $2",
];

/// Whoever changes one flag of one environment.
pub(crate) struct BareTransaction {
    connection: PgConnection,
    reads: Reads,
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
        if self.reads == Reads::WhatAChangeReads {
            for query in READS {
                sqlx::query(query)
                    .bind(self.environment)
                    .bind(format!("flag-{}", self.flag))
                    .fetch_all(&mut *transaction)
                    .await
                    .unwrap();
            }
        }
        sqlx::query(include_str!("bare_transaction.sql"))
            .bind(self.environment)
            .bind(revision + 1)
            .bind(self.flag)
            .bind(Uuid::now_v7())
            .bind(vec![7_u8; BODY_BYTES])
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    }
}
