//! What a database holds, in short.

use burgee_tests::server::TestServer;
use sqlx::AssertSqlSafe;

/// What is written whatever comes of an attempt: the audit log, counts of guesses, and uses.
const WRITTEN_ANYWAY: &str =
    "tablename like 'audit%' or tablename in ('password_attempts', 'api_key_uses')";
/// Columns that tell of uses, written a while later.
const USES: &str = "'{last_used_at,last_seen_at}'::text[]";

/// A digest of every row of every table, but for what refused attempts may write.
pub(super) async fn digest(server: &TestServer) -> String {
    let pool = server.database().pool();
    let tables: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
        "select tablename::text from pg_tables
         where schemaname = current_schema() and not ({WRITTEN_ANYWAY}) order by 1"
    )))
    .fetch_all(pool)
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
        .fetch_one(pool)
        .await
        .unwrap()
}
