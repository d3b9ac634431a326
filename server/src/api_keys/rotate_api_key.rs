//! RotateApiKey: a successor with a new secret, while the old one still works.

use burgee_proto::admin::v1::{ApiKey, RotateApiKeyRequest, RotateApiKeyResponse};
use sqlx::types::time::OffsetDateTime;

use super::create_api_key::make;
use super::{KeyEntry, cover, patterns};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::credentials::{conceal_secret, end_of_replaced, overlap, successors_end};
use crate::error::Error;
use crate::names::ApiKeyName;
use crate::stored::{time_of, timestamp};

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
        let now = change.now();
        let (made_at, end) = (old.stored()?.created_at, end_of(&old)?);
        let key = ApiKey {
            expire_time: successors_end(made_at, end, now).map(timestamp),
            ..old.stored()?.message.clone()
        };
        cover::demand(&change.authorized, &key, &old.opens)?;
        change.check_new_test_key(key.kind(), &old.opens).await?;
        if !key.environment_patterns.is_empty() {
            patterns::check_room(change, patterns::ROTATED_KEYS_MAX).await?;
        }
        let (new, secret) = make(change, key, old.opens.clone())?;
        let replaced_end = end_of_replaced(end, overlap, now);
        old.after_mut()?.expire_time = Some(timestamp(replaced_end));
        change.put_keys(&[&old, &new]).await?;
        Ok(RotateApiKeyResponse {
            api_key: Some(new.show(change)),
            replaced: Some(old.show(change)),
            secret: change.shown(&secret),
            ..RotateApiKeyResponse::default()
        })
    }

    conceal_secret!(RotateApiKeyResponse);
}

/// When a key ends. None: never.
fn end_of(key: &KeyEntry) -> Result<Option<OffsetDateTime>, Error> {
    let end = key.stored()?.message.expire_time.as_ref();
    end.map(|end| time_of("expire_time", end)).transpose()
}
