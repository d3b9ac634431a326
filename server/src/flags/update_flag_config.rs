//! UpdateFlagConfig.

use std::collections::BTreeMap;

use burgee_proto::admin::v1::operation::Part;
use burgee_proto::admin::v1::{
    FlagConfig, FlagConfigChange, UpdateFlagConfigRequest, UpdateFlagConfigResponse,
};
use burgee_proto::types::v1::{Rule, Serve, Split, serve};

use super::rerandomize_rollout::{moved_weight, warning};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::FlagConfigName;
use crate::random;

/// What of a configuration can be changed here; `enabled` has its own method.
const CHANGEABLE: &[&str] = &[
    "off_variant",
    "prerequisites",
    "exclusion_group",
    "targets",
    "rules",
    "fallthrough",
];

fn name(request: &UpdateFlagConfigRequest) -> Result<FlagConfigName, Error> {
    let name = request
        .flag_config
        .as_ref()
        .map_or("", |config| &config.name);
    FlagConfigName::parse("flag_config.name", name)
}

#[tonic::async_trait]
impl Mutation for UpdateFlagConfigRequest {
    mutation_fields!(UpdateFlagConfigResponse, etag in flag_config);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Environment(name(self)?.environment()))
    }

    async fn apply(&self, change: &mut Change) -> Result<UpdateFlagConfigResponse, Error> {
        let name = name(self)?;
        let etag = change.common.etag.clone();
        let (entry, stored) = change.load_config(&name).await?;
        stored.demand_etag(&name, &etag)?;
        let salt = entry
            .definition
            .after
            .as_ref()
            .map(|flag| flag.salt.clone())
            .unwrap_or_default();
        let before = stored.message.clone();
        let update = self.flag_config.clone().unwrap_or_default();
        let mask = self.update_mask.as_ref();
        let mut after = change
            .app
            .descriptors
            .merge(&before, &update, mask, CHANGEABLE)?;
        fill_in(&mut after, &before, &salt)?;
        for (place, moved) in divided_anew(&before, &after) {
            change.warn(format!("{place}: {}", warning(moved)));
        }
        let operation = FlagConfigChange {
            before: Some(FlagConfig {
                enabled: false,
                ..before
            }),
            after: Some(FlagConfig {
                enabled: false,
                ..after
            }),
        };
        change
            .apply_to_config(&name, Part::FlagConfig(operation))
            .await?;
        Ok(UpdateFlagConfigResponse {
            flag_config: Some(change.show_config(&name)?),
            ..UpdateFlagConfigResponse::default()
        })
    }
}

/// Gives rules without an id one, and splits and gates without a salt the one
/// that the same rule (by id) or fallthrough has, or else the flag's.
pub(crate) fn fill_in(
    config: &mut FlagConfig,
    before: &FlagConfig,
    salt: &str,
) -> Result<(), Error> {
    let rules = before.rules.iter().filter_map(|rule| rule.rule.as_ref());
    let known: BTreeMap<&str, &Rule> = rules.map(|rule| (rule.id.as_str(), rule)).collect();
    for rule in config
        .rules
        .iter_mut()
        .filter_map(|rule| rule.rule.as_mut())
    {
        if rule.id.is_empty() {
            rule.id = random::identifier()?;
        }
        let same = known.get(rule.id.as_str());
        fill_in_split(
            &mut rule.serve,
            same.and_then(|rule| rule.serve.as_ref()),
            salt,
        );
        if let Some(traffic) = rule
            .traffic
            .as_mut()
            .filter(|traffic| traffic.salt.is_empty())
        {
            let kept = same
                .and_then(|rule| rule.traffic.as_ref())
                .map(|traffic| traffic.salt.clone());
            // Apart from the splits' salt, so that gate and split are independent.
            traffic.salt = kept.unwrap_or_else(|| format!("{salt}.gate"));
        }
    }
    fill_in_split(&mut config.fallthrough, before.fallthrough.as_ref(), salt);
    Ok(())
}

fn fill_in_split(serve: &mut Option<Serve>, before: Option<&Serve>, salt: &str) {
    let Some(Serve {
        kind: Some(serve::Kind::Split(split)),
    }) = serve
    else {
        return;
    };
    if split.salt.is_empty() {
        let kept = match before.and_then(|serve| serve.kind.as_ref()) {
            Some(serve::Kind::Split(before)) if !before.salt.is_empty() => {
                Some(before.salt.clone())
            }
            _ => None,
        };
        split.salt = kept.unwrap_or_else(|| salt.to_owned());
    }
}

/// The splits that there were before, of the fallthrough and of rules by their
/// ids, which now hash something else, with the weight that moves.
fn divided_anew(before: &FlagConfig, after: &FlagConfig) -> Vec<(String, u64)> {
    let (before, after) = (splits(before), splits(after));
    let same_place = after.into_iter().filter_map(|(place, after)| {
        let before = before.get(&place)?;
        let hashed = |split: &Split| (split.salt.clone(), split.bucket_by.clone(), split.hash);
        let differ = hashed(before) != hashed(after);
        differ.then(|| (place, moved_weight(&before.parts, &after.parts)))
    });
    same_place.collect()
}

fn splits(config: &FlagConfig) -> BTreeMap<String, &Split> {
    let rules = config.rules.iter().filter_map(|rule| rule.rule.as_ref());
    let rules = rules.map(|rule| (format!("rule {}", rule.id), rule.serve.as_ref()));
    let serves = rules.chain([("fallthrough".to_owned(), config.fallthrough.as_ref())]);
    let splits = serves.filter_map(|(place, serve)| match serve?.kind.as_ref()? {
        serve::Kind::Split(split) => Some((place, split)),
        serve::Kind::Variant(_) => None,
    });
    splits.collect()
}

#[cfg(test)]
mod tests {
    use burgee_proto::admin::v1::FlagRule;
    use burgee_proto::types::v1::Traffic;

    use super::*;

    fn split(salt: &str) -> Option<Serve> {
        let split = Split {
            salt: salt.to_owned(),
            ..Split::default()
        };
        Some(Serve {
            kind: Some(serve::Kind::Split(split)),
        })
    }

    fn rule(id: &str, gate: &str, serve: Option<Serve>) -> FlagRule {
        let traffic = Some(Traffic {
            salt: gate.to_owned(),
            ..Traffic::default()
        });
        let rule = Rule {
            id: id.to_owned(),
            traffic,
            serve,
            ..Rule::default()
        };
        FlagRule {
            rule: Some(rule),
            ..FlagRule::default()
        }
    }

    fn salts(config: &FlagConfig) -> Vec<String> {
        let split =
            |serve: &Option<Serve>| match serve.as_ref().and_then(|serve| serve.kind.as_ref()) {
                Some(serve::Kind::Split(split)) => split.salt.clone(),
                _ => String::new(),
            };
        let rules = config.rules.iter().filter_map(|rule| rule.rule.as_ref());
        let gate = |rule: &Rule| {
            rule.traffic
                .as_ref()
                .map(|gate| gate.salt.clone())
                .unwrap_or_default()
        };
        let mut salts: Vec<String> = rules
            .flat_map(|rule| [gate(rule), split(&rule.serve)])
            .collect();
        salts.push(split(&config.fallthrough));
        salts
    }

    fn config(rules: Vec<FlagRule>, fallthrough: Option<Serve>) -> FlagConfig {
        FlagConfig {
            rules,
            fallthrough,
            ..FlagConfig::default()
        }
    }

    #[test]
    fn a_salt_that_is_left_out_is_the_flags_and_that_of_a_gate_is_apart() {
        let mut new = config(vec![rule("r", "", split(""))], split(""));
        fill_in(&mut new, &FlagConfig::default(), "flag").unwrap();
        assert_eq!(salts(&new), ["flag.gate", "flag", "flag"]);
    }

    #[test]
    fn a_salt_that_is_left_out_is_the_one_the_same_rule_had() {
        let before = config(
            vec![rule("r", "g", split("s")), rule("q", "h", split("t"))],
            split("f"),
        );
        let mut moved = config(
            vec![rule("q", "", split("")), rule("r", "", split(""))],
            split(""),
        );
        fill_in(&mut moved, &before, "flag").unwrap();
        assert_eq!(salts(&moved), ["h", "t", "g", "s", "f"]);
    }

    #[test]
    fn a_salt_that_is_given_is_kept() {
        let before = config(vec![rule("r", "g", split("s"))], split("f"));
        let mut given = config(vec![rule("r", "1", split("2"))], split("3"));
        fill_in(&mut given, &before, "flag").unwrap();
        assert_eq!(salts(&given), ["1", "2", "3"]);
    }

    #[test]
    fn a_rule_without_an_id_gets_one_of_its_own() {
        let mut new = config(vec![rule("", "", None), rule("", "", None)], None);
        fill_in(&mut new, &FlagConfig::default(), "flag").unwrap();
        let ids: Vec<&str> = new
            .rules
            .iter()
            .filter_map(|rule| rule.rule.as_ref())
            .map(|rule| rule.id.as_str())
            .collect();
        assert_eq!(ids.len(), 2);
        assert!(ids.iter().all(|id| id.len() == 20) && ids.first() != ids.last());
    }
}
