//! A flag as an environment ships it.

use std::collections::BTreeSet;

use burgee_proto::admin::v1::{Flag, FlagConfig};
use burgee_proto::sync::v1::ItemKind;
use burgee_proto::types::v1;
use prost::Message as _;
use uuid::Uuid;

use super::references;
use crate::change::Change;
use crate::change::ship::Wanted;
use crate::error::Error;

/// A definition merged with a configuration. What only people read is left out.
#[must_use]
pub fn flag(definition: &Flag, config: &FlagConfig) -> v1::Flag {
    let variants = definition.variants.iter().map(|variant| v1::Variant {
        key: variant.key.clone(),
        value: variant.value.clone(),
        ..v1::Variant::default()
    });
    let rules = config.rules.iter().filter(|rule| !rule.disabled);
    v1::Flag {
        key: definition.key.clone(),
        r#type: definition.r#type,
        variants: variants.collect(),
        enabled: config.enabled,
        off_variant: config.off_variant.clone(),
        prerequisites: config.prerequisites.clone(),
        mutual_exclusion: None,
        targets: config.targets.clone(),
        rules: rules.filter_map(|rule| rule.rule.clone()).collect(),
        fallthrough: config.fallthrough.clone(),
        client_visible: definition.client_visible,
        metadata: definition.metadata.clone(),
    }
}

/// What the changed flags of a change ship. Gives the segments whose use may
/// have begun or ended, by environment.
///
/// # Errors
/// None today; what cannot be shipped was refused before.
pub fn items(change: &Change, wanted: &mut Wanted) -> Result<BTreeSet<(Uuid, String)>, Error> {
    let mut used = BTreeSet::new();
    for (key, entry) in &change.flags.0 {
        let all = entry.definition.changed();
        let live = |flag: Option<&Flag>| flag.is_some_and(|flag| flag.archive_time.is_none());
        let before_live = live(entry.definition.before.as_ref().map(|stored| &stored.message));
        let after = entry.definition.after.as_ref().filter(|flag| live(Some(flag)));
        for (environment, slot) in &entry.configs {
            if !all && !slot.changed() {
                continue;
            }
            let shipped = after.zip(slot.after.as_ref());
            let body = shipped.map(|(flag, config)| self::flag(flag, config).encode_to_vec());
            wanted.insert((*environment, ItemKind::Flag, key.clone()), body);

            let before = slot.before.as_ref().filter(|_| before_live);
            let before = before.map(|stored| references::segments(&stored.message));
            let now = shipped.map(|(_, config)| references::segments(config));
            let (before, now) = (before.unwrap_or_default(), now.unwrap_or_default());
            let differing = before.symmetric_difference(&now).cloned();
            used.extend(differing.map(|segment| (*environment, segment)));
        }
    }
    Ok(used)
}
