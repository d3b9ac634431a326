//! UpdateApiKey.

use burgee_proto::admin::v1::{UpdateApiKeyRequest, UpdateApiKeyResponse};

use super::{cover, environments, rules};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::ApiKeyName;

/// What of a key can be changed.
const CHANGEABLE: &[&str] = &[
    "display_name",
    "environments",
    "environment_patterns",
    "expire_time",
    "allowed_origins",
];

#[tonic::async_trait]
impl Mutation for UpdateApiKeyRequest {
    mutation_fields!(UpdateApiKeyResponse, etag in api_key);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<UpdateApiKeyResponse, Error> {
        let update = self.api_key.clone().unwrap_or_default();
        let name = ApiKeyName::parse("api_key.name", &update.name)?;
        let etag = change.common.etag.clone();
        let mut entry = change.load_key(name).await?;
        entry.stored()?.demand_etag(name, &etag)?;
        entry.must_live(change)?;
        let before = entry.stored()?.message.clone();
        let mask = self.update_mask.as_ref();
        let mut after = change
            .app
            .descriptors
            .merge(&before, &update, mask, CHANGEABLE)?;
        rules::check(&after)?;
        if after.expire_time != before.expire_time {
            rules::check_end(&after, change.now())?;
        }
        after.environments.sort_unstable();
        let opens = environments::of_changed(change, &before, &after).await?;
        if let Some(opens) = &opens {
            cover::demand(&change.authorized, &after, opens)?;
        }
        entry.key.after = Some(after);
        if let Some(opens) = opens {
            entry.open(opens)?;
        }
        change.put_keys(&[&entry]).await?;
        Ok(UpdateApiKeyResponse {
            api_key: Some(entry.show(change)),
            ..UpdateApiKeyResponse::default()
        })
    }
}
