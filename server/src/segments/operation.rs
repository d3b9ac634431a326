//! Applies operations to the segments that a change has read.

use std::collections::{BTreeMap, BTreeSet};

use burgee_evaluator::bucket::segment_part;
use burgee_evaluator::context::NAME_BYTES_MAX;
use burgee_evaluator::limits::SEGMENT_KEYS_MAX;
use burgee_proto::admin::v1::operation::Part;
use burgee_proto::admin::v1::{
    Operation, Segment, SegmentChange, SegmentConfig, SegmentConfigChange, SegmentKeysChange,
};
use burgee_proto::types::v1::ErrorReason;
use uuid::Uuid;

use super::keys::{self, List};
use super::{SegmentEntry, content_rules, key_count};
use crate::change::Change;
use crate::error::Error;
use crate::names::{self, SegmentConfigName, SegmentName};
use crate::stored::{Slot, same};
use crate::texts::Violations;

impl Change {
    /// Applies an operation on a segment's definition.
    ///
    /// # Errors
    /// [`Error::Conflict`] if `before` no longer holds; what the rules refuse.
    pub async fn apply_to_segment(
        &mut self,
        name: &SegmentName,
        change: SegmentChange,
    ) -> Result<(), Error> {
        let entry = self
            .segments
            .0
            .entry(name.segment.clone())
            .or_insert_with(|| SegmentEntry {
                id: Uuid::now_v7(),
                definition: Slot::absent(),
                configs: BTreeMap::new(),
                parts: BTreeMap::new(),
            });
        if !same(entry.definition.after.as_ref(), change.before.as_ref()) {
            return Err(Error::Conflict {
                resource: name.to_string(),
            });
        }
        entry.definition.after.clone_from(&change.after);
        if !entry.definition.changed() {
            return Ok(());
        }
        match (&change.before, &change.after) {
            (None, Some(_)) => {
                let environments = self.heads.keys();
                entry.configs = environments
                    .map(|id| (*id, Slot::new(SegmentConfig::default())))
                    .collect();
            }
            (_, None) => entry
                .configs
                .values_mut()
                .for_each(|slot| slot.after = None),
            _ => {}
        }
        match &change.after {
            Some(segment) => check_definition(segment)?,
            None => check_unused(self, name).await?,
        }
        self.record(Operation {
            resource: name.to_string(),
            part: Some(Part::Segment(change)),
        });
        Ok(())
    }

    /// Applies an operation on a segment's content: its condition, and keys on
    /// its lists.
    ///
    /// # Errors
    /// [`Error::Conflict`] if `before` no longer holds; what the rules refuse.
    pub async fn apply_to_segment_config(
        &mut self,
        name: &SegmentConfigName,
        change: SegmentConfigChange,
    ) -> Result<(), Error> {
        let environment = self.environment(&name.environment())?;
        let config = self.segment_config(name, environment)?;
        let before = change.before.clone().unwrap_or_default();
        if !same(config.condition.as_ref(), before.condition.as_ref()) {
            return Err(Error::Conflict {
                resource: name.to_string(),
            });
        }
        let after = change.after.clone().unwrap_or_default();
        let condition_changed = !same(config.condition.as_ref(), after.condition.as_ref());
        config.condition = after.condition;
        let key_change = change.keys.clone().unwrap_or_default();
        let keys_changed = self.change_keys(name, environment, &key_change).await?;
        content_rules::check(self, name, environment)
            .await
            .map_err(|error| error.within("segment_config"))?;
        if condition_changed || keys_changed {
            self.record(Operation {
                resource: name.to_string(),
                part: Some(Part::SegmentConfig(change)),
            });
        }
        Ok(())
    }

    /// Applies an operation on the keys of a segment's lists.
    ///
    /// # Errors
    /// [`Error::Conflict`] if a key to add is there, or one to remove is not.
    pub async fn apply_to_segment_keys(
        &mut self,
        name: &SegmentConfigName,
        change: SegmentKeysChange,
    ) -> Result<(), Error> {
        let environment = self.environment(&name.environment())?;
        if self.change_keys(name, environment, &change).await? {
            // Only that all of it is too large can be new.
            let sound = content_rules::check(self, name, environment).await;
            sound.map_err(|error| error.within("keys"))?;
            self.record(Operation {
                resource: name.to_string(),
                part: Some(Part::SegmentKeys(change)),
            });
        }
        Ok(())
    }

    fn segment_config(
        &mut self,
        name: &SegmentConfigName,
        environment: Uuid,
    ) -> Result<&mut SegmentConfig, Error> {
        let entry = self.segments.0.get_mut(&name.segment);
        let slot = entry.and_then(|entry| entry.configs.get_mut(&environment));
        slot.and_then(|slot| slot.after.as_mut())
            .ok_or_else(|| Error::not_found(name))
    }

    async fn change_keys(
        &mut self,
        name: &SegmentConfigName,
        environment: Uuid,
        change: &SegmentKeysChange,
    ) -> Result<bool, Error> {
        let segment = self.segments.0.get(&name.segment).map(|entry| entry.id);
        let segment = segment.ok_or_else(|| Error::not_found(name))?;
        let lists = [
            (false, &change.included_added, &change.included_removed),
            (true, &change.excluded_added, &change.excluded_removed),
        ];
        // Counted before anything is written: what is too much costs nothing.
        let config = self.segment_config(name, environment)?;
        for (excluded, added, removed) in lists {
            let count = if excluded {
                &mut config.excluded_count
            } else {
                &mut config.included_count
            };
            let size = |keys: &[String]| i32::try_from(keys.len()).unwrap_or(i32::MAX);
            *count = count
                .saturating_add(size(added))
                .saturating_sub(size(removed));
        }
        if key_count(config) > SEGMENT_KEYS_MAX {
            return Err(Error::limit(
                "segment_keys",
                SEGMENT_KEYS_MAX,
                name,
                format!("the segment would have more than {SEGMENT_KEYS_MAX} keys"),
            ));
        }
        let mut parts = BTreeSet::new();
        for (excluded, added, removed) in lists {
            let list = List {
                environment,
                segment,
                excluded,
            };
            keys::change(self.connection(), name, list, added, removed).await?;
            parts.extend(added.iter().chain(removed).map(|key| segment_part(key)));
        }
        let changed = !parts.is_empty();
        if let Some(entry) = self.segments.0.get_mut(&name.segment).filter(|_| changed) {
            entry.parts.entry(environment).or_default().extend(parts);
            entry
                .configs
                .entry(environment)
                .and_modify(|slot| slot.touched = true);
        }
        Ok(changed)
    }
}

fn check_definition(segment: &Segment) -> Result<(), Error> {
    let mut violations = Violations::default();
    violations.extend(names::check_key("segment.key", &segment.key))?;
    violations.display_name("segment.display_name", &segment.display_name);
    violations.description("segment.description", &segment.description);
    violations.text("segment.attribute", &segment.attribute, NAME_BYTES_MAX);
    violations.tags("segment.tags", &segment.tags);
    violations.finish()
}

/// Refuses to delete a segment that a configuration names, of an archived flag
/// too: it could not be restored.
async fn check_unused(change: &mut Change, name: &SegmentName) -> Result<(), Error> {
    let environments: Vec<Uuid> = change.heads().keys().copied().collect();
    let user = sqlx::query!(
        "select c.environment_id, f.key from flag_configs c join flags f on f.id = c.flag_id
         where c.environment_id = any($1) and c.segments <> '{}' and $2 = any(c.segments)
         order by f.key limit 1",
        &environments,
        name.segment,
    )
    .fetch_optional(change.connection())
    .await?;
    let Some(user) = user else {
        return Ok(());
    };
    let head = change.heads().get(&user.environment_id);
    let subject = head.map_or_else(
        || user.key.clone(),
        |head| head.name.flag(&user.key).to_string(),
    );
    let description = format!("{subject} uses the segment; change that first");
    Err(Error::precondition(
        ErrorReason::SegmentInUse,
        subject,
        description,
    ))
}
