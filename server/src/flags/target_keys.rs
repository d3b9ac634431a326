//! AddTargetKeys and RemoveTargetKeys.

use std::collections::BTreeSet;

use burgee_evaluator::limits::{KEY_BYTES_MAX, TARGET_KEYS_MAX};
use burgee_proto::admin::v1::operation::Part;
use burgee_proto::admin::v1::{
    AddTargetKeysRequest, AddTargetKeysResponse, FlagConfig, RemoveTargetKeysRequest,
    RemoveTargetKeysResponse, TargetKeysChange,
};

use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::FlagConfigName;

#[tonic::async_trait]
impl Mutation for AddTargetKeysRequest {
    mutation_fields!(AddTargetKeysResponse, etag);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Environment(
            FlagConfigName::parse("name", &self.name)?.environment(),
        ))
    }

    async fn apply(&self, change: &mut Change) -> Result<AddTargetKeysResponse, Error> {
        let name = FlagConfigName::parse("name", &self.name)?;
        let config = config(change, &name, &self.keys, &self.variant).await?;
        // Whoever is targeted elsewhere moves here: a first hit wins, so staying
        // there would make this call a lie.
        let keys: BTreeSet<&String> = self.keys.iter().collect();
        let others: BTreeSet<&String> = config
            .targets
            .iter()
            .map(|target| &target.variant)
            .collect();
        for variant in others
            .into_iter()
            .filter(|variant| **variant != self.variant)
        {
            let theirs = keys_of(&config, variant, &self.attribute);
            let moved = keys.iter().filter(|key| theirs.contains(key.as_str()));
            let moved = moved.map(|key| (*key).clone()).collect();
            apply(change, &name, variant, &self.attribute, (Vec::new(), moved)).await?;
        }
        let present = keys_of(&config, &self.variant, &self.attribute);
        let added = keys
            .into_iter()
            .filter(|key| !present.contains(key.as_str()))
            .cloned()
            .collect();
        apply(
            change,
            &name,
            &self.variant,
            &self.attribute,
            (added, Vec::new()),
        )
        .await?;
        Ok(AddTargetKeysResponse {
            flag_config: Some(change.show_config(&name)?),
            ..AddTargetKeysResponse::default()
        })
    }
}

#[tonic::async_trait]
impl Mutation for RemoveTargetKeysRequest {
    mutation_fields!(RemoveTargetKeysResponse, etag);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Environment(
            FlagConfigName::parse("name", &self.name)?.environment(),
        ))
    }

    async fn apply(&self, change: &mut Change) -> Result<RemoveTargetKeysResponse, Error> {
        let name = FlagConfigName::parse("name", &self.name)?;
        let config = config(change, &name, &self.keys, &self.variant).await?;
        let present = keys_of(&config, &self.variant, &self.attribute);
        let keys: BTreeSet<&String> = self.keys.iter().collect();
        let removed = keys
            .into_iter()
            .filter(|key| present.contains(key.as_str()))
            .cloned()
            .collect();
        apply(
            change,
            &name,
            &self.variant,
            &self.attribute,
            (Vec::new(), removed),
        )
        .await?;
        Ok(RemoveTargetKeysResponse {
            flag_config: Some(change.show_config(&name)?),
            ..RemoveTargetKeysResponse::default()
        })
    }
}

async fn config(
    change: &mut Change,
    name: &FlagConfigName,
    keys: &[String],
    variant: &str,
) -> Result<FlagConfig, Error> {
    if keys.is_empty() || keys.len() > TARGET_KEYS_MAX {
        return Err(Error::invalid(
            "keys",
            format!("give 1 to {TARGET_KEYS_MAX} keys"),
        ));
    }
    let bad = |key: &String| !(1..=KEY_BYTES_MAX).contains(&key.len());
    if let Some(at) = keys.iter().position(bad) {
        return Err(Error::invalid(
            format!("keys[{at}]"),
            format!("a key has 1 to {KEY_BYTES_MAX} bytes"),
        ));
    }
    let etag = change.common.etag.clone();
    let (entry, stored) = change.load_config(name).await?;
    stored.check_etag(name, &etag)?;
    let flag = entry.definition.after.as_ref();
    if !flag.is_some_and(|flag| flag.variants.iter().any(|known| known.key == variant)) {
        return Err(Error::invalid(
            "variant",
            format!("the flag has no variant {variant:?}"),
        ));
    }
    Ok(stored.message.clone())
}

fn keys_of<'a>(config: &'a FlagConfig, variant: &str, attribute: &str) -> BTreeSet<&'a str> {
    let targets = config.targets.iter();
    let mine = targets.filter(|target| target.variant == variant && target.attribute == attribute);
    mine.flat_map(|target| target.keys.iter().map(String::as_str))
        .collect()
}

async fn apply(
    change: &mut Change,
    name: &FlagConfigName,
    variant: &str,
    attribute: &str,
    (added, removed): (Vec<String>, Vec<String>),
) -> Result<(), Error> {
    if added.is_empty() && removed.is_empty() {
        return Ok(());
    }
    let operation = TargetKeysChange {
        variant: variant.to_owned(),
        attribute: attribute.to_owned(),
        added,
        removed,
    };
    let applied = change.apply_to_config(name, Part::TargetKeys(operation));
    applied.await.map_err(in_terms_of_the_request)
}

/// The keys alone are new: it is they that are too many.
fn in_terms_of_the_request(error: Error) -> Error {
    let Error::Invalid(mut violations) = error else {
        return error;
    };
    for violation in &mut violations {
        "keys".clone_into(&mut violation.field);
    }
    Error::Invalid(violations)
}
