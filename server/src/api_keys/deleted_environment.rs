//! What becomes of API keys when an environment is deleted.

use sqlx::PgConnection;
use uuid::Uuid;

use super::revoke_api_key::revoke;
use super::store;
use crate::change::Change;
use crate::error::Error;

/// The environments that ship a key in common with this one, which itself is
/// left out. Their heads are locked before
/// [`revoke_for_deleted_environment`].
///
/// # Errors
/// Those of the database.
pub async fn environments_sharing_keys(
    connection: &mut PgConnection,
    environment: Uuid,
) -> Result<Vec<Uuid>, Error> {
    let environments = sqlx::query_scalar!(
        "select distinct other.environment_id
         from api_key_environments this
         join api_keys k on k.id = this.api_key_id and k.withdrawn_at is null
         join api_key_environments other using (api_key_id)
         where this.environment_id = $1 and other.environment_id <> $1",
        environment,
    )
    .fetch_all(connection)
    .await?;
    Ok(environments)
}

/// Takes an environment that the change deletes from every key that opens it. A
/// key that opens no other is revoked, unless it follows a pattern.
///
/// # Errors
/// Those of the database.
pub async fn revoke_for_deleted_environment(
    change: &mut Change,
    environment: Uuid,
) -> Result<(), Error> {
    let ids = sqlx::query_scalar!(
        "select api_key_id from api_key_environments where environment_id = $1",
        environment,
    )
    .fetch_all(change.connection())
    .await?;
    let organization = change.authorized.organization();
    for mut entry in store::read(change.connection(), organization, &ids).await? {
        let mut opens = entry.opens.clone();
        opens.remove(&environment);
        let follows = !entry.after_mut()?.environment_patterns.is_empty();
        if opens.is_empty() && !follows {
            revoke(change, &mut entry)?;
        }
        entry.open(opens)?;
        change.put_key(&entry).await?;
    }
    Ok(())
}
