//! RotateApiKey: a successor with a new secret, while the old one still works.

use burgee_proto::admin::v1::{ApiKey, RotateApiKeyRequest, RotateApiKeyResponse};
use sqlx::types::time::OffsetDateTime;

use super::create_api_key::{make, shown};
use super::{KeyEntry, cover, patterns};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::ApiKeyName;
use crate::stored::{overlap, time_of, timestamp};

#[tonic::async_trait]
impl Mutation for RotateApiKeyRequest {
    mutation_fields!(RotateApiKeyResponse, etag);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<RotateApiKeyResponse, Error> {
        let name = ApiKeyName::parse("name", &self.name)?;
        let overlap = overlap(self.overlap)?;
        let etag = change.common.etag.clone();
        let mut old = change.load_key(name).await?;
        old.stored()?.check_etag(name, &etag)?;
        old.must_live(change)?;
        let key = ApiKey {
            expire_time: successors_end(&old, change.now())?.map(timestamp),
            ..old.stored()?.message.clone()
        };
        cover::demand(&change.authorized, &key, &old.opens)?;
        change.check_new_test_key(key.kind(), &old.opens).await?;
        if !key.environment_patterns.is_empty() {
            patterns::check_room(change, patterns::ROTATED_KEYS_MAX).await?;
        }
        let (new, secret) = make(change, key, old.opens.clone())?;
        let end = change.now() + overlap;
        let after = old.after_mut()?;
        let earlier = match &after.expire_time {
            Some(set) => time_of("expire_time", set)?.min(end),
            None => end,
        };
        after.expire_time = Some(timestamp(earlier));
        change.put_keys(&[&old, &new]).await?;
        Ok(RotateApiKeyResponse {
            api_key: Some(new.show(change)),
            replaced: Some(old.show(change)),
            secret: shown(change, &secret),
            ..RotateApiKeyResponse::default()
        })
    }

    fn conceal(response: &mut RotateApiKeyResponse) {
        response.secret.clear();
        response.secret_already_shown = true;
    }
}

/// The end of a key that replaces `old` now: it lives as long as `old` was
/// meant to.
fn successors_end(old: &KeyEntry, now: OffsetDateTime) -> Result<Option<OffsetDateTime>, Error> {
    let stored = old.stored()?;
    let Some(end) = &stored.message.expire_time else {
        return Ok(None);
    };
    let lifetime = time_of("expire_time", end)? - stored.created_at;
    // Beyond what a timestamp can say is never.
    Ok(now.checked_add(lifetime))
}
