//! The demo project's flags: every type, and every way of deciding.

use burgee_proto::admin::v1::{Flag, FlagConfig, FlagRule};
use burgee_proto::types::v1::{
    Clause, Condition, FlagType, Operator, Prerequisite, Rule, SegmentMatch, Serve, Split,
    SplitPart, Target, Variant, condition, serve,
};
use prost_types::value::Kind;
use prost_types::{Struct, Value};

use super::seed::SEGMENT;

/// Where it is on, for those that are on everywhere.
const EVERYWHERE: &[&str] = &["development", "staging", "production"];
/// Where it is on, for those that are not out yet.
const BEFORE_PRODUCTION: &[&str] = &["development", "staging"];

/// A flag with its configuration, the same in every environment.
pub(super) struct DemoFlag {
    pub(super) flag: Flag,
    pub(super) config: FlagConfig,
    pub(super) enabled_in: &'static [&'static str],
}

/// Every flag, prerequisites before those that need them.
pub(super) fn all() -> [DemoFlag; 4] {
    [new_checkout(), button_text(), results_per_page(), theme()]
}

/// A rule for an attribute, then a rollout to 25 %.
fn new_checkout() -> DemoFlag {
    let pro = Condition {
        kind: Some(condition::Kind::Clause(Clause {
            attribute: "plan".to_owned(),
            operator: Operator::Equals.into(),
            values: vec![Kind::StringValue("pro".to_owned()).into()],
            ignore_case: false,
        })),
    };
    DemoFlag {
        flag: Flag {
            key: "new-checkout".to_owned(),
            display_name: "New checkout".to_owned(),
            description: "The one-page checkout: on for the pro plan, and for 25 % of all others."
                .to_owned(),
            r#type: FlagType::Boolean.into(),
            client_visible: true,
            ..Flag::default()
        },
        config: FlagConfig {
            rules: vec![rule("pro-plan", "The pro plan has it", pro, "on")],
            fallthrough: Some(split(&[("on", 25_000), ("off", 75_000)])),
            ..FlagConfig::default()
        },
        enabled_in: EVERYWHERE,
    }
}

/// A prerequisite, then a test of three texts.
fn button_text() -> DemoFlag {
    let text = |text: &str| Kind::StringValue(text.to_owned()).into();
    DemoFlag {
        flag: Flag {
            key: "checkout-button".to_owned(),
            display_name: "Text of the checkout button".to_owned(),
            description: "Which of three texts sells best, for those who have the new checkout."
                .to_owned(),
            r#type: FlagType::String.into(),
            variants: vec![
                variant("buy-now", text("Buy now")),
                variant("get-it", text("Get it")),
                variant("order", text("Place your order")),
            ],
            client_visible: true,
            ..Flag::default()
        },
        config: FlagConfig {
            prerequisites: vec![Prerequisite {
                flag_key: "new-checkout".to_owned(),
                variants: vec!["on".to_owned()],
            }],
            fallthrough: Some(split(&[
                ("buy-now", 34_000),
                ("get-it", 33_000),
                ("order", 33_000),
            ])),
            ..FlagConfig::default()
        },
        enabled_in: BEFORE_PRODUCTION,
    }
}

/// A segment.
fn results_per_page() -> DemoFlag {
    let testers = Condition {
        kind: Some(condition::Kind::Segment(SegmentMatch {
            keys: vec![SEGMENT.to_owned()],
        })),
    };
    let number = |number: f64| Kind::NumberValue(number).into();
    DemoFlag {
        flag: Flag {
            key: "results-per-page".to_owned(),
            display_name: "Results per page".to_owned(),
            description: "How many results the search shows at once.".to_owned(),
            r#type: FlagType::Number.into(),
            variants: vec![variant("ten", number(10.0)), variant("fifty", number(50.0))],
            client_visible: true,
            ..Flag::default()
        },
        config: FlagConfig {
            rules: vec![rule(
                "beta-testers",
                "Beta testers see more",
                testers,
                "fifty",
            )],
            fallthrough: Some(one("ten")),
            ..FlagConfig::default()
        },
        enabled_in: EVERYWHERE,
    }
}

/// A target: one person by key.
fn theme() -> DemoFlag {
    let colours = |background: &str, text: &str| {
        let colour = |colour: &str| Value::from(Kind::StringValue(colour.to_owned()));
        let fields = [
            ("background".to_owned(), colour(background)),
            ("text".to_owned(), colour(text)),
        ];
        Kind::StructValue(Struct {
            fields: fields.into(),
        })
        .into()
    };
    DemoFlag {
        flag: Flag {
            key: "theme".to_owned(),
            display_name: "Theme".to_owned(),
            description: "The shop's colours; alice has asked for the dark ones.".to_owned(),
            r#type: FlagType::Json.into(),
            variants: vec![
                variant("light", colours("#ffffff", "#1a1a1a")),
                variant("dark", colours("#1a1a1a", "#f5f5f5")),
            ],
            client_visible: true,
            ..Flag::default()
        },
        config: FlagConfig {
            targets: vec![Target {
                variant: "dark".to_owned(),
                attribute: String::new(),
                keys: vec!["alice".to_owned()],
            }],
            fallthrough: Some(one("light")),
            ..FlagConfig::default()
        },
        enabled_in: BEFORE_PRODUCTION,
    }
}

fn variant(key: &str, value: Value) -> Variant {
    Variant {
        key: key.to_owned(),
        value: Some(value),
        ..Variant::default()
    }
}

fn one(variant: &str) -> Serve {
    Serve {
        kind: Some(serve::Kind::Variant(variant.to_owned())),
    }
}

/// Weights in thousandths of a percent.
fn split(parts: &[(&str, i32)]) -> Serve {
    let parts = parts.iter().map(|(variant, weight)| SplitPart {
        variant: (*variant).to_owned(),
        weight: *weight,
    });
    Serve {
        kind: Some(serve::Kind::Split(Split {
            parts: parts.collect(),
            ..Split::default()
        })),
    }
}

fn rule(id: &str, display_name: &str, condition: Condition, variant: &str) -> FlagRule {
    FlagRule {
        rule: Some(Rule {
            id: id.to_owned(),
            condition: Some(condition),
            serve: Some(one(variant)),
            ..Rule::default()
        }),
        display_name: display_name.to_owned(),
        ..FlagRule::default()
    }
}
