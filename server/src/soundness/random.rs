//! Random definitions, configurations and segments: mostly as people would write
//! them, with a piece of nonsense now and then.

use burgee_proto::admin::v1::{Flag, FlagConfig, FlagRule};
use burgee_proto::types::v1::{
    AllOf, AnyOf, Clause, Condition, FlagType, NotOf, Operator, Prerequisite, Rule, SegmentMatch,
    Serve, Split, SplitPart, Target, Traffic, Variant, condition, serve,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

/// One in so many choices is one that makes no sense.
const NONSENSE_ONE_IN: u32 = 80;
const ATTRIBUTES: &[&str] = &["plan", "user.seats", "é", "targetingKey"];
const KEYS: &[&str] = &["on", "off", "third"];

/// One of `good`, or now and then of `bad`.
fn mostly<T: Clone + std::fmt::Debug + 'static>(
    good: Vec<T>,
    bad: Vec<T>,
) -> impl Strategy<Value = T> {
    prop_oneof![NONSENSE_ONE_IN => select(good), 1 => select(bad)]
}

fn texts(good: &[&str], bad: &[&str]) -> (Vec<Kind>, Vec<Kind>) {
    let kinds = |all: &[&str]| {
        let texts = all.iter().map(|it| Kind::StringValue((*it).to_owned()));
        texts.collect::<Vec<_>>()
    };
    let mut bad = kinds(bad);
    bad.extend([Kind::NullValue(0), Kind::NumberValue(f64::NAN)]);
    (kinds(good), bad)
}

/// What each operator takes, and what it does not.
fn values_of(operator: Operator) -> (Vec<Kind>, Vec<Kind>) {
    let numbers = || {
        let numbers = [0.0, -0.0, 0.5, 1e300, -9_007_199_254_740_993.0];
        let bad = texts(&["1"], &[]);
        (
            numbers.map(Kind::NumberValue).to_vec(),
            [bad.0, bad.1].concat(),
        )
    };
    match operator {
        Operator::Matches => texts(
            &[
                "a",
                "^a",
                "b$",
                r"(?i)[a-z]+\d{2,3}",
                "(é|日)?",
                r"\.\{\s",
                "[^-a]",
                "[&~^]",
            ],
            &[
                "",
                "(?=a)",
                "[z-a]",
                "a{3,2}",
                "a**",
                r"\p{L}",
                "{",
                "[[:alpha:]]",
            ],
        ),
        Operator::InCidr => texts(
            &[
                "10.0.0.1",
                "0.0.0.0/0",
                "2001:db8::/32",
                "::ffff:10.0.0.0/104",
                "::1",
            ],
            &[
                "10.0.0.0/33",
                "010.0.0.1",
                "localhost",
                "::ffff:10.0.0.0/8",
                "fe80::1%eth0",
            ],
        ),
        Operator::SemverEqual
        | Operator::SemverLess
        | Operator::SemverLessOrEqual
        | Operator::SemverGreater
        | Operator::SemverGreaterOrEqual => texts(
            &["1", "v1.2", "1.2.0-rc.1+build", "1-rc"],
            &["01.2", "latest", "1.2.3.4", "1234567890123456"],
        ),
        Operator::Before | Operator::After => {
            let times = ["2026-11-22T12:00:00Z", "0000-01-01t00:00:00.5+23:59"];
            let (mut good, bad) = texts(&times, &["2026-11-22", "2026-11-22T24:00:00Z"]);
            good.extend(numbers().0);
            (good, bad)
        }
        Operator::LessThan
        | Operator::LessOrEqual
        | Operator::GreaterThan
        | Operator::GreaterOrEqual => numbers(),
        Operator::Contains | Operator::StartsWith | Operator::EndsWith => {
            let (good, mut bad) = texts(&["", "pro", "日本"], &[]);
            bad.push(Kind::NumberValue(1.0));
            (good, bad)
        }
        Operator::Equals | Operator::Exists | Operator::Unspecified => {
            let (mut good, mut bad) = texts(&["", "pro", "é"], &[]);
            good.extend([Kind::BoolValue(true), Kind::NumberValue(-0.0)]);
            bad.push(Kind::ListValue(ListValue::default()));
            (good, bad)
        }
    }
}

fn clause() -> impl Strategy<Value = Condition> {
    let operators = (1..).map_while(|number| Operator::try_from(number).ok());
    mostly(operators.collect(), vec![Operator::Unspecified])
        .prop_flat_map(|operator| {
            let (good, bad) = values_of(operator);
            let number = mostly(vec![i32::from(operator)], vec![99]);
            let attribute = mostly(ATTRIBUTES.to_vec(), vec![""]);
            (
                attribute,
                number,
                vec(mostly(good, bad), 0..4),
                any::<bool>(),
            )
        })
        .prop_map(|(attribute, operator, values, ignore_case)| {
            condition(condition::Kind::Clause(Clause {
                attribute: attribute.to_owned(),
                operator,
                values: values.into_iter().map(Value::from).collect(),
                ignore_case,
            }))
        })
}

fn condition(kind: condition::Kind) -> Condition {
    Condition { kind: Some(kind) }
}

/// A tree of conditions, with memberships where `of_rules`.
pub(super) fn conditions(of_rules: bool) -> impl Strategy<Value = Condition> {
    let membership = vec(select(vec!["beta", "gone"]), 0..3).prop_map(|keys| {
        let keys = keys.into_iter().map(str::to_owned).collect();
        condition(condition::Kind::Segment(SegmentMatch { keys }))
    });
    let nothing = Just(Condition { kind: None });
    let memberships = if of_rules { 20 } else { 1 };
    let leaf = prop_oneof![
        NONSENSE_ONE_IN => clause(),
        memberships => membership,
        1 => nothing,
    ];
    leaf.prop_recursive(9, 70, 8, |inner| {
        let list = vec(inner.clone(), 0..8);
        prop_oneof![
            list.clone()
                .prop_map(|conditions| { condition(condition::Kind::All(AllOf { conditions })) }),
            list.prop_map(|conditions| condition(condition::Kind::Any(AnyOf { conditions }))),
            inner.prop_map(|inner| {
                let condition = Some(Box::new(inner));
                self::condition(condition::Kind::Not(Box::new(NotOf { condition })))
            }),
        ]
    })
}

fn variant_key() -> impl Strategy<Value = String> {
    mostly(KEYS.to_vec(), vec!["gone", ""]).prop_map(str::to_owned)
}

fn bucket_by() -> impl Strategy<Value = Vec<String>> {
    vec(
        mostly(ATTRIBUTES.to_vec(), vec![""]).prop_map(str::to_owned),
        0..3,
    )
}

fn salt() -> impl Strategy<Value = String> {
    select(vec!["", "salt", "日本", "a:b"]).prop_map(str::to_owned)
}

fn hash() -> impl Strategy<Value = i32> {
    mostly((0..=4).collect(), vec![99, -1])
}

fn serves() -> impl Strategy<Value = Serve> {
    let weights = mostly(
        vec![
            vec![100_000],
            vec![0, 50_000, 50_000],
            vec![1, 99_999],
            vec![25_000; 4],
        ],
        vec![
            vec![],
            vec![99_999],
            vec![-1, 100_001],
            vec![i32::MAX, i32::MAX],
        ],
    );
    let parts = weights.prop_flat_map(|weights| {
        let part = |weight| variant_key().prop_map(move |variant| SplitPart { variant, weight });
        weights.into_iter().map(part).collect::<Vec<_>>()
    });
    let split = (salt(), bucket_by(), hash(), parts).prop_map(|(salt, bucket_by, hash, parts)| {
        serve::Kind::Split(Split {
            salt,
            bucket_by,
            hash,
            parts,
        })
    });
    let kind = prop_oneof![
        NONSENSE_ONE_IN => variant_key().prop_map(|key| Some(serve::Kind::Variant(key))),
        NONSENSE_ONE_IN => split.prop_map(Some),
        1 => Just(None),
    ];
    kind.prop_map(|kind| Serve { kind })
}

fn rule() -> impl Strategy<Value = FlagRule> {
    let weight = mostly(vec![0, 1, 100_000], vec![-1, 100_001]);
    let traffic =
        (salt(), bucket_by(), hash(), weight).prop_map(|(salt, bucket_by, hash, weight)| Traffic {
            salt,
            bucket_by,
            hash,
            weight,
        });
    let id = select(vec!["", "", "", "", "", "", "a", "b"]);
    let parts = (
        id,
        conditions(true),
        proptest::option::of(traffic),
        serves(),
        any::<bool>(),
    );
    parts.prop_map(|(id, condition, traffic, serve, disabled)| FlagRule {
        rule: Some(Rule {
            id: id.to_owned(),
            condition: Some(condition),
            traffic,
            serve: Some(serve),
        }),
        disabled,
        ..FlagRule::default()
    })
}

/// A definition with three variants.
pub(super) fn definition() -> impl Strategy<Value = Flag> {
    let typed = mostly((1..=4).collect::<Vec<i32>>(), vec![0, 99]);
    typed.prop_flat_map(|number| {
        let (good, bad) = match FlagType::try_from(number).unwrap_or_default() {
            FlagType::Boolean => (vec![Kind::BoolValue(true)], vec![Kind::NullValue(0)]),
            FlagType::Number => values_of(Operator::LessThan),
            FlagType::String => values_of(Operator::Contains),
            FlagType::Json | FlagType::Unspecified => {
                let (mut good, bad) = values_of(Operator::Equals);
                let fields = [("a".to_owned(), Value::from(Kind::NullValue(0)))].into();
                good.push(Kind::StructValue(Struct { fields }));
                (good, vec![bad[1].clone()])
            }
        };
        let values = vec(mostly(good, bad), KEYS.len());
        values.prop_map(move |values| {
            let variants = KEYS.iter().zip(values).map(|(key, value)| Variant {
                key: (*key).to_owned(),
                value: Some(value.into()),
                ..Variant::default()
            });
            Flag {
                key: "flag".to_owned(),
                r#type: number,
                salt: "salt".to_owned(),
                variants: variants.collect(),
                ..Flag::default()
            }
        })
    })
}

/// A configuration of it.
pub(super) fn config() -> impl Strategy<Value = FlagConfig> {
    let off_variant = prop_oneof![1 => Just(String::new()), 4 => variant_key()];
    let wants = (select(vec!["flag-2", "gone"]), vec(variant_key(), 0..3)).prop_map(
        |(flag_key, variants)| Prerequisite {
            flag_key: flag_key.to_owned(),
            variants,
        },
    );
    let list = (
        variant_key(),
        select(vec!["", "plan"]),
        vec(mostly(vec!["a", "é"], vec![""]), 0..3),
    );
    let list = list.prop_map(|(variant, attribute, keys)| Target {
        variant,
        attribute: attribute.to_owned(),
        keys: keys.into_iter().map(str::to_owned).collect(),
    });
    (
        any::<bool>(),
        off_variant,
        vec(wants, 0..2),
        vec(list, 0..3),
        vec(rule(), 0..4),
        proptest::option::of(serves()),
    )
        .prop_map(
            |(enabled, off_variant, prerequisites, targets, rules, fallthrough)| FlagConfig {
                enabled,
                off_variant,
                prerequisites,
                targets,
                rules,
                fallthrough,
                ..FlagConfig::default()
            },
        )
}

/// Keys that a segment includes, and keys that it excludes.
pub(super) fn segment_lists() -> impl Strategy<Value = [Vec<String>; 2]> {
    let key = || mostly(vec!["a", "é", "-7"], vec![""]).prop_map(str::to_owned);
    [vec(key(), 0..3), vec(key(), 0..3)]
}
