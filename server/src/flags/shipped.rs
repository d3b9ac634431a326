//! A flag as an environment ships it.

use std::collections::BTreeSet;

use burgee_evaluator::Problem;
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

/// The same, ready to be shipped: patterns and address blocks in the form that
/// every evaluator reads, limits kept, nothing in it that is not understood.
///
/// # Errors
/// The first thing that forbids it, with its path in the shipped flag.
pub fn admitted(definition: &Flag, config: &FlagConfig) -> Result<v1::Flag, Problem> {
    let mut flag = flag(definition, config);
    burgee_evaluator::admit_flag(&mut flag)?;
    Ok(flag)
}

/// The same, of what was admitted when it was written: only the form is left to do.
pub(crate) fn normalised(definition: &Flag, config: &FlagConfig) -> Result<v1::Flag, Problem> {
    let mut flag = flag(definition, config);
    burgee_evaluator::normal_form::normalise_flag(&mut flag)?;
    Ok(flag)
}

/// What the changed flags of a change ship. Gives the segments whose use may
/// have begun or ended, by environment.
///
/// # Errors
/// [`Error::Internal`]: what cannot be shipped should have been refused before.
pub fn items(change: &Change, wanted: &mut Wanted) -> Result<BTreeSet<(Uuid, String)>, Error> {
    let mut used = BTreeSet::new();
    for (key, entry) in &change.flags.0 {
        let all = entry.definition.changed();
        let live = |flag: Option<&Flag>| flag.is_some_and(|flag| flag.archive_time.is_none());
        let before_live = live(
            entry
                .definition
                .before
                .as_ref()
                .map(|stored| &stored.message),
        );
        let after = entry
            .definition
            .after
            .as_ref()
            .filter(|flag| live(Some(flag)));
        for (environment, slot) in &entry.configs {
            if !all && !slot.changed() {
                continue;
            }
            let shipped = after.zip(slot.after.as_ref());
            let body = shipped
                .map(|(flag, config)| normalised(flag, config))
                .transpose();
            let body = body
                .map_err(Error::internal)?
                .map(|flag| flag.encode_to_vec());
            wanted.insert((*environment, ItemKind::Flag, key.clone()), body);

            let before = slot.before.as_ref().filter(|_| before_live);
            let before = before.map(|stored| references::shipped_segments(&stored.message));
            let now = shipped.map(|(_, config)| references::shipped_segments(config));
            let (before, now) = (before.unwrap_or_default(), now.unwrap_or_default());
            let differing = before.symmetric_difference(&now).cloned();
            used.extend(differing.map(|segment| (*environment, segment)));
        }
    }
    Ok(used)
}

#[cfg(test)]
mod tests {
    use burgee_proto::admin::v1::FlagRule;
    use burgee_proto::types::v1::condition::Kind;
    use burgee_proto::types::v1::serve;
    use prost_types::value::Kind as ValueKind;

    use super::*;

    /// A configuration with one rule that asks for a pattern.
    fn config(pattern: &str) -> FlagConfig {
        let clause = v1::Clause {
            attribute: "email".into(),
            operator: v1::Operator::Matches as i32,
            values: vec![ValueKind::StringValue(pattern.into()).into()],
            ignore_case: false,
        };
        let rule = v1::Rule {
            id: "staff".into(),
            condition: Some(v1::Condition {
                kind: Some(Kind::Clause(clause)),
            }),
            serve: Some(v1::Serve {
                kind: Some(serve::Kind::Variant("on".into())),
            }),
            traffic: None,
        };
        FlagConfig {
            rules: vec![FlagRule {
                rule: Some(rule),
                ..FlagRule::default()
            }],
            ..FlagConfig::default()
        }
    }

    fn definition() -> Flag {
        Flag {
            key: "checkout".into(),
            r#type: v1::FlagType::Boolean as i32,
            variants: vec![v1::Variant {
                key: "on".into(),
                value: Some(ValueKind::BoolValue(true).into()),
                ..v1::Variant::default()
            }],
            ..Flag::default()
        }
    }

    #[test]
    fn a_pattern_is_kept_as_written_and_shipped_in_normal_form() {
        let written = config(r"(\d)@");
        let shipped = admitted(&definition(), &written).unwrap();
        assert_eq!(shipped, flag(&definition(), &config("(?:[0-9])@")));
        assert_eq!(written, config(r"(\d)@"));
    }

    #[test]
    fn a_pattern_that_engines_read_differently_is_refused() {
        let refused = admitted(&definition(), &config("(?=a)")).unwrap_err();
        assert_eq!(refused.field, "rules[0].condition.clause.values[0]");
    }
}
