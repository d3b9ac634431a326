//! Test keys: credentials of the data plane that may set the flags of one environment.

use burgee_proto::types::v1::AccessKeyKind;
use sqlx::PgConnection;

use crate::access::{Grants, Principal};
use crate::error::Error;
use crate::names::ApiKeyName;

/// Whose test key has this hash. Whether its environment is protected is asked where that
/// cannot change meanwhile.
///
/// # Errors
/// Those of the database.
pub(super) async fn find(
    connection: &mut PgConnection,
    dev: bool,
    hash: &[u8; 32],
) -> Result<Option<Principal>, Error> {
    let key = sqlx::query!(
        "select k.id, k.organization_id, p.key as project, e.key as environment
         from api_keys k
         join api_key_environments o on o.api_key_id = k.id
         join environments e on e.id = o.environment_id
         join projects p on p.id = e.project_id
         where k.hash = $1 and k.kind = $2
           and k.revoked_at is null
           and (k.expires_at is null or k.expires_at > clock_timestamp())
           and (not k.dev or $3)",
        hash.as_slice(),
        AccessKeyKind::Test as i16,
        dev,
    )
    .fetch_optional(connection)
    .await?;
    Ok(key.map(|key| Principal {
        organization: key.organization_id,
        actor: ApiKeyName { uid: key.id }.to_string(),
        subject: None,
        session: None,
        token: None,
        grants: Grants::of_test_key(&key.project, &key.environment),
    }))
}
