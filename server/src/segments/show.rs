//! Segments as they are shown.

use burgee_proto::admin::v1::{Segment, SegmentConfig};
use sqlx::PgConnection;
use uuid::Uuid;

use super::key_count;
use super::keys::{self, List};
use crate::change::Change;
use crate::error::Error;
use crate::names::{SegmentConfigName, SegmentName};
use crate::stored::{Stored, timestamp};

/// Lists are shown in full up to this many keys over both.
const SHOWN_KEYS_MAX: usize = 1_000;

/// A stored definition.
#[must_use]
pub fn segment(name: &SegmentName, stored: &Stored<Segment>) -> Segment {
    Segment {
        name: name.to_string(),
        uid: stored.id.to_string(),
        etag: stored.etag(),
        create_time: Some(timestamp(stored.created_at)),
        update_time: Some(timestamp(stored.updated_at)),
        ..stored.message.clone()
    }
}

/// A stored content, with its lists where they are short.
///
/// # Errors
/// Those of the database.
pub async fn config(
    connection: &mut PgConnection,
    name: &SegmentConfigName,
    environment: Uuid,
    stored: &Stored<SegmentConfig>,
) -> Result<SegmentConfig, Error> {
    let mut config = SegmentConfig {
        name: name.to_string(),
        uid: stored.id.to_string(),
        etag: stored.etag(),
        update_time: Some(timestamp(stored.updated_at)),
        ..stored.message.clone()
    };
    if key_count(&config) <= SHOWN_KEYS_MAX {
        let list = |excluded| List {
            environment,
            segment: stored.id,
            excluded,
        };
        config.included = keys::all(connection, list(false)).await?;
        config.excluded = keys::all(connection, list(true)).await?;
    }
    Ok(config)
}

impl Change {
    /// The definition as the answer shows it.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the change did not read it.
    pub fn show_segment(&self, name: &SegmentName) -> Result<Segment, Error> {
        let entry = self.segments.0.get(&name.segment);
        let stored = entry.and_then(|entry| self.after(entry.id, &entry.definition));
        stored
            .map(|stored| segment(name, &stored))
            .ok_or_else(|| Error::not_found(name))
    }

    /// The content as the answer shows it.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the change did not read it.
    pub async fn show_segment_config(
        &mut self,
        name: &SegmentConfigName,
    ) -> Result<SegmentConfig, Error> {
        let environment = self.environment(&name.environment())?;
        let entry = self.segments.0.get(&name.segment);
        let stored = entry.and_then(|entry| {
            let slot = entry.configs.get(&environment)?;
            self.after(entry.id, slot)
        });
        let stored = stored.ok_or_else(|| Error::not_found(name))?;
        config(self.connection(), name, environment, &stored).await
    }
}
