//! What a configuration refers to.

use std::collections::BTreeSet;

use burgee_proto::admin::v1::{FlagConfig, FlagRule};
use burgee_proto::types::v1::{Condition, Serve, condition, serve};

/// Keys of the flags that a configuration has as prerequisites, each once.
#[must_use]
pub fn prerequisites(config: &FlagConfig) -> BTreeSet<String> {
    config
        .prerequisites
        .iter()
        .map(|wanted| wanted.flag_key.clone())
        .collect()
}

/// Keys of the segments that a configuration names, each once. Those of disabled rules too:
/// they may be enabled again at any time.
#[must_use]
pub fn segments(config: &FlagConfig) -> BTreeSet<String> {
    segments_of(&config.rules)
}

/// Keys of the segments that a configuration ships with: disabled rules are not shipped.
#[must_use]
pub fn shipped_segments(config: &FlagConfig) -> BTreeSet<String> {
    segments_of(config.rules.iter().filter(|rule| !rule.disabled))
}

fn segments_of<'a>(rules: impl IntoIterator<Item = &'a FlagRule>) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let rules = rules.into_iter().filter_map(|rule| rule.rule.as_ref());
    for condition in rules.filter_map(|rule| rule.condition.as_ref()) {
        collect_segments(condition, &mut keys);
    }
    keys
}

fn collect_segments(condition: &Condition, keys: &mut BTreeSet<String>) {
    match &condition.kind {
        Some(condition::Kind::Segment(segments)) => keys.extend(segments.keys.iter().cloned()),
        Some(condition::Kind::All(all)) => {
            all.conditions
                .iter()
                .for_each(|condition| collect_segments(condition, keys));
        }
        Some(condition::Kind::Any(any)) => {
            any.conditions
                .iter()
                .for_each(|condition| collect_segments(condition, keys));
        }
        Some(condition::Kind::Not(not)) => {
            not.condition
                .iter()
                .for_each(|condition| collect_segments(condition, keys));
        }
        Some(condition::Kind::Clause(_)) | None => {}
    }
}

/// Where a configuration serves a variant, as a path from the configuration.
#[must_use]
pub fn use_of_variant(config: &FlagConfig, variant: &str) -> Option<String> {
    let serves = |serve: &Serve| match &serve.kind {
        Some(serve::Kind::Variant(key)) => key == variant,
        Some(serve::Kind::Split(split)) => split.parts.iter().any(|part| part.variant == variant),
        None => false,
    };
    if config.off_variant == variant {
        return Some("off_variant".to_owned());
    }
    if let Some(at) = config
        .targets
        .iter()
        .position(|target| target.variant == variant)
    {
        return Some(format!("targets[{at}]"));
    }
    let rule_serves = |rule: &FlagRule| {
        rule.rule
            .as_ref()
            .and_then(|rule| rule.serve.as_ref())
            .is_some_and(serves)
    };
    if let Some(at) = config.rules.iter().position(rule_serves) {
        return Some(format!("rules[{at}]"));
    }
    config
        .fallthrough
        .as_ref()
        .is_some_and(serves)
        .then(|| "fallthrough".to_owned())
}
