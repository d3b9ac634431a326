//! CreateApiKey.

use std::collections::BTreeMap;

use burgee_hub::credential::{self, Secret};
use burgee_proto::admin::v1::{ApiKey, CreateApiKeyRequest, CreateApiKeyResponse};
use uuid::Uuid;

use super::{KeyEntry, cover, environments, rules};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::random;
use crate::stored::Slot;

/// How much of a secret is kept to recognise it by, in bytes: its kind and five
/// of its 43 random digits.
const SECRET_PREFIX: usize = 16;

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
            secret: shown(change, &secret),
            ..CreateApiKeyResponse::default()
        })
    }

    fn conceal(response: &mut CreateApiKeyResponse) {
        response.secret.clear();
        response.secret_already_shown = true;
    }
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
        secret_prefix: secret.expose().chars().take(SECRET_PREFIX).collect(),
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
    };
    entry.open(opens)?;
    Ok((entry, secret))
}

/// The secret for the answer: none of a key that is only tried, as it would
/// open nothing.
pub(super) fn shown(change: &Change, secret: &Secret) -> String {
    if change.common.validate_only {
        String::new()
    } else {
        secret.expose().to_owned()
    }
}
