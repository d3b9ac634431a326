//! Whether a flag's configuration is sound: by itself, with the flag's
//! definition, and with the flags and segments that it refers to.

use std::collections::{BTreeMap, BTreeSet};

use burgee_evaluator::limits::PREREQUISITE_CHAIN_MAX;
use burgee_proto::admin::v1::{Flag, FlagConfig};
use burgee_proto::types::v1::ErrorReason;
use uuid::Uuid;

use super::{references, shipped};
use crate::change::Change;
use crate::error::Error;
use crate::names::{self, FlagConfigName, FlagName};
use crate::texts::Violations;

/// Checks what a change made of one configuration.
///
/// # Errors
/// [`Error::Invalid`] naming the field under `flag_config`, or
/// [`Error::Precondition`] for a cycle.
pub async fn check(
    change: &mut Change,
    name: &FlagConfigName,
    environment: Uuid,
) -> Result<(), Error> {
    let Some(entry) = change.flags.0.get(&name.flag) else {
        return Ok(());
    };
    let slot = entry.configs.get(&environment);
    let config = slot.and_then(|slot| slot.after.clone());
    let before = slot
        .and_then(|slot| slot.before.as_ref())
        .map(|stored| stored.message.clone());
    let (Some(flag), Some(config)) = (entry.definition.after.clone(), config) else {
        return Ok(());
    };
    check_alone(&flag, &config).map_err(|error| error.within("flag_config"))?;
    let before = before.unwrap_or_default();
    if before.prerequisites != config.prerequisites {
        check_prerequisites(change, name, environment, &config).await?;
    }
    if references::segments(&before) != references::segments(&config) {
        check_segments(change, &config).await?;
    }
    Ok(())
}

/// Checks every configuration of a flag whose definition has changed. What it
/// refers to needs a look only if the flag was not shipped before (`fresh`).
///
/// # Errors
/// [`Error::Precondition`] naming the configuration.
pub async fn check_all(change: &mut Change, name: &FlagName, fresh: bool) -> Result<(), Error> {
    let Some(entry) = change.flags.0.get(&name.flag) else {
        return Ok(());
    };
    let Some(flag) = entry.definition.after.clone() else {
        return Ok(());
    };
    let configs = entry.configs.iter();
    let configs: Vec<(Uuid, FlagConfig)> = configs
        .filter_map(|(environment, slot)| Some((*environment, slot.after.clone()?)))
        .collect();
    for (environment, config) in configs {
        let Some(head) = change.heads.get(&environment) else {
            continue;
        };
        let config_name = head.name.flag(&name.flag);
        let unfit = |error: Error| match error {
            Error::Invalid(violations) => {
                let what = violations.into_iter().next();
                let what = what.map_or_else(String::new, |first| {
                    format!("{}: {}", first.field, first.description)
                });
                let description = format!("{config_name} would no longer be sound: {what}");
                Error::precondition(ErrorReason::InvalidField, &config_name, description)
            }
            other => other,
        };
        check_alone(&flag, &config).map_err(unfit)?;
        if fresh && !config.prerequisites.is_empty() {
            check_prerequisites(change, &config_name, environment, &config)
                .await
                .map_err(unfit)?;
        }
        if fresh {
            check_segments(change, &config).await.map_err(unfit)?;
        }
    }
    Ok(())
}

/// Checks what needs nothing but definition and configuration. A flag that is off
/// and rules that are disabled keep to the same: they may be turned on at any
/// time.
pub(crate) fn check_alone(flag: &Flag, config: &FlagConfig) -> Result<(), Error> {
    let mut all_on = config.clone();
    all_on.enabled = true;
    all_on
        .rules
        .iter_mut()
        .for_each(|rule| rule.disabled = false);
    let mut violations = Violations::default();
    for (at, rule) in config.rules.iter().enumerate() {
        violations.require(
            rule.rule.is_some(),
            format!("rules[{at}].rule"),
            "give the rule",
        );
        violations.display_name(format!("rules[{at}].display_name"), &rule.display_name);
        violations.description(format!("rules[{at}].description"), &rule.description);
    }
    violations.require(
        config.exclusion_group.is_empty(),
        "exclusion_group",
        "there are no exclusion groups in this environment",
    );
    violations.finish()?;
    shipped::admitted(flag, &all_on)
        .map(drop)
        .map_err(|problem| Error::invalid(config_path(&problem.field), problem.message))
}

/// A path of the shipped flag as a path of the configuration.
fn config_path(field: &str) -> String {
    match field
        .strip_prefix("rules[")
        .and_then(|rest| rest.split_once(']'))
    {
        Some((at, rest)) => format!("rules[{at}].rule{rest}"),
        None => field.to_owned(),
    }
}

/// Prerequisites must exist with the wanted variants, and form no cycle and no
/// longer chain than [`PREREQUISITE_CHAIN_MAX`].
async fn check_prerequisites(
    change: &mut Change,
    name: &FlagConfigName,
    environment: Uuid,
    config: &FlagConfig,
) -> Result<(), Error> {
    let project = change.project()?;
    let mut violations = Violations::default();
    for (at, prerequisite) in config.prerequisites.iter().enumerate() {
        let field = format!("flag_config.prerequisites[{at}].flag_key");
        violations.extend(names::check_key(&field, &prerequisite.flag_key))?;
    }
    violations.finish()?;
    let wanted: Vec<String> = references::prerequisites(config).into_iter().collect();
    let known = super::store::read(change.connection(), project, Some(&wanted), &[]).await?;
    let mut violations = Violations::default();
    for (at, prerequisite) in config.prerequisites.iter().enumerate() {
        let field = format!("flag_config.prerequisites[{at}]");
        let flag = known
            .get(&prerequisite.flag_key)
            .and_then(|entry| entry.definition.after.as_ref());
        let Some(flag) = flag.filter(|flag| flag.archive_time.is_none()) else {
            let description = format!(
                "there is no flag {:?} that is not archived",
                prerequisite.flag_key
            );
            violations.require(false, format!("{field}.flag_key"), description);
            continue;
        };
        for (place, variant) in prerequisite.variants.iter().enumerate() {
            violations.require(
                flag.variants.iter().any(|known| known.key == *variant),
                format!("{field}.variants[{place}]"),
                format!("the flag {:?} has no variant {variant:?}", flag.key),
            );
        }
        violations.require(
            !prerequisite.variants.is_empty(),
            format!("{field}.variants"),
            "name at least one",
        );
    }
    violations.finish()?;

    let rows = sqlx::query!(
        "select f.key, c.prerequisites from flag_configs c
         join flags f on f.id = c.flag_id and f.archived_at is null
         where c.environment_id = $1 and c.prerequisites <> '{}'",
        environment,
    )
    .fetch_all(change.connection())
    .await?;
    let mut graph: BTreeMap<String, Vec<String>> = rows
        .into_iter()
        .map(|row| (row.key, row.prerequisites))
        .collect();
    graph.insert(name.flag.clone(), wanted);
    check_graph(&graph, name)
}

/// Walks every chain through the changed flag: from each flag down, with the
/// length of the longest chain below it kept.
fn check_graph(graph: &BTreeMap<String, Vec<String>>, name: &FlagConfigName) -> Result<(), Error> {
    let mut lengths: BTreeMap<&str, usize> = BTreeMap::new();
    let mut path: BTreeSet<&str> = BTreeSet::new();
    for start in graph.keys() {
        // An explicit stack: a chain is as long as its writer likes.
        let mut stack = vec![(start.as_str(), 0)];
        while let Some((key, next)) = stack.pop() {
            let below = graph.get(key).map_or(&[][..], Vec::as_slice);
            if next == 0 && lengths.contains_key(key) {
                continue;
            }
            path.insert(key);
            let Some(child) = below.get(next) else {
                let longest = below
                    .iter()
                    .filter_map(|child| lengths.get(child.as_str()))
                    .max();
                lengths.insert(key, longest.map_or(0, |length| length + 1));
                path.remove(key);
                continue;
            };
            stack.push((key, next + 1));
            if path.contains(child.as_str()) {
                return Err(Error::precondition(
                    ErrorReason::PrerequisiteCycle,
                    name,
                    format!("prerequisites would form a cycle through {child:?}"),
                ));
            }
            stack.push((child, 0));
        }
    }
    if lengths
        .values()
        .any(|length| *length > PREREQUISITE_CHAIN_MAX)
    {
        return Err(Error::limit(
            "prerequisite_chain",
            PREREQUISITE_CHAIN_MAX,
            name,
            format!("a chain of prerequisites would be longer than {PREREQUISITE_CHAIN_MAX}"),
        ));
    }
    Ok(())
}

/// Segments must exist.
async fn check_segments(change: &mut Change, config: &FlagConfig) -> Result<(), Error> {
    let wanted: Vec<String> = references::segments(config).into_iter().collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let project = change.project()?;
    // What is no key is the key of none, and may hold what Postgres cannot keep.
    let is_key = |key: &&String| names::check_key("", key).is_ok();
    let known = sqlx::query_scalar!(
        "select key from segments where project_id = $1 and key = any($2)",
        project,
        &wanted.iter().filter(is_key).cloned().collect::<Vec<_>>(),
    )
    .fetch_all(change.connection())
    .await?;
    let missing = wanted.iter().find(|key| !known.contains(key));
    let Some(missing) = missing else {
        return Ok(());
    };
    let uses = |rule: &burgee_proto::admin::v1::FlagRule| {
        let only = FlagConfig {
            rules: vec![rule.clone()],
            ..FlagConfig::default()
        };
        references::segments(&only).contains(missing)
    };
    let at = config.rules.iter().position(uses).unwrap_or_default();
    Err(Error::invalid(
        format!("flag_config.rules[{at}].rule.condition"),
        format!("there is no segment {missing:?} in the project"),
    ))
}

#[cfg(test)]
mod tests {
    use burgee_proto::admin::v1::FlagRule;
    use burgee_proto::types::v1::{
        Clause, Condition, FlagType, Operator, Rule, Serve, Target, Variant, condition, serve,
    };
    use prost_types::Value;

    use super::*;

    fn graph(edges: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        let own = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        edges
            .iter()
            .map(|(key, below)| ((*key).to_owned(), own(below)))
            .collect()
    }

    fn name() -> FlagConfigName {
        FlagConfigName::parse("name", "projects/p/environments/e/flags/a").unwrap()
    }

    fn rule(id: &str, operator: Operator, values: &[&str]) -> FlagRule {
        let clause = Clause {
            attribute: "a".to_owned(),
            operator: operator.into(),
            values: values.iter().map(|value| Value::from(*value)).collect(),
            ..Clause::default()
        };
        let serve = serve::Kind::Variant("on".to_owned());
        FlagRule {
            rule: Some(Rule {
                id: id.to_owned(),
                condition: Some(Condition {
                    kind: Some(condition::Kind::Clause(clause)),
                }),
                serve: Some(Serve { kind: Some(serve) }),
                ..Rule::default()
            }),
            ..FlagRule::default()
        }
    }

    fn flag() -> Flag {
        let on = Variant {
            key: "on".to_owned(),
            value: Some(Value::from(true)),
            ..Variant::default()
        };
        Flag {
            r#type: FlagType::Boolean.into(),
            variants: vec![on],
            ..Flag::default()
        }
    }

    #[track_caller]
    fn refuses(field: &str, config: &FlagConfig) {
        match check_alone(&flag(), config).map_err(|error| error.within("flag_config")) {
            Err(Error::Invalid(violations)) => assert_eq!(violations[0].field, field),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn limits_are_named_by_their_fields() {
        let rules = |rules: Vec<FlagRule>| FlagConfig {
            rules,
            ..FlagConfig::default()
        };
        let plain = |id: &str| rule(id, Operator::Equals, &["x"]);
        assert!(check_alone(&flag(), &rules(vec![plain("a"), plain("b")])).is_ok());
        refuses(
            "flag_config.rules[1].rule.id",
            &rules(vec![plain("a"), plain("a")]),
        );
        let many = (0..201).map(|number| plain(&number.to_string())).collect();
        refuses("flag_config.rules", &rules(many));
        let long = rule("a", Operator::Equals, &["x"; 1_001]);
        refuses(
            "flag_config.rules[0].rule.condition.clause.values",
            &rules(vec![long]),
        );
        let target = Target {
            variant: "on".to_owned(),
            keys: vec!["k".to_owned(); 5_001],
            ..Target::default()
        };
        refuses(
            "flag_config.targets",
            &FlagConfig {
                targets: vec![target],
                ..FlagConfig::default()
            },
        );
        let large = "x".repeat(300 * 1024);
        let large = rule("a", Operator::Equals, &[large.as_str()]);
        refuses("flag_config", &rules(vec![large]));
    }

    #[test]
    fn a_disabled_rule_keeps_to_the_same() {
        let pattern = rule("a", Operator::Matches, &["(?=a)"]);
        let rules = vec![FlagRule {
            disabled: true,
            ..pattern
        }];
        let config = FlagConfig {
            rules,
            ..FlagConfig::default()
        };
        refuses(
            "flag_config.rules[0].rule.condition.clause.values[0]",
            &config,
        );
    }

    #[test]
    fn a_diamond_is_no_cycle() {
        let diamond = graph(&[("a", &["b", "c"]), ("b", &["d"]), ("c", &["d"])]);
        assert!(check_graph(&diamond, &name()).is_ok());
    }

    #[test]
    fn a_cycle_is_found_wherever_it_is_entered() {
        for cycle in [
            graph(&[("a", &["a"])]),
            graph(&[("a", &["b"]), ("b", &["a"])]),
            graph(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])]),
        ] {
            let found = check_graph(&cycle, &name());
            let reason = ErrorReason::PrerequisiteCycle;
            assert!(
                matches!(found, Err(Error::Precondition { reason: found, .. }) if found == reason),
                "{cycle:?}"
            );
        }
    }

    #[test]
    fn a_chain_ends_at_its_limit() {
        let chain = |length: usize| -> BTreeMap<String, Vec<String>> {
            (0..length)
                .map(|at| (format!("f{at:03}"), vec![format!("f{:03}", at + 1)]))
                .collect()
        };
        assert!(check_graph(&chain(PREREQUISITE_CHAIN_MAX), &name()).is_ok());
        assert!(check_graph(&chain(PREREQUISITE_CHAIN_MAX + 1), &name()).is_err());
    }
}
