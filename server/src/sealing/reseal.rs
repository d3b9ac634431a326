//! `burgee-server reseal-secrets`: every sealed secret under the newest key, so that older keys
//! can be given up. Servers may run meanwhile, and whatever interrupts it, it goes on where it
//! was: what is under the newest key already is passed over.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::ExposeSecret as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgExecutor, Row as _};
use uuid::Uuid;

use super::envelope::KEY_ID_AT;
use super::{Column, Place, Problem, Sealing};
use crate::app::App;
use crate::failure::Failure;
use crate::keyring::ID_DIGITS;

/// Rows that are locked together, for a moment.
const BATCH: i64 = 100;

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Secrets that were under another key.
    pub resealed: u64,
    /// The key that all are under now.
    pub key_id: String,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resealed, key_id } = self;
        write!(
            formatter,
            "{resealed} secrets resealed; all are sealed with the key {key_id} now"
        )
    }
}

/// Seals every secret of these columns with the newest key.
///
/// # Errors
/// [`Failure::Secret`] if there is no key; if one is missing that a secret is sealed with, after
/// all others were resealed; or for a secret that is not as it was sealed.
pub async fn reseal(
    connection: &mut PgConnection,
    sealing: &Sealing,
    columns: &[Column],
) -> Result<Report, Failure> {
    let key_id = sealing.newest()?.id().to_owned();
    let mut resealed = 0;
    for column in columns {
        let mut after = Uuid::nil();
        while let Some((last, rows)) = batch(connection, sealing, *column, after).await? {
            after = last;
            resealed += rows;
        }
    }
    let missing = missing_keys(connection, sealing, columns).await?;
    if let Some(key_id) = missing.into_keys().next() {
        return Err(Problem::KeyMissing { key_id }.into());
    }
    Ok(Report { resealed, key_id })
}

/// The ids of keys that secrets are sealed with and that are not known here, with how many
/// secrets each.
///
/// # Errors
/// Those of the database.
pub async fn missing_keys(
    connection: &mut PgConnection,
    sealing: &Sealing,
    columns: &[Column],
) -> Result<BTreeMap<String, i64>, sqlx::Error> {
    let mut missing = BTreeMap::new();
    for column in columns {
        for (key_id, secrets) in keys_of(&mut *connection, *column).await? {
            if sealing.keys.find(&key_id).is_none() {
                *missing.entry(key_id).or_default() += secrets;
            }
        }
    }
    Ok(missing)
}

/// Warns of secrets that this server cannot open. It serves all the same: most calls need none.
pub async fn warn_of_missing_keys(app: &App) {
    let missing = async {
        let mut connection = app.pools.read.acquire().await?;
        missing_keys(&mut connection, &app.sealing, super::COLUMNS).await
    };
    match missing.await {
        Ok(missing) => {
            for (key_id, secrets) in missing {
                tracing::warn!(
                    key_id,
                    secrets,
                    "secrets in the database are sealed with a key that --secret-key-file \
                     (BURGEE_SECRET_KEY_FILE) does not hold: what needs them is refused"
                );
            }
        }
        Err(error) => tracing::warn!(%error, "which keys secrets are sealed with is unknown"),
    }
}

/// Reseals some rows after one. None: there are no more.
async fn batch(
    connection: &mut PgConnection,
    sealing: &Sealing,
    column: Column,
    after: Uuid,
) -> Result<Option<(Uuid, u64)>, Failure> {
    let mut transaction = connection.begin().await?;
    let found = stale(&mut *transaction, sealing, column, after).await?;
    let Some((last, _)) = found.last() else {
        return Ok(None);
    };
    let last = last.row;
    let (mut places, mut secrets) = (Vec::new(), Vec::new());
    for (place, sealed) in &found {
        let secret = sealing.open(place, sealed)?;
        places.push(place.row);
        secrets.push(sealing.seal(place, secret.expose_secret())?);
    }
    let Column {
        table, column, row, ..
    } = column;
    // Names of our own.
    let update = AssertSqlSafe(format!(
        "update {table} set {column} = new.sealed
         from unnest($1::uuid[], $2::bytea[]) as new(id, sealed)
         where {table}.{row} = new.id",
    ));
    let update = sqlx::query(update).bind(places).bind(secrets);
    update.execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(Some((last, found.len().try_into().unwrap_or(u64::MAX))))
}

/// Secrets under older keys, locked: whoever writes a new one waits, or comes first.
async fn stale(
    executor: impl PgExecutor<'_>,
    sealing: &Sealing,
    column: Column,
    after: Uuid,
) -> Result<Vec<(Place, Vec<u8>)>, sqlx::Error> {
    let older = sealing.keys.older().iter();
    let older: Vec<&[u8]> = older.map(|key| key.id().as_bytes()).collect();
    let Column {
        table,
        column: name,
        row,
        organization,
    } = column;
    let organization = organization.unwrap_or("null::uuid");
    // Names of our own.
    let query = AssertSqlSafe(format!(
        "select {row}, {organization}, {name}::bytea from {table}
         where {row} > $1 and {} = any($2)
         order by {row} limit $3 for no key update",
        key_id_of(name),
    ));
    let rows = sqlx::query(query)
        .bind(after)
        .bind(older)
        .bind(BATCH)
        .fetch_all(executor)
        .await?;
    let rows = rows.iter().map(|row| {
        let place = Place {
            column,
            row: row.try_get(0)?,
            organization: row.try_get(1)?,
        };
        Ok((place, row.try_get(2)?))
    });
    rows.collect()
}

/// The ids of the keys that a column's secrets are sealed with, and how many each.
async fn keys_of(
    executor: impl PgExecutor<'_>,
    column: Column,
) -> Result<Vec<(String, i64)>, sqlx::Error> {
    let Column {
        table,
        column: name,
        ..
    } = column;
    // Names of our own.
    let query = AssertSqlSafe(format!(
        "select convert_from({}, 'latin1'), count(*) from {table} where {name} is not null group by 1",
        key_id_of(name),
    ));
    sqlx::query_as(query).fetch_all(executor).await
}

/// In SQL, where bytes are counted from one.
fn key_id_of(column: &str) -> String {
    format!("substring({column} from {} for {ID_DIGITS})", KEY_ID_AT + 1)
}
