//! Flags' rows.

use std::collections::{BTreeMap, BTreeSet};

use burgee_proto::admin::v1::{Flag, FlagConfig};
use burgee_proto::sync::v1::ItemKind;
use prost::Message as _;
use sqlx::PgConnection;
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use super::{FlagEntry, references};
use crate::change::Change;
use crate::error::Error;
use crate::names::{FlagConfigName, ProjectName};
use crate::stored::{Slot, Stored};

/// Reads flags of a project, by key or all of them, with their configurations in some
/// environments. Keys that do not exist are left out.
///
/// # Errors
/// Those of the database.
pub async fn read(
    connection: &mut PgConnection,
    project: Uuid,
    keys: Option<&[String]>,
    environments: &[Uuid],
) -> Result<BTreeMap<String, FlagEntry>, Error> {
    read_with(connection, project, keys, environments, false).await
}

/// As [`read`], with the items that are shipped now if `with_items`.
async fn read_with(
    connection: &mut PgConnection,
    project: Uuid,
    keys: Option<&[String]>,
    environments: &[Uuid],
    with_items: bool,
) -> Result<BTreeMap<String, FlagEntry>, Error> {
    let rows = sqlx::query!(
        r#"select f.id, f.key, f.version, f.body, f.changed_by, f.created_at, f.updated_at,
                  c.environment_id as "environment_id?", c.version as "config_version?",
                  c.body as "config_body?", c.changed_by as "config_changed_by?",
                  c.updated_at as "config_updated_at?", i.body as item
           from flags f
           left join flag_configs c on c.flag_id = f.id and c.environment_id = any($3)
           left join environment_items i
               on $4 and i.environment_id = c.environment_id and i.kind = $5 and i.key = f.key
           where f.project_id = $1 and ($2::text[] is null or f.key = any($2))"#,
        project,
        keys,
        environments,
        with_items,
        ItemKind::Flag as i16,
    )
    .fetch_all(connection)
    .await?;
    let mut flags = BTreeMap::new();
    for row in rows {
        let entry = match flags.entry(row.key) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => entry.insert(FlagEntry {
                id: row.id,
                definition: Slot::read(Stored {
                    id: row.id,
                    environment: None,
                    version: row.version,
                    changed_by: row.changed_by,
                    created_at: row.created_at,
                    updated_at: row.updated_at,
                    message: Flag::decode(row.body.as_slice())?,
                }),
                configs: BTreeMap::new(),
                shipped: with_items.then(BTreeMap::new),
            }),
        };
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
                message: FlagConfig::decode(body.as_slice())?,
            };
            entry.configs.insert(environment, Slot::read(stored));
            if let (Some(shipped), Some(item)) = (&mut entry.shipped, row.item) {
                shipped.insert(environment, item);
            }
        }
    }
    Ok(flags)
}

impl Change {
    /// Reads a flag into the change, with its configurations in every locked
    /// environment.
    ///
    /// # Errors
    /// [`Error::NotFound`] under `name`.
    pub async fn load_flag(&mut self, key: &str, name: impl ToString) -> Result<&FlagEntry, Error> {
        if !self.flags.0.contains_key(key) {
            let project = self.project()?;
            let environments: Vec<Uuid> = self.heads().keys().copied().collect();
            let keys = [key.to_owned()];
            let read =
                read_with(self.connection(), project, Some(&keys), &environments, true).await?;
            self.flags.0.extend(read);
        }
        self.flags.0.get(key).ok_or_else(|| Error::not_found(name))
    }

    /// Reads a flag's configuration into the change.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the flag does not exist.
    pub async fn load_config(
        &mut self,
        name: &FlagConfigName,
    ) -> Result<(&FlagEntry, &Stored<FlagConfig>), Error> {
        let environment = self.environment(&name.environment())?;
        let entry = self.load_flag(&name.flag, name).await?;
        let slot = entry.configs.get(&environment);
        let stored = slot.and_then(|slot| slot.before.as_ref());
        stored
            .map(|stored| (entry, stored))
            .ok_or_else(|| Error::not_found(name))
    }
}

/// A configuration's row with other content, and the references that it had.
#[derive(Debug)]
pub struct ConfigRow {
    /// The environment.
    pub environment: Uuid,
    /// The flag.
    pub flag: Uuid,
    /// The new version.
    pub version: i64,
    /// Whether the flag is on.
    pub enabled: bool,
    /// The encoded content.
    pub body: Vec<u8>,
}

/// Writes the rows of flags that differ. Gives back configurations that refer to what they
/// referred to before: no query looks at anything else of them, so they can wait for the
/// statement that writes all the rest.
///
/// # Errors
/// [`Error::Exists`] for a key that is taken.
pub async fn write(change: &mut Change) -> Result<Vec<ConfigRow>, Error> {
    let project_name = change
        .heads()
        .values()
        .next()
        .map(|head| head.name.project());
    let flags = std::mem::take(&mut change.flags);
    for (key, entry) in &flags.0 {
        if entry.definition.changed() {
            write_definition(change, key, entry, project_name.as_ref()).await?;
        }
    }
    let waiting = write_configs(change, &flags.0).await?;
    change.flags = flags;
    Ok(waiting)
}

async fn write_definition(
    change: &mut Change,
    key: &str,
    entry: &FlagEntry,
    project_name: Option<&ProjectName>,
) -> Result<(), Error> {
    let (project, now, actor) = (change.project()?, change.now(), change.actor().to_owned());
    let Some(flag) = &entry.definition.after else {
        sqlx::query!("delete from flags where id = $1", entry.id)
            .execute(change.connection())
            .await?;
        return Ok(());
    };
    let archived_at = archived_at(flag, now);
    sqlx::query!(
        "insert into flags (id, project_id, key, type, display_name, description, tags, owner,
                            version, body, archived_at, created_at, updated_at, changed_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13)
         on conflict (id) do update
         set type = excluded.type, display_name = excluded.display_name,
             description = excluded.description, tags = excluded.tags, owner = excluded.owner,
             version = excluded.version, body = excluded.body, archived_at = excluded.archived_at,
             updated_at = excluded.updated_at, changed_by = excluded.changed_by",
        entry.id,
        project,
        key,
        i16::try_from(flag.r#type).map_err(Error::internal)?,
        flag.display_name,
        flag.description,
        &flag.tags,
        flag.owner,
        entry.definition.version(),
        flag.encode_to_vec(),
        archived_at,
        now,
        actor,
    )
    .execute(change.connection())
    .await
    .map_err(|error| {
        match error
            .as_database_error()
            .and_then(|error| error.constraint())
        {
            Some("flags_key") => Error::Exists {
                resource: project_name
                    .map_or_else(|| key.to_owned(), |project| project.flag(key).to_string()),
            },
            _ => error.into(),
        }
    })?;
    Ok(())
}

fn archived_at(flag: &Flag, now: OffsetDateTime) -> Option<OffsetDateTime> {
    flag.archive_time
        .as_ref()
        .map(|time| OffsetDateTime::from_unix_timestamp(time.seconds).unwrap_or(now))
}

async fn write_configs(
    change: &mut Change,
    flags: &BTreeMap<String, FlagEntry>,
) -> Result<Vec<ConfigRow>, Error> {
    let (mut rows, mut references, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    let flags = flags.values();
    for entry in flags.filter(|entry| entry.definition.after.is_some()) {
        for (environment, slot) in entry.configs.iter().filter(|(_, slot)| slot.changed()) {
            let Some(config) = &slot.after else { continue };
            let row = ConfigRow {
                environment: *environment,
                flag: entry.id,
                version: slot.version(),
                enabled: config.enabled,
                body: config.encode_to_vec(),
            };
            let before = slot.before.as_ref();
            let before = before.map(|stored| references_of(&stored.message));
            let now = references_of(config);
            if before.as_ref() == Some(&now) {
                waiting.push(row);
            } else {
                rows.push(row);
                references.push(now);
            }
        }
    }
    if rows.is_empty() {
        return Ok(waiting);
    }
    let (now, actor) = (change.now(), change.actor().to_owned());
    sqlx::query!(
        "insert into flag_configs (environment_id, flag_id, version, enabled, body, prerequisites,
                                   segments, shipped_segments, updated_at, changed_by)
         select r.environment_id, r.flag_id, r.version, r.enabled, r.body,
                string_to_array(r.prerequisites, '/'), string_to_array(r.segments, '/'),
                string_to_array(r.shipped_segments, '/'), $9, $10
         from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::boolean[], $5::bytea[], $6::text[],
                     $7::text[], $8::text[])
             as r(environment_id, flag_id, version, enabled, body, prerequisites, segments,
                  shipped_segments)
         on conflict (environment_id, flag_id) do update
         set version = excluded.version, enabled = excluded.enabled, body = excluded.body,
             prerequisites = excluded.prerequisites, segments = excluded.segments,
             shipped_segments = excluded.shipped_segments,
             updated_at = excluded.updated_at, changed_by = excluded.changed_by",
        &rows.iter().map(|row| row.environment).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.flag).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.version).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.enabled).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.body.clone()).collect::<Vec<_>>(),
        &references
            .iter()
            .map(|[prerequisites, ..]| prerequisites.clone())
            .collect::<Vec<_>>(),
        &references
            .iter()
            .map(|[_, segments, _]| segments.clone())
            .collect::<Vec<_>>(),
        &references
            .iter()
            .map(|[.., shipped]| shipped.clone())
            .collect::<Vec<_>>(),
        now,
        actor,
    )
    .execute(change.connection())
    .await?;
    Ok(waiting)
}

/// Prerequisites, segments, and segments that are shipped. A list of lists has no array type:
/// each is joined by a character that no key holds.
fn references_of(config: &FlagConfig) -> [String; 3] {
    let joined = |keys: BTreeSet<String>| Vec::from_iter(keys).join("/");
    [
        joined(references::prerequisites(config)),
        joined(references::segments(config)),
        joined(references::shipped_segments(config)),
    ]
}
