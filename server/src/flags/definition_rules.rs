//! Whether a flag's definition is sound, by itself and with all that depends on
//! it in the locked environments.

use std::collections::BTreeSet;

use burgee_evaluator::limits::{FLAGS_MAX, JSON_VALUE_BYTES_MAX, VARIANTS_MAX};
use burgee_proto::admin::v1::Flag;
use burgee_proto::types::v1::{ErrorReason, FlagType, Variant};
use prost::Message as _;
use prost_types::value::Kind;
use prost_types::{Struct, Value};

use super::{config_rules, references};
use crate::change::Change;
use crate::error::Error;
use crate::names::{self, FlagName};
use crate::texts::Violations;

/// How deep a variant's value and metadata may be nested. What a change set tells
/// of them is nested deeper still, and decoders give up at 100 messages.
const JSON_DEPTH_MAX: usize = 24;
/// The most links of a flag.
const LINKS_MAX: usize = 32;
/// The longest address of a link, in bytes.
const URL_MAX: usize = 2_048;
/// The longest salt, in bytes.
const SALT_MAX: usize = 256;

/// Checks what a change made of a definition.
///
/// # Errors
/// [`Error::Invalid`] naming the field, or [`Error::Precondition`] naming what
/// stands in the way.
pub async fn check(change: &mut Change, name: &FlagName) -> Result<(), Error> {
    let Some(entry) = change.flags.0.get(&name.flag) else {
        return Ok(());
    };
    let before = entry
        .definition
        .before
        .as_ref()
        .map(|stored| stored.message.clone());
    let Some(flag) = entry.definition.after.clone() else {
        let archived = before.is_some_and(|flag| flag.archive_time.is_some());
        return archived.then_some(()).ok_or_else(|| {
            let reason = ErrorReason::FlagNotArchived;
            Error::precondition(reason, name, "archive the flag before it is deleted")
        });
    };
    check_alone(&flag, before.as_ref()).map_err(|error| error.within("flag"))?;

    let live = |flag: &Flag| flag.archive_time.is_none();
    let was_live = before.as_ref().is_some_and(live);
    if live(&flag) && !was_live {
        check_count(change, name).await?;
    }
    if was_live && !live(&flag) {
        check_no_dependants(change, name, None).await?;
    }
    if let Some(before) = &before {
        check_removed_variants(change, name, before, &flag).await?;
    }
    if live(&flag) {
        config_rules::check_all(change, name, !was_live).await?;
    }
    Ok(())
}

/// Checks what needs nothing but the definition.
pub(crate) fn check_alone(flag: &Flag, before: Option<&Flag>) -> Result<(), Error> {
    let mut violations = Violations::default();
    violations.extend(names::check_key("key", &flag.key))?;
    violations.display_name("display_name", &flag.display_name);
    violations.description("description", &flag.description);
    violations.display_name("owner", &flag.owner);
    violations.tags("tags", &flag.tags);
    violations.require(
        (1..=SALT_MAX).contains(&flag.salt.len()),
        "salt",
        format!("1 to {SALT_MAX} bytes"),
    );
    if let Some(metadata) = &flag.metadata {
        let good = metadata.encoded_len() <= JSON_VALUE_BYTES_MAX && is_json_object(metadata, 1);
        violations.require(
            good,
            "metadata",
            format!("give JSON of at most {JSON_VALUE_BYTES_MAX} bytes, nested at most {JSON_DEPTH_MAX} deep"),
        );
    }
    violations.require(
        flag.links.len() <= LINKS_MAX,
        "links",
        format!("at most {LINKS_MAX} links"),
    );
    for (at, link) in flag.links.iter().enumerate().take(LINKS_MAX) {
        violations.display_name(format!("links[{at}].title"), &link.title);
        let good = (link.url.starts_with("https://") || link.url.starts_with("http://"))
            && link.url.len() <= URL_MAX
            && !link
                .url
                .chars()
                .any(|character| character.is_control() || character == ' ');
        violations.require(
            good,
            format!("links[{at}].url"),
            "give an http or https address",
        );
    }
    let kind = FlagType::try_from(flag.r#type).unwrap_or_default();
    violations.require(
        kind != FlagType::Unspecified,
        "type",
        "give FLAG_TYPE_BOOLEAN, _STRING, _NUMBER or _JSON",
    );
    let same_type = before.is_none_or(|before| before.r#type == flag.r#type);
    violations.require(
        same_type,
        "type",
        "a flag keeps its type; make another flag",
    );
    check_variants(&mut violations, kind, &flag.variants)?;
    violations.finish()
}

fn check_variants(
    violations: &mut Violations,
    kind: FlagType,
    variants: &[Variant],
) -> Result<(), Error> {
    let count = variants.len();
    violations.require(
        count <= VARIANTS_MAX,
        "variants",
        format!("at most {VARIANTS_MAX} variants"),
    );
    let mut keys = BTreeSet::new();
    for (at, variant) in variants.iter().enumerate().take(VARIANTS_MAX) {
        let field = format!("variants[{at}]");
        violations.extend(names::check_key(&format!("{field}.key"), &variant.key))?;
        let first = keys.insert(variant.key.to_ascii_lowercase());
        violations.require(
            first,
            format!("{field}.key"),
            "another variant has this key; keys that differ by case alone count as one",
        );
        violations.display_name(format!("{field}.display_name"), &variant.display_name);
        violations.description(format!("{field}.description"), &variant.description);
        let value = variant.value.as_ref().and_then(|value| value.kind.as_ref());
        violations.require(
            is_of_type(kind, value),
            format!("{field}.value"),
            format!(
                "give a value of the flag's type, {}, nested at most {JSON_DEPTH_MAX} deep",
                kind.as_str_name()
            ),
        );
        let bytes = variant
            .value
            .as_ref()
            .map_or(0, prost::Message::encoded_len);
        violations.require(
            bytes <= JSON_VALUE_BYTES_MAX,
            format!("{field}.value"),
            format!("at most {JSON_VALUE_BYTES_MAX} bytes"),
        );
    }
    Ok(())
}

fn is_of_type(kind: FlagType, value: Option<&Kind>) -> bool {
    match (kind, value) {
        (FlagType::Boolean, Some(Kind::BoolValue(_)))
        | (FlagType::String, Some(Kind::StringValue(_))) => true,
        (FlagType::Number, Some(Kind::NumberValue(number))) => number.is_finite(),
        (FlagType::Json, Some(value)) => is_json(value, 1),
        _ => false,
    }
}

/// JSON has no NaN, no infinities, and no value that is not there; nor is it
/// nested deeper than [`JSON_DEPTH_MAX`].
fn is_json(value: &Kind, depth: usize) -> bool {
    match value {
        Kind::NumberValue(number) => number.is_finite(),
        Kind::StructValue(object) => is_json_object(object, depth),
        Kind::ListValue(list) => depth <= JSON_DEPTH_MAX && all_json(&list.values, depth + 1),
        Kind::NullValue(_) | Kind::StringValue(_) | Kind::BoolValue(_) => true,
    }
}

fn is_json_object(object: &Struct, depth: usize) -> bool {
    depth <= JSON_DEPTH_MAX && all_json(object.fields.values(), depth + 1)
}

fn all_json<'a>(values: impl IntoIterator<Item = &'a Value>, depth: usize) -> bool {
    let mut kinds = values.into_iter().map(|value| value.kind.as_ref());
    kinds.all(|kind| kind.is_some_and(|kind| is_json(kind, depth)))
}

/// Each environment of a project ships every flag that is not archived.
async fn check_count(change: &mut Change, name: &FlagName) -> Result<(), Error> {
    let project = change.project()?;
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from flags where project_id = $1 and archived_at is null"#,
        project,
    )
    .fetch_one(change.connection())
    .await?;
    if usize::try_from(count).is_ok_and(|count| count < FLAGS_MAX) {
        return Ok(());
    }
    Err(Error::limit(
        "flags",
        FLAGS_MAX,
        name.project(),
        format!("the project has {FLAGS_MAX} flags that are not archived; archive one first"),
    ))
}

/// Refuses if a flag that is not archived has this one as a prerequisite
/// (wanting `variant`, if one is given).
async fn check_no_dependants(
    change: &mut Change,
    name: &FlagName,
    variant: Option<&str>,
) -> Result<(), Error> {
    let environments: Vec<_> = change.heads().keys().copied().collect();
    let dependants = sqlx::query!(
        "select c.environment_id, f.key, c.body from flag_configs c
         join flags f on f.id = c.flag_id and f.archived_at is null
         where c.environment_id = any($1) and c.prerequisites <> '{}' and $2 = any(c.prerequisites)
         order by f.key",
        &environments,
        name.flag,
    )
    .fetch_all(change.connection())
    .await?;
    for dependant in dependants {
        let config = burgee_proto::admin::v1::FlagConfig::decode(dependant.body.as_slice())?;
        let wants = |variant: &str| {
            let mut prerequisites = config.prerequisites.iter();
            prerequisites.any(|wanted| {
                wanted.flag_key == name.flag && wanted.variants.iter().any(|key| key == variant)
            })
        };
        if variant.is_none_or(wants) {
            let head = change.heads().get(&dependant.environment_id);
            let subject = head.map_or_else(
                || dependant.key.clone(),
                |head| head.name.flag(&dependant.key).to_string(),
            );
            let reason = match variant {
                Some(_) => ErrorReason::VariantInUse,
                None => ErrorReason::PrerequisiteInUse,
            };
            let description =
                format!("{subject} has the flag as a prerequisite; change that first");
            return Err(Error::precondition(reason, subject, description));
        }
    }
    Ok(())
}

/// Refuses to remove a variant that a configuration serves or a prerequisite
/// wants.
async fn check_removed_variants(
    change: &mut Change,
    name: &FlagName,
    before: &Flag,
    after: &Flag,
) -> Result<(), Error> {
    let kept: BTreeSet<&str> = after
        .variants
        .iter()
        .map(|variant| variant.key.as_str())
        .collect();
    let removed = before
        .variants
        .iter()
        .filter(|variant| !kept.contains(variant.key.as_str()));
    for variant in removed {
        let configs = change.flags.0.get(&name.flag).map(|entry| &entry.configs);
        for (environment, slot) in configs.into_iter().flatten() {
            let place = slot
                .after
                .as_ref()
                .and_then(|config| references::use_of_variant(config, &variant.key));
            let (Some(place), Some(head)) = (place, change.heads.get(environment)) else {
                continue;
            };
            let subject = head.name.flag(&name.flag);
            let description = format!(
                "{subject} uses the variant {} in {place}; change that first",
                variant.key
            );
            return Err(Error::precondition(
                ErrorReason::VariantInUse,
                subject,
                description,
            ));
        }
        check_no_dependants(change, name, Some(&variant.key)).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> Kind {
        let around = |inner: Kind| {
            Kind::StructValue(Struct {
                fields: [("a".to_owned(), Value::from(inner))].into(),
            })
        };
        (0..depth).fold(Kind::BoolValue(true), |inner, _| around(inner))
    }

    #[test]
    fn json_is_nested_up_to_its_limit() {
        assert!(is_json(&nested(JSON_DEPTH_MAX), 1));
        assert!(!is_json(&nested(JSON_DEPTH_MAX + 1), 1));
    }

    #[test]
    fn what_json_cannot_say_is_found_wherever_it_is() {
        let list = |value: Value| {
            Kind::ListValue(prost_types::ListValue {
                values: vec![value],
            })
        };
        for bad in [
            Value::from(f64::NAN),
            Value::from(f64::INFINITY),
            Value { kind: None },
        ] {
            assert!(!is_json(&list(bad.clone()), 1));
            let metadata = Struct {
                fields: [("a".to_owned(), bad)].into(),
            };
            assert!(!is_json_object(&metadata, 1));
        }
    }
}
