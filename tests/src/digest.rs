//! What a database holds, in full and in short.

use sqlx::AssertSqlSafe;

use crate::postgres::TestDatabase;

/// What is written whatever comes of a call: the audit log, counts of guesses, and uses.
const WRITTEN_ANYWAY: &str =
    "tablename like 'audit%' or tablename in ('password_attempts', 'api_key_uses')";
/// Columns that tell of uses, written a while later.
const USES: &str = "'{last_used_at,last_seen_at}'::text[]";

impl TestDatabase {
    /// Every row of every table, as a dump has them.
    ///
    /// # Panics
    ///
    /// When they cannot be read.
    pub async fn rows(&self) -> String {
        let tables: Vec<String> = sqlx::query_scalar(
            "select format('%I.%I', schemaname, tablename) from pg_tables
             where schemaname not in ('pg_catalog', 'information_schema')",
        )
        .fetch_all(self.pool())
        .await
        .unwrap();
        assert!(tables.len() > 20, "{tables:?}");
        let mut text = String::new();
        for table in tables {
            let query = AssertSqlSafe(format!("select t::text from {table} t"));
            let rows: Vec<String> = sqlx::query_scalar(query)
                .fetch_all(self.pool())
                .await
                .unwrap();
            text.push_str(&table);
            rows.iter().for_each(|row| text.push_str(row));
        }
        text
    }

    /// A digest of every row of every table, but for what refused calls may write.
    ///
    /// # Panics
    ///
    /// When it cannot be read.
    pub async fn digest(&self) -> String {
        let tables: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
            "select tablename::text from pg_tables
             where schemaname = current_schema() and not ({WRITTEN_ANYWAY}) order by 1"
        )))
        .fetch_all(self.pool())
        .await
        .unwrap();
        let digests = tables.iter().map(|table| {
            format!(
                "(select '{table}' || coalesce(md5(string_agg(row, '' order by row)), '')
                  from (select md5((to_jsonb(t) - {USES})::text) as row from {table} t) as rows)"
            )
        });
        let query = format!("select md5({})", digests.collect::<Vec<_>>().join(" || "));
        sqlx::query_scalar(AssertSqlSafe(query))
            .fetch_one(self.pool())
            .await
            .unwrap()
    }
}
