//! API keys: the credentials of the data plane. A key opens environments, so
//! making, changing and ending one is a change of each of them: it ships there
//! as an access key, and takes a revision.
//!
//! The service takes requests; a file for each use case decides what a key
//! shall be; [`Change::put_key`] makes it so.

mod cover;
pub mod create_api_key;
pub mod deleted_environment;
pub mod environments;
pub mod list_api_keys;
mod patterns;
pub mod revoke_api_key;
pub mod rotate_api_key;
pub mod rules;
pub mod service;
pub mod shipped;
pub mod store;
mod test_keys;
pub mod update_api_key;
pub mod withdraw_ended_keys;

use std::collections::{BTreeMap, BTreeSet};

use burgee_proto::admin::v1::ApiKey;
use burgee_proto::types::v1::ErrorReason;
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use crate::change::Change;
use crate::change::commit::AuditEntry;
use crate::error::Error;
use crate::names::ApiKeyName;
use crate::stored::{Slot, Stored, time_of, timestamp};

pub use deleted_environment::{environments_sharing_keys, revoke_for_deleted_environment};
pub use patterns::open_new_environment;
pub use store::look_up;

/// A key, as it was and as it will be. Its message names the environments it
/// opens; [`KeyEntry::opens`] has their uids.
#[derive(Debug, Clone)]
pub struct KeyEntry {
    /// The key's uid.
    pub id: Uuid,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// When it was last used, as far as is written down. No part of the content.
    pub last_used_at: Option<OffsetDateTime>,
    /// The content.
    pub key: Slot<ApiKey>,
    /// The environments it opened.
    pub opened: BTreeMap<Uuid, String>,
    /// The environments it will open, with their names.
    pub opens: BTreeMap<Uuid, String>,
    /// It ended so long ago that it is shipped nowhere any more.
    pub withdrawn: bool,
}

impl KeyEntry {
    /// `apiKeys/{uid}`.
    #[must_use]
    pub fn name(&self) -> ApiKeyName {
        ApiKeyName { uid: self.id }
    }

    /// Every environment that it opens before or after the change.
    #[must_use]
    pub fn environments(&self) -> Vec<Uuid> {
        let all: BTreeSet<Uuid> = self
            .opened
            .keys()
            .chain(self.opens.keys())
            .copied()
            .collect();
        all.into_iter().collect()
    }

    /// What the key was.
    ///
    /// # Errors
    /// [`Error::Internal`] for one that is being made.
    pub fn stored(&self) -> Result<&Stored<ApiKey>, Error> {
        let stored = self.key.before.as_ref();
        stored.ok_or_else(|| Error::internal("the key did not exist before"))
    }

    /// What the key will be, for changing it.
    ///
    /// # Errors
    /// [`Error::Internal`] for one that will not be: keys are never deleted.
    pub fn after_mut(&mut self) -> Result<&mut ApiKey, Error> {
        let after = self.key.after.as_mut();
        after.ok_or_else(|| Error::internal("a key without content"))
    }

    /// Sets the environments it will open.
    ///
    /// # Errors
    /// As [`KeyEntry::after_mut`].
    pub fn open(&mut self, environments: BTreeMap<Uuid, String>) -> Result<(), Error> {
        let mut names: Vec<String> = environments.values().cloned().collect();
        names.sort_unstable();
        self.after_mut()?.environments = names;
        self.opens = environments;
        Ok(())
    }

    /// What has ended is replaced, not brought back.
    ///
    /// # Errors
    /// [`ErrorReason::KeyEnded`] if the key is revoked or has expired.
    pub fn must_live(&self, change: &Change) -> Result<(), Error> {
        let key = &self.stored()?.message;
        let expired = match &key.expire_time {
            Some(end) => time_of("expire_time", end)? <= change.now(),
            None => false,
        };
        if key.revoke_time.is_none() && !expired {
            return Ok(());
        }
        Err(Error::precondition(
            ErrorReason::KeyEnded,
            self.name(),
            "the key has ended; make a new one",
        ))
    }

    /// The key as answers show it.
    #[must_use]
    pub fn show(&self, change: &Change) -> ApiKey {
        ApiKey {
            last_used_time: self.last_used_at.map(timestamp),
            ..self.content(change)
        }
    }

    /// The key as the audit log has it.
    fn content(&self, change: &Change) -> ApiKey {
        let before = self.key.before.as_ref();
        let now = change.now();
        let updated_at = match before {
            Some(stored) if !self.key.changed() => stored.updated_at,
            _ => now,
        };
        show(&Stored {
            id: self.id,
            environment: None,
            version: self.key.version(),
            changed_by: change.actor().to_owned(),
            created_at: before.map_or(now, |stored| stored.created_at),
            updated_at,
            message: self.key.after.clone().unwrap_or_default(),
        })
    }
}

/// A stored key, but for its use.
#[must_use]
pub fn show(stored: &Stored<ApiKey>) -> ApiKey {
    ApiKey {
        name: ApiKeyName { uid: stored.id }.to_string(),
        uid: stored.id.to_string(),
        etag: stored.etag(),
        create_time: Some(timestamp(stored.created_at)),
        update_time: Some(timestamp(stored.updated_at)),
        ..stored.message.clone()
    }
}

impl Change {
    /// Reads a key of the caller's organization.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PermissionDenied`].
    pub async fn load_key(&mut self, name: ApiKeyName) -> Result<KeyEntry, Error> {
        let organization = self.authorized.organization();
        let mut keys = store::read(self.connection(), organization, &[name.uid]).await?;
        let key = keys.pop().ok_or_else(|| Error::not_found(name))?;
        environments::demand(&self.authorized, &key)?;
        Ok(key)
    }

    /// Locks the environments of keys, writes the keys that differ, ships them,
    /// and tells the audit log.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn put_keys(&mut self, entries: &[&KeyEntry]) -> Result<(), Error> {
        let environments: Vec<Uuid> = entries
            .iter()
            .flat_map(|entry| entry.environments())
            .collect();
        self.lock_heads(&environments).await?;
        for entry in entries {
            self.put_key(entry).await?;
        }
        Ok(())
    }

    /// As [`Change::put_keys`], when the environments are locked.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn put_key(&mut self, entry: &KeyEntry) -> Result<(), Error> {
        if !entry.key.changed() {
            return Ok(());
        }
        store::write(self, entry).await?;
        shipped::ship(self, entry)?;
        let before = entry.key.before.as_ref().map(show);
        let before = before
            .map(|key| self.app.descriptors.json(&key))
            .transpose()?;
        let after = self.app.descriptors.json(&entry.content(self))?;
        let mut only = entry.opens.keys();
        let environment = only.next().filter(|_| entry.opens.len() == 1).copied();
        self.record_audit(AuditEntry {
            environment,
            resource: entry.name().to_string(),
            part: "apiKey".to_owned(),
            before,
            after: Some(after),
            detail: None,
        });
        Ok(())
    }
}
