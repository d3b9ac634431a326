//! The keys on a segment's lists: rows of their own.

use std::collections::BTreeSet;

use burgee_evaluator::bucket::segment_part;
use burgee_evaluator::limits::KEY_BYTES_MAX;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Error;
use crate::names::SegmentConfigName;
use crate::texts::Violations;

/// One of a segment's two lists in an environment.
#[derive(Debug, Clone, Copy)]
pub struct List {
    /// The environment.
    pub environment: Uuid,
    /// The segment.
    pub segment: Uuid,
    /// The excluded list, else the included one.
    pub excluded: bool,
}

/// Checks keys as they were given: none empty, too long, or given twice.
///
/// # Errors
/// [`Error::Invalid`] naming the place under `field`.
pub fn check(field: &str, keys: &[String]) -> Result<(), Error> {
    let mut violations = Violations::default();
    let mut seen = BTreeSet::new();
    for (at, key) in keys.iter().enumerate() {
        let good = !key.is_empty() && key.len() <= KEY_BYTES_MAX && !key.contains('\0');
        if !good {
            let description = format!("a key has 1 to {KEY_BYTES_MAX} bytes, none of them NUL");
            violations.require(false, format!("{field}[{at}]"), description);
        }
        if !seen.insert(key) {
            violations.require(false, format!("{field}[{at}]"), "given twice");
        }
    }
    violations.finish()
}

/// All keys on a list, ordered by bytes.
///
/// # Errors
/// Those of the database.
pub async fn all(connection: &mut PgConnection, list: List) -> Result<Vec<String>, Error> {
    let keys = sqlx::query_scalar!(
        "select key from segment_keys
         where environment_id = $1 and segment_id = $2 and excluded = $3 order by key",
        list.environment,
        list.segment,
        list.excluded,
    )
    .fetch_all(connection)
    .await?;
    Ok(keys)
}

/// Which of `keys` are on a list.
///
/// # Errors
/// Those of the database.
pub async fn present(
    connection: &mut PgConnection,
    list: List,
    keys: &[String],
) -> Result<BTreeSet<String>, Error> {
    let keys = sqlx::query_scalar!(
        "select key from segment_keys
         where environment_id = $1 and segment_id = $2 and excluded = $3 and key = any($4)",
        list.environment,
        list.segment,
        list.excluded,
        keys,
    )
    .fetch_all(connection)
    .await?;
    Ok(keys.into_iter().collect())
}

/// Adds keys that are not on the list, and removes keys that are.
///
/// # Errors
/// [`Error::Conflict`] if that does not hold.
pub async fn change(
    connection: &mut PgConnection,
    name: &SegmentConfigName,
    list: List,
    added: &[String],
    removed: &[String],
) -> Result<(), Error> {
    let conflict = || Error::Conflict {
        resource: name.to_string(),
    };
    if !removed.is_empty() {
        let done = sqlx::query!(
            "delete from segment_keys
             where environment_id = $1 and segment_id = $2 and excluded = $3 and key = any($4)",
            list.environment,
            list.segment,
            list.excluded,
            removed,
        )
        .execute(&mut *connection)
        .await?;
        if done.rows_affected() != removed.len() as u64 {
            return Err(conflict());
        }
    }
    if !added.is_empty() {
        let parts: Vec<i16> = added.iter().map(|key| segment_part(key).into()).collect();
        let done = sqlx::query!(
            "insert into segment_keys (environment_id, segment_id, excluded, key, part)
             select $1, $2, $3, k.key, k.part from unnest($4::text[], $5::smallint[]) as k(key, part)
             on conflict do nothing",
            list.environment,
            list.segment,
            list.excluded,
            added,
            &parts,
        )
        .execute(&mut *connection)
        .await?;
        if done.rows_affected() != added.len() as u64 {
            return Err(conflict());
        }
    }
    Ok(())
}
