//! What is refused when it is written. An evaluator does not check these: it
//! reads whatever it is sent.

use std::collections::HashSet;

use burgee_proto::types::v1::condition::Kind;
use burgee_proto::types::v1::{Condition, Flag, Segment, Variant};
use prost::Message;

use crate::problem::Problem;

/// Flags in an environment.
pub const FLAGS_MAX: usize = 5_000;
/// Rules of a flag.
pub const RULES_MAX: usize = 200;
/// Conditions of a rule or segment, leaves and branches together.
pub const CONDITIONS_MAX: usize = 64;
/// How deep conditions may be nested; a leaf alone is 1.
pub const CONDITION_DEPTH_MAX: usize = 8;
/// Values of a clause.
pub const CLAUSE_VALUES_MAX: usize = 1_000;
/// Variants of a flag.
pub const VARIANTS_MAX: usize = 100;
/// Bytes of a JSON value, as it is encoded.
pub const JSON_VALUE_BYTES_MAX: usize = 64 * 1024;
/// Keys over all targets of a flag.
pub const TARGET_KEYS_MAX: usize = 5_000;
/// Keys of a segment, included and excluded together.
pub const SEGMENT_KEYS_MAX: usize = 200_000;
/// A segment with more keys ships them in parts.
pub const SEGMENT_WHOLE_KEYS_MAX: usize = 1_000;
/// Bytes of a key.
pub const KEY_BYTES_MAX: usize = 256;
/// Prerequisites of a flag.
pub const PREREQUISITES_MAX: usize = 16;
/// Prerequisites one after the other.
pub const PREREQUISITE_CHAIN_MAX: usize = 16;
/// Bytes of an item's body.
pub const ITEM_BYTES_MAX: usize = crate::receiver::BODY_BYTES_MAX;
/// Bytes of all items of an environment.
pub const RULESET_BYTES_MAX: usize = 20 * 1024 * 1024;

/// Checks one flag: numbers, lengths, and keys and ids that must differ.
///
/// # Errors
///
/// The first limit that is exceeded, and where.
pub fn check_flag_limits(flag: &Flag) -> Result<(), Problem> {
    check_key("key", &flag.key)?;
    check_variants(&flag.variants)?;
    check_count("prerequisites", flag.prerequisites.len(), PREREQUISITES_MAX)?;
    for (index, prerequisite) in flag.prerequisites.iter().enumerate() {
        let field = format!("prerequisites[{index}]");
        check_count(
            &format!("{field}.variants"),
            prerequisite.variants.len(),
            VARIANTS_MAX,
        )?;
    }
    check_targets(flag)?;
    check_count("rules", flag.rules.len(), RULES_MAX)?;
    let mut ids = HashSet::new();
    for (index, rule) in flag.rules.iter().enumerate() {
        let field = format!("rules[{index}]");
        check_key("id", &rule.id).map_err(|problem| problem.within(&field))?;
        if !ids.insert(&rule.id) {
            let message = format!("another rule has the id `{}`; choose a new one", rule.id);
            return Err(Problem::new(format!("{field}.id"), message));
        }
        if let Some(condition) = &rule.condition {
            check_condition_limits(condition)
                .map_err(|problem| problem.within("condition").within(&field))?;
        }
    }
    check_item(flag)
}

/// Checks one segment with whole lists. Long ones are shipped in parts: then the
/// rest must fit an item.
///
/// # Errors
///
/// The first limit that is exceeded, and where.
pub fn check_segment_limits(segment: &Segment) -> Result<(), Problem> {
    check_key("key", &segment.key)?;
    let keys = segment.included.len() + segment.excluded.len();
    check_count("included", keys, SEGMENT_KEYS_MAX)?;
    check_keys("included", &segment.included)?;
    check_keys("excluded", &segment.excluded)?;
    if let Some(condition) = &segment.condition {
        check_condition_limits(condition).map_err(|problem| problem.within("condition"))?;
    }
    if keys <= SEGMENT_WHOLE_KEYS_MAX {
        return check_item(segment);
    }
    check_item(&Segment {
        key: segment.key.clone(),
        attribute: segment.attribute.clone(),
        condition: segment.condition.clone(),
        ..Segment::default()
    })
}

/// Checks the condition of a rule or segment.
///
/// # Errors
///
/// The first limit that is exceeded, and where.
pub fn check_condition_limits(condition: &Condition) -> Result<(), Problem> {
    check_nested(condition, 1, &mut 0)
}

fn check_variants(variants: &[Variant]) -> Result<(), Problem> {
    check_count("variants", variants.len(), VARIANTS_MAX)?;
    let mut keys = HashSet::new();
    for (index, variant) in variants.iter().enumerate() {
        let field = format!("variants[{index}]");
        check_key("key", &variant.key).map_err(|problem| problem.within(&field))?;
        if !keys.insert(&variant.key) {
            let message = format!("another variant has the key `{}`", variant.key);
            return Err(Problem::new(format!("{field}.key"), message));
        }
        let bytes = variant.value.as_ref().map_or(0, Message::encoded_len);
        if bytes > JSON_VALUE_BYTES_MAX {
            let message = format!("{bytes} bytes; at most {JSON_VALUE_BYTES_MAX}");
            return Err(Problem::new(format!("{field}.value"), message));
        }
    }
    Ok(())
}

fn check_targets(flag: &Flag) -> Result<(), Problem> {
    let keys: usize = flag.targets.iter().map(|target| target.keys.len()).sum();
    if keys > TARGET_KEYS_MAX {
        let message = format!(
            "the targets have {keys} keys together, at most {TARGET_KEYS_MAX}; use a segment"
        );
        return Err(Problem::new("targets", message));
    }
    // An empty target is allowed, and must not be a way around the limit.
    check_count("targets", flag.targets.len(), TARGET_KEYS_MAX)?;
    for (index, target) in flag.targets.iter().enumerate() {
        check_keys("keys", &target.keys)
            .map_err(|problem| problem.within(format!("targets[{index}]")))?;
    }
    Ok(())
}

/// The recursion ends at [`CONDITION_DEPTH_MAX`].
fn check_nested(condition: &Condition, depth: usize, count: &mut usize) -> Result<(), Problem> {
    *count += 1;
    if *count > CONDITIONS_MAX {
        let message = format!("more than {CONDITIONS_MAX} conditions; move some to a segment");
        return Err(Problem::new("", message));
    }
    if depth > CONDITION_DEPTH_MAX {
        let message = format!("nested deeper than {CONDITION_DEPTH_MAX}; flatten it");
        return Err(Problem::new("", message));
    }
    let mut check_list = |field: &str, conditions: &[Condition]| {
        let mut conditions = conditions.iter().enumerate();
        conditions.try_for_each(|(index, condition)| {
            check_nested(condition, depth + 1, count)
                .map_err(|problem| problem.within(format!("{field}.conditions[{index}]")))
        })
    };
    match &condition.kind {
        None => Ok(()),
        Some(Kind::Clause(clause)) => {
            check_count("clause.values", clause.values.len(), CLAUSE_VALUES_MAX)
        }
        Some(Kind::Segment(segment)) => {
            check_count("segment.keys", segment.keys.len(), CLAUSE_VALUES_MAX)
        }
        Some(Kind::All(all)) => check_list("all", &all.conditions),
        Some(Kind::Any(any)) => check_list("any", &any.conditions),
        Some(Kind::Not(not)) => match &not.condition {
            Some(inner) => check_nested(inner, depth + 1, count)
                .map_err(|problem| problem.within("not.condition")),
            None => Ok(()),
        },
    }
}

fn check_keys(field: &str, keys: &[String]) -> Result<(), Problem> {
    let mut keys = keys.iter().enumerate();
    keys.try_for_each(|(index, key)| {
        let field = format!("{field}[{index}]");
        if key.is_empty() {
            return Err(Problem::new(field, "a key is not empty"));
        }
        check_key(&field, key)
    })
}

fn check_key(field: &str, key: &str) -> Result<(), Problem> {
    if key.len() > KEY_BYTES_MAX {
        let message = format!("{} bytes; at most {KEY_BYTES_MAX}", key.len());
        return Err(Problem::new(field, message));
    }
    Ok(())
}

fn check_count(field: &str, count: usize, maximum: usize) -> Result<(), Problem> {
    if count > maximum {
        let message = format!("{count} of them; at most {maximum}");
        return Err(Problem::new(field, message));
    }
    Ok(())
}

fn check_item(message: &impl Message) -> Result<(), Problem> {
    let bytes = message.encoded_len();
    if bytes > ITEM_BYTES_MAX {
        let message = format!("{bytes} bytes once encoded; at most {ITEM_BYTES_MAX}");
        return Err(Problem::new("", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use burgee_proto::types::v1::{AllOf, Clause, NotOf, Rule, Target};

    use super::*;

    fn leaf() -> Condition {
        condition(Kind::Clause(Clause::default()))
    }

    fn condition(kind: Kind) -> Condition {
        Condition { kind: Some(kind) }
    }

    fn not(depth: usize) -> Condition {
        (1..depth).fold(leaf(), |inner, _| {
            let inner = Some(Box::new(inner));
            condition(Kind::Not(Box::new(NotOf { condition: inner })))
        })
    }

    fn all(leaves: usize) -> Condition {
        let conditions = vec![leaf(); leaves];
        condition(Kind::All(AllOf { conditions }))
    }

    fn field(checked: Result<(), Problem>) -> Option<String> {
        checked.err().map(|problem| problem.field)
    }

    #[test]
    fn conditions_are_counted_with_their_branches() {
        assert_eq!(check_condition_limits(&not(CONDITION_DEPTH_MAX)), Ok(()));
        let deep = field(check_condition_limits(&not(CONDITION_DEPTH_MAX + 1)));
        assert_eq!(deep.unwrap(), ["not.condition"; 8].join("."));
        assert_eq!(check_condition_limits(&all(CONDITIONS_MAX - 1)), Ok(()));
        let many = field(check_condition_limits(&all(CONDITIONS_MAX)));
        assert_eq!(many.unwrap(), "all.conditions[63]");
    }

    #[test]
    fn a_flag_names_the_field_that_is_over_a_limit() {
        let rule = |id: &str| Rule {
            id: id.into(),
            ..Rule::default()
        };
        let variant = |key: &str| Variant {
            key: key.into(),
            ..Variant::default()
        };
        let target = |keys: usize| Target {
            keys: vec!["k".into(); keys],
            ..Target::default()
        };
        let many_values = Condition {
            kind: Some(Kind::Clause(Clause {
                values: vec![prost_types::Value::default(); CLAUSE_VALUES_MAX + 1],
                ..Clause::default()
            })),
        };
        for (flag, wanted) in [
            (
                Flag {
                    key: "k".repeat(257),
                    ..Flag::default()
                },
                "key",
            ),
            (
                Flag {
                    variants: vec![variant("a"), variant("a")],
                    ..Flag::default()
                },
                "variants[1].key",
            ),
            (
                Flag {
                    rules: vec![rule("a"), rule("b"), rule("a")],
                    ..Flag::default()
                },
                "rules[2].id",
            ),
            (
                Flag {
                    targets: vec![target(5000), target(1)],
                    ..Flag::default()
                },
                "targets",
            ),
            (
                Flag {
                    variants: vec![Variant {
                        value: Some(
                            prost_types::value::Kind::StringValue("x".repeat(JSON_VALUE_BYTES_MAX))
                                .into(),
                        ),
                        ..variant("a")
                    }],
                    ..Flag::default()
                },
                "variants[0].value",
            ),
            (
                Flag {
                    rules: vec![Rule {
                        condition: Some(many_values),
                        ..rule("a")
                    }],
                    ..Flag::default()
                },
                "rules[0].condition.clause.values",
            ),
            (
                Flag {
                    targets: vec![Target {
                        keys: vec!["k".repeat(257)],
                        ..Target::default()
                    }],
                    ..Flag::default()
                },
                "targets[0].keys[0]",
            ),
            (
                Flag {
                    off_variant: "x".repeat(ITEM_BYTES_MAX),
                    ..Flag::default()
                },
                "",
            ),
        ] {
            assert_eq!(field(check_flag_limits(&flag)).as_deref(), Some(wanted));
        }
        let fits = Flag {
            variants: vec![variant("a"), variant("b")],
            rules: vec![rule("a"), rule("b")],
            targets: vec![target(TARGET_KEYS_MAX)],
            ..Flag::default()
        };
        assert_eq!(check_flag_limits(&fits), Ok(()));
    }

    #[test]
    fn a_segment_names_the_field_that_is_over_a_limit() {
        let segment = |included: usize, excluded: usize| Segment {
            included: vec!["i".into(); included],
            excluded: vec!["e".into(); excluded],
            ..Segment::default()
        };
        assert_eq!(check_segment_limits(&segment(100_000, 100_000)), Ok(()));
        let many = field(check_segment_limits(&segment(100_000, 100_001)));
        assert_eq!(many.as_deref(), Some("included"));
        let deep = Segment {
            condition: Some(not(9)),
            ..Segment::default()
        };
        assert!(
            field(check_segment_limits(&deep))
                .unwrap()
                .starts_with("condition.not")
        );
    }
}
