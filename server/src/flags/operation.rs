//! Applies operations to the flags that a change has read: checks that `before`
//! still holds at its part, and sets `after`. Whether the result is sound is
//! asked once, of the result.

use std::collections::BTreeSet;

use burgee_proto::admin::v1::operation::Part;
use burgee_proto::admin::v1::{
    EnabledChange, FlagChange, FlagConfig, FlagConfigChange, Operation, ServeChange,
    TargetKeysChange,
};
use burgee_proto::types::v1::{ErrorReason, Serve, Target};
use prost::Message;
use uuid::Uuid;

use super::{FlagEntry, config_rules, create_flag, definition_rules};
use crate::change::Change;
use crate::error::Error;
use crate::names::{FlagConfigName, FlagName};
use crate::stored::{Slot, same};

impl Change {
    /// Applies operations on one flag's definition, then asks whether all of
    /// its configurations in the locked environments are sound with it.
    ///
    /// # Errors
    /// [`Error::Conflict`] if `before` no longer holds; what the rules refuse.
    pub async fn apply_to_flag(
        &mut self,
        name: &FlagName,
        change: FlagChange,
    ) -> Result<(), Error> {
        let entry = self
            .flags
            .0
            .entry(name.flag.clone())
            .or_insert_with(|| FlagEntry {
                id: Uuid::now_v7(),
                definition: Slot::absent(),
                configs: std::collections::BTreeMap::new(),
                shipped: None,
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
            (None, Some(flag)) => {
                let config = Slot::new(create_flag::first_config(flag));
                let environments = self.heads.keys();
                entry.configs = environments.map(|id| (*id, config.clone())).collect();
            }
            (_, None) => entry
                .configs
                .values_mut()
                .for_each(|slot| slot.after = None),
            _ => {}
        }
        self.record(Operation {
            resource: name.to_string(),
            part: Some(Part::Flag(change)),
        });
        definition_rules::check(self, name).await
    }

    /// Applies an operation on a flag's configuration in one environment, then
    /// asks whether the configuration is sound.
    ///
    /// # Errors
    /// [`Error::Conflict`] if `before` no longer holds; what the rules refuse.
    pub async fn apply_to_config(
        &mut self,
        name: &FlagConfigName,
        part: Part,
    ) -> Result<(), Error> {
        let environment = self.environment(&name.environment())?;
        let entry = self
            .flags
            .0
            .get_mut(&name.flag)
            .ok_or_else(|| Error::not_found(name))?;
        let slot = entry
            .configs
            .get_mut(&environment)
            .ok_or_else(|| Error::not_found(name))?;
        let config = slot.after.as_mut().ok_or_else(|| Error::not_found(name))?;
        // A flag that ships nowhere is edited nowhere.
        let archived = entry
            .definition
            .after
            .as_ref()
            .is_some_and(|flag| flag.archive_time.is_some());
        if archived {
            return Err(Error::precondition(
                ErrorReason::FlagArchived,
                name,
                "the flag is archived; restore it first",
            ));
        }
        let before = config.encode_to_vec();
        let holds = match &part {
            Part::Enabled(change) => set_enabled(config, change),
            Part::FlagConfig(change) => replace(config, change),
            Part::Serve(change) => set_serve(config, change),
            Part::TargetKeys(change) => change_target_keys(config, change),
            _ => return Err(Error::internal("not an operation on a configuration")),
        };
        if !holds {
            return Err(Error::Conflict {
                resource: name.to_string(),
            });
        }
        if config.encode_to_vec() == before {
            return Ok(());
        }
        // Whether a flag can be turned off must not depend on anything.
        let only_enabled = matches!(part, Part::Enabled(_));
        self.record(Operation {
            resource: name.to_string(),
            part: Some(part),
        });
        if only_enabled {
            return Ok(());
        }
        config_rules::check(self, name, environment).await
    }
}

fn set_enabled(config: &mut FlagConfig, change: &EnabledChange) -> bool {
    let holds = change.before == Some(config.enabled);
    config.enabled = change.after.unwrap_or_default();
    holds
}

fn replace(config: &mut FlagConfig, change: &FlagConfigChange) -> bool {
    let enabled = config.enabled;
    let without = |config: &FlagConfig| FlagConfig {
        enabled: false,
        ..config.clone()
    };
    let holds = same(
        Some(&without(config)),
        change.before.as_ref().map(without).as_ref(),
    );
    if let Some(after) = &change.after {
        // Only its own operation touches it, so nothing else revives a flag.
        *config = FlagConfig {
            enabled,
            ..after.clone()
        };
    }
    holds
}

fn set_serve(config: &mut FlagConfig, change: &ServeChange) -> bool {
    let Some(serve) = serve_of(config, &change.rule_id) else {
        return false;
    };
    let holds = same(serve.as_ref(), change.before.as_ref());
    serve.clone_from(&change.after);
    holds
}

/// What a rule, or without an id the fallthrough, serves.
pub(super) fn serve_of<'a>(
    config: &'a mut FlagConfig,
    rule_id: &str,
) -> Option<&'a mut Option<Serve>> {
    if rule_id.is_empty() {
        return Some(&mut config.fallthrough);
    }
    let rules = config
        .rules
        .iter_mut()
        .filter_map(|rule| rule.rule.as_mut());
    rules
        .into_iter()
        .find(|rule| rule.id == rule_id)
        .map(|rule| &mut rule.serve)
}

/// A variant may have several targets with one attribute: together they are one
/// list.
fn change_target_keys(config: &mut FlagConfig, change: &TargetKeysChange) -> bool {
    let mine =
        |target: &Target| target.variant == change.variant && target.attribute == change.attribute;
    let targets = config.targets.iter().filter(|target| mine(target));
    let present: BTreeSet<&String> = targets.flat_map(|target| &target.keys).collect();
    let holds = change.added.iter().all(|key| !present.contains(key))
        && change.removed.iter().all(|key| present.contains(key));
    let removed: BTreeSet<&String> = change.removed.iter().collect();
    for target in config.targets.iter_mut().filter(|target| mine(target)) {
        target.keys.retain(|key| !removed.contains(key));
    }
    match config.targets.iter_mut().find(|target| mine(target)) {
        Some(target) => target.keys.extend(change.added.iter().cloned()),
        None => config.targets.push(Target {
            variant: change.variant.clone(),
            attribute: change.attribute.clone(),
            keys: change.added.clone(),
        }),
    }
    config
        .targets
        .retain(|target| !mine(target) || !target.keys.is_empty());
    holds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(variant: &str, keys: &[&str]) -> Target {
        Target {
            variant: variant.to_owned(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            ..Target::default()
        }
    }

    fn change(variant: &str, added: &[&str], removed: &[&str]) -> TargetKeysChange {
        let own = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        TargetKeysChange {
            variant: variant.to_owned(),
            added: own(added),
            removed: own(removed),
            ..TargetKeysChange::default()
        }
    }

    #[test]
    fn several_targets_of_a_variant_are_one_list() {
        let targets = vec![
            target("on", &["a"]),
            target("off", &["b"]),
            target("on", &["c", "a"]),
        ];
        let mut config = FlagConfig {
            targets,
            ..FlagConfig::default()
        };
        assert!(change_target_keys(
            &mut config,
            &change("on", &["d"], &["a"])
        ));
        assert_eq!(
            config.targets,
            [
                target("on", &["d"]),
                target("off", &["b"]),
                target("on", &["c"])
            ]
        );
        assert!(change_target_keys(
            &mut config,
            &change("on", &[], &["c", "d"])
        ));
        assert_eq!(config.targets, [target("off", &["b"])]);
    }

    #[test]
    fn keys_must_be_where_the_change_says() {
        let mut config = FlagConfig {
            targets: vec![target("on", &["a"])],
            ..FlagConfig::default()
        };
        assert!(!change_target_keys(
            &mut config.clone(),
            &change("on", &["a"], &[])
        ));
        assert!(!change_target_keys(&mut config, &change("on", &[], &["b"])));
    }
}
