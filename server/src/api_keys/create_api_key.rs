//! CreateApiKey.

use std::collections::BTreeMap;

use burgee_hub::credential::{self, Secret};
use burgee_proto::admin::v1::{ApiKey, CreateApiKeyRequest, CreateApiKeyResponse};
use uuid::Uuid;

use super::{KeyEntry, cover, environments, rules};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::credentials::{self, conceal_secret};
use crate::error::Error;
use crate::random;
use crate::stored::Slot;

#[tonic::async_trait]
impl Mutation for CreateApiKeyRequest {
    mutation_fields!(CreateApiKeyResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<CreateApiKeyResponse, Error> {
        let asked = self
            .api_key
            .as_ref()
            .ok_or_else(|| Error::invalid("api_key", "give the key"))?;
        // Everything else is the server's to say.
        let key = ApiKey {
            display_name: asked.display_name.clone(),
            kind: asked.kind,
            environments: asked.environments.clone(),
            environment_patterns: asked.environment_patterns.clone(),
            expire_time: asked.expire_time,
            allowed_origins: asked.allowed_origins.clone(),
            ..ApiKey::default()
        };
        rules::credential_kind(key.kind())?;
        rules::check(&key)?;
        rules::check_end(&key, change.now())?;
        let opens = environments::of_new(change, &key).await?;
        cover::demand(&change.authorized, &key, &opens)?;
        change.check_new_test_key(key.kind(), &opens).await?;
        let (entry, secret) = make(change, key, opens)?;
        change.put_keys(&[&entry]).await?;
        Ok(CreateApiKeyResponse {
            api_key: Some(entry.show(change)),
            secret: change.shown(&secret),
            ..CreateApiKeyResponse::default()
        })
    }

    conceal_secret!(CreateApiKeyResponse);
}

/// A new key with a new secret.
///
/// # Errors
/// [`Error::Internal`] if the operating system has no randomness.
pub(super) fn make(
    change: &Change,
    key: ApiKey,
    opens: BTreeMap<Uuid, String>,
) -> Result<(KeyEntry, Secret), Error> {
    let kind = rules::credential_kind(key.kind())?;
    let secret = credential::generate(kind, random::bytes()?);
    let key = ApiKey {
        owner: change.actor().to_owned(),
        secret_prefix: credentials::prefix(&secret),
        dev: change.app.dev,
        ..key
    };
    let mut entry = KeyEntry {
        id: Uuid::now_v7(),
        hash: secret.hash(),
        last_used_at: None,
        key: Slot::new(key),
        opened: BTreeMap::new(),
        opens: BTreeMap::new(),
        withdrawn: false,
    };
    entry.open(opens)?;
    Ok((entry, secret))
}
