//! RevokeApiKey.

use burgee_proto::admin::v1::{RevokeApiKeyRequest, RevokeApiKeyResponse};

use super::KeyEntry;
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::ApiKeyName;
use crate::stored::timestamp;

#[tonic::async_trait]
impl Mutation for RevokeApiKeyRequest {
    mutation_fields!(RevokeApiKeyResponse, etag);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<RevokeApiKeyResponse, Error> {
        let name = ApiKeyName::parse("name", &self.name)?;
        let etag = change.common.etag.clone();
        let mut entry = change.load_key(name).await?;
        entry.stored()?.check_etag(name, &etag)?;
        revoke(change, &mut entry)?;
        change.put_keys(&[&entry]).await?;
        Ok(RevokeApiKeyResponse {
            api_key: Some(entry.show(change)),
            ..RevokeApiKeyResponse::default()
        })
    }
}

/// Ends a key now. One that is revoked already stays as it is.
pub(super) fn revoke(change: &Change, entry: &mut KeyEntry) -> Result<(), Error> {
    let now = timestamp(change.now());
    entry.after_mut()?.revoke_time.get_or_insert(now);
    Ok(())
}
