//! Takes away what has had its time: removed items, answers kept for retries,
//! events that were delivered or that nobody waits for, sessions and links that ended; and ships
//! keys that ended long ago no more.

use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::api_keys::withdraw_ended_keys;
use crate::app::App;
use crate::error::Error;

/// How often. Every replica does it: what one has done another finds done.
const INTERVAL: Duration = Duration::from_secs(3_600);
/// How many environments are compacted at one go.
const ENVIRONMENTS_MAX: i64 = 1_000;
/// How many rows one statement deletes, so that none takes long.
const ROWS_MAX: i64 = 10_000;

/// Compacts now and each hour, until `stop`.
pub async fn run(app: App, stop: CancellationToken) {
    let compacting = async {
        loop {
            if let Err(error) = compact(&app).await {
                tracing::warn!(?error, "could not compact; trying again in an hour");
            }
            tokio::time::sleep(INTERVAL).await;
        }
    };
    stop.run_until_cancelled(compacting).await;
}

/// Compacts once.
///
/// # Errors
/// Those of the database. What was done stays done.
pub async fn compact(app: &App) -> Result<(), Error> {
    let pool = &app.pools.write;
    let environments = sqlx::query_scalar!(
        "select distinct environment_id from environment_items
         where removed_at < now() - interval '7 days' limit $1",
        ENVIRONMENTS_MAX,
    )
    .fetch_all(pool)
    .await?;
    for environment in environments {
        // One that is busy or locked is for the next time, and holds up no other.
        if let Err(error) = purge_removed_items(pool, environment).await {
            tracing::warn!(%environment, ?error, "could not purge an environment's removed items");
        }
    }
    while delete_old_records(pool).await? == ROWS_MAX.cast_unsigned() {}
    while delete_old_events(pool).await? == ROWS_MAX.cast_unsigned() {}
    delete_ended_sign_ins(pool).await?;
    withdraw_ended_keys::run(app).await
}

/// What let people in, a month after it ended, and failures that are forgiven after a day. The
/// audit log tells of them still.
async fn delete_ended_sign_ins(pool: &PgPool) -> Result<(), Error> {
    sqlx::query!("delete from sessions where expires_at < now() - interval '30 days'")
        .execute(pool)
        .await?;
    sqlx::query!("delete from invitations where expires_at < now() - interval '30 days'")
        .execute(pool)
        .await?;
    sqlx::query!("delete from password_resets where expires_at < now() - interval '30 days'")
        .execute(pool)
        .await?;
    sqlx::query!("delete from sign_in_flows where expires_at < now()")
        .execute(pool)
        .await?;
    sqlx::query!("delete from password_attempts where failed_at < now() - interval '1 day'")
        .execute(pool)
        .await?;
    Ok(())
}

async fn delete_old_records(pool: &PgPool) -> Result<u64, Error> {
    let deleted = sqlx::query!(
        "delete from idempotency_records where ctid = any(array(
             select ctid from idempotency_records
             where created_at < now() - interval '24 hours' limit $1))",
        ROWS_MAX,
    )
    .execute(pool)
    .await?;
    Ok(deleted.rows_affected())
}

async fn delete_old_events(pool: &PgPool) -> Result<u64, Error> {
    let deleted = sqlx::query!(
        "delete from outbox where ctid = any(array(
             select ctid from outbox where created_at < now() - interval '7 days' limit $1))",
        ROWS_MAX,
    )
    .execute(pool)
    .await?;
    Ok(deleted.rows_affected())
}

/// Purges items that were removed a week ago, and raises the floor: a receiver
/// below it gets a snapshot.
async fn purge_removed_items(pool: &PgPool, environment: Uuid) -> Result<(), Error> {
    let mut transaction = pool.begin().await?;
    // The head first, as every change does: the other order could deadlock.
    sqlx::query_scalar!(
        "select floor from environment_heads where environment_id = $1 for no key update",
        environment,
    )
    .fetch_optional(&mut *transaction)
    .await?;
    sqlx::query!(
        "with purged as (
             delete from environment_items
             where environment_id = $1 and removed_at < now() - interval '7 days'
             returning revision
         )
         update environment_heads
         set floor = greatest(floor, (select max(revision) from purged))
         where environment_id = $1 and exists (select from purged)",
        environment,
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}
