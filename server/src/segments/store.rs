//! Segments' rows, but for the keys on their lists.

use std::collections::BTreeMap;

use burgee_proto::admin::v1::{Segment, SegmentConfig};
use prost::Message as _;
use sqlx::PgConnection;
use uuid::Uuid;

use super::SegmentEntry;
use crate::change::Change;
use crate::error::Error;
use crate::names::SegmentConfigName;
use crate::stored::{Slot, Stored};

/// Reads segments of a project, by key or all of them, with their contents in
/// some environments. Keys that do not exist are left out.
///
/// # Errors
/// Those of the database.
pub async fn read(
    connection: &mut PgConnection,
    project: Uuid,
    keys: Option<&[String]>,
    environments: &[Uuid],
) -> Result<BTreeMap<String, SegmentEntry>, Error> {
    let rows = sqlx::query!(
        r#"select s.id, s.key, s.version, s.body, s.changed_by, s.created_at, s.updated_at,
                  c.environment_id as "environment_id?", c.version as "config_version?",
                  c.body as "config_body?", c.changed_by as "config_changed_by?",
                  c.updated_at as "config_updated_at?"
           from segments s
           left join segment_configs c on c.segment_id = s.id and c.environment_id = any($3)
           where s.project_id = $1 and ($2::text[] is null or s.key = any($2))"#,
        project,
        keys,
        environments,
    )
    .fetch_all(connection)
    .await?;
    let mut segments = BTreeMap::new();
    for row in rows {
        let definition = Stored {
            id: row.id,
            environment: None,
            version: row.version,
            changed_by: row.changed_by,
            created_at: row.created_at,
            updated_at: row.updated_at,
            message: Segment::decode(row.body.as_slice())?,
        };
        let entry = segments.entry(row.key).or_insert_with(|| SegmentEntry {
            id: row.id,
            definition: Slot::read(definition),
            configs: BTreeMap::new(),
            parts: BTreeMap::new(),
        });
        if let (Some(environment), Some(version), Some(body), Some(changed_by), Some(updated_at)) = (
            row.environment_id,
            row.config_version,
            row.config_body,
            row.config_changed_by,
            row.config_updated_at,
        ) {
            let stored = Stored {
                id: row.id,
                environment: Some(environment),
                version,
                changed_by,
                created_at: row.created_at,
                updated_at,
                message: SegmentConfig::decode(body.as_slice())?,
            };
            entry.configs.insert(environment, Slot::read(stored));
        }
    }
    Ok(segments)
}

impl Change {
    /// Reads a segment into the change, with its contents in every locked
    /// environment.
    ///
    /// # Errors
    /// [`Error::NotFound`] under `name`.
    pub async fn load_segment(
        &mut self,
        key: &str,
        name: impl ToString,
    ) -> Result<&SegmentEntry, Error> {
        if !self.segments.0.contains_key(key) {
            let project = self.project()?;
            let environments: Vec<Uuid> = self.heads().keys().copied().collect();
            let keys = [key.to_owned()];
            let read = read(self.connection(), project, Some(&keys), &environments).await?;
            self.segments.0.extend(read);
        }
        self.segments
            .0
            .get(key)
            .ok_or_else(|| Error::not_found(name))
    }

    /// Reads a segment's content in an environment into the change. Gives the
    /// environment and the content without lists.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the segment does not exist.
    pub async fn load_segment_config(
        &mut self,
        name: &SegmentConfigName,
    ) -> Result<(Uuid, Stored<SegmentConfig>), Error> {
        let environment = self.environment(&name.environment())?;
        let entry = self.load_segment(&name.segment, name).await?;
        let stored = entry
            .configs
            .get(&environment)
            .and_then(|slot| slot.before.clone());
        stored
            .map(|stored| (environment, stored))
            .ok_or_else(|| Error::not_found(name))
    }
}

/// Writes the rows of segments that differ. Keys are written already.
///
/// # Errors
/// Those of the database.
pub async fn write(change: &mut Change) -> Result<(), Error> {
    let segments = std::mem::take(&mut change.segments);
    for (key, entry) in &segments.0 {
        if entry.definition.changed() {
            write_definition(change, key, entry).await?;
        }
        let configs = entry
            .configs
            .iter()
            .filter(|(_, slot)| slot.changed() && slot.before.is_some());
        for (environment, slot) in configs {
            if let Some(config) = &slot.after {
                write_config(change, entry.id, *environment, slot.version(), config).await?;
            }
        }
    }
    change.segments = segments;
    Ok(())
}

async fn write_definition(
    change: &mut Change,
    key: &str,
    entry: &SegmentEntry,
) -> Result<(), Error> {
    let (project, now, actor) = (change.project()?, change.now(), change.actor().to_owned());
    let Some(segment) = &entry.definition.after else {
        sqlx::query!("delete from segments where id = $1", entry.id)
            .execute(change.connection())
            .await?;
        return Ok(());
    };
    sqlx::query!(
        "insert into segments (id, project_id, key, version, body, created_at, updated_at, changed_by)
         values ($1, $2, $3, $4, $5, $6, $6, $7)
         on conflict (id) do update
         set version = excluded.version, body = excluded.body,
             updated_at = excluded.updated_at, changed_by = excluded.changed_by",
        entry.id,
        project,
        key,
        entry.definition.version(),
        segment.encode_to_vec(),
        now,
        actor,
    )
    .execute(change.connection())
    .await?;
    if entry.definition.before.is_none() {
        let environments: Vec<Uuid> = entry.configs.keys().copied().collect();
        insert_empty(change, entry.id, &environments).await?;
    }
    Ok(())
}

/// Makes the empty contents of a segment in environments.
async fn insert_empty(
    change: &mut Change,
    segment: Uuid,
    environments: &[Uuid],
) -> Result<(), Error> {
    let (now, actor) = (change.now(), change.actor().to_owned());
    sqlx::query!(
        "insert into segment_configs (environment_id, segment_id, included_count, excluded_count,
                                      version, body, updated_at, changed_by)
         select environment_id, $2, 0, 0, 1, '', $3, $4 from unnest($1::uuid[]) as environment_id",
        environments,
        segment,
        now,
        actor,
    )
    .execute(change.connection())
    .await?;
    Ok(())
}

async fn write_config(
    change: &mut Change,
    segment: Uuid,
    environment: Uuid,
    version: i64,
    config: &SegmentConfig,
) -> Result<(), Error> {
    let (now, actor) = (change.now(), change.actor().to_owned());
    sqlx::query!(
        "update segment_configs
         set included_count = $3, excluded_count = $4, version = $5, body = $6,
             updated_at = $7, changed_by = $8
         where environment_id = $1 and segment_id = $2",
        environment,
        segment,
        config.included_count,
        config.excluded_count,
        version,
        config.encode_to_vec(),
        now,
        actor,
    )
    .execute(change.connection())
    .await?;
    Ok(())
}
