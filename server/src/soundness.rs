//! What was accepted compiles: random definitions, configurations and segments
//! are thrown at the rules that changes go through, and whatever those accept is
//! shipped, decoded and compiled without a problem.

mod random;

use std::cell::Cell;
use std::sync::Arc;

use burgee_evaluator::{Context, Item, LEVEL, Ruleset, RulesetState};
use burgee_proto::admin::v1::{FlagConfig, Segment, SegmentConfig};
use burgee_proto::sync::v1::ItemKind;
use burgee_proto::types::v1::{
    self, Condition, ErrorCode, EvaluationContext, FlagType, Position, Rule, SegmentMatch, Serve,
    ValueType, Variant, condition, serve,
};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use prost::Message;
use prost_types::value::Kind;
use prost_types::{Struct, Value};

use self::random::{conditions, config, definition, segment_lists};
use crate::flags::{config_rules, definition_rules, shipped, update_flag_config};
use crate::segments;

/// Random flags and segments of one run.
const CASES: u32 = 1_000;
fn item(kind: ItemKind, key: &str, message: &impl Message) -> Arc<Item> {
    Arc::new(Item {
        kind: kind.into(),
        key: key.to_owned(),
        revision: 1,
        level: LEVEL,
        body: message.encode_to_vec().into(),
    })
}

/// Compiles items as receivers do, and evaluates the flag for some contexts.
fn compiles(items: Vec<Arc<Item>>) -> Result<(), TestCaseError> {
    let state = RulesetState::new("environment", Position::default(), items);
    let ruleset = Ruleset::compile(&state);
    prop_assert_eq!(ruleset.problem("flag"), None);
    for plan in [Kind::StringValue("pro".to_owned()), Kind::NumberValue(-0.0)] {
        let fields = [("plan".to_owned(), Value::from(plan))].into();
        let context = EvaluationContext {
            targeting_key: "a".to_owned(),
            attributes: Some(Struct { fields }),
        };
        let context =
            Context::new(&context).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let evaluated = ruleset.evaluate("flag", &context, ValueType::Unspecified);
        prop_assert_eq!(evaluated.error_code, ErrorCode::Unspecified);
    }
    Ok(())
}

/// Runs a property that says whether its case was accepted: neither all nor none
/// may be.
fn mostly_accepts<S: Strategy>(
    strategy: S,
    property: impl Fn(S::Value) -> Result<bool, TestCaseError>,
) {
    let (accepted, refused) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(ProptestConfig::with_cases(CASES));
    let outcome = runner.run(&strategy, |case| {
        let counter = if property(case)? { &accepted } else { &refused };
        counter.set(counter.get() + 1);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    let few = CASES / 10;
    let counted = format!("{} accepted, {} refused", accepted.get(), refused.get());
    assert!(accepted.get() > few && refused.get() > few, "{counted}");
}

#[test]
fn a_flag_that_was_accepted_compiles() {
    mostly_accepts((definition(), config()), |(flag, mut config)| {
        let before = FlagConfig::default();
        if update_flag_config::fill_in(&mut config, &before, &flag.salt).is_err()
            || definition_rules::check_alone(&flag, None).is_err()
            || config_rules::check_alone(&flag, &config).is_err()
        {
            return Ok(false);
        }
        let shipped = shipped::normalised(&flag, &config)
            .map_err(|problem| TestCaseError::fail(problem.to_string()))?;
        prop_assert_eq!(shipped::admitted(&flag, &config), Ok(shipped.clone()));
        let beta = v1::Segment {
            key: "beta".to_owned(),
            ..v1::Segment::default()
        };
        compiles(vec![
            item(ItemKind::Flag, "flag", &shipped),
            item(ItemKind::Segment, "beta", &beta),
        ])?;
        Ok(true)
    });
}

#[test]
fn a_segment_that_was_accepted_compiles() {
    let condition = proptest::option::of(conditions(false));
    mostly_accepts(
        (condition, segment_lists()),
        |(condition, [included, excluded])| {
            let definition = Segment {
                key: "beta".to_owned(),
                attribute: "plan".to_owned(),
                ..Segment::default()
            };
            let config = SegmentConfig {
                condition,
                ..SegmentConfig::default()
            };
            let Ok(checked) =
                segments::content_rules::admitted(&definition, &config, included, excluded)
            else {
                return Ok(false);
            };
            let shipped = segments::shipped::normalised(&definition, &config)
                .map_err(|problem| TestCaseError::fail(problem.to_string()))?;
            prop_assert_eq!(&shipped.condition, &checked.condition);
            let rule = Rule {
                id: "r".to_owned(),
                condition: Some(Condition {
                    kind: Some(condition::Kind::Segment(SegmentMatch {
                        keys: vec!["beta".to_owned()],
                    })),
                }),
                serve: Some(Serve {
                    kind: Some(serve::Kind::Variant("on".to_owned())),
                }),
                ..Rule::default()
            };
            let on = Variant {
                key: "on".to_owned(),
                value: Some(Kind::BoolValue(true).into()),
                ..Variant::default()
            };
            let flag = v1::Flag {
                key: "flag".to_owned(),
                r#type: FlagType::Boolean.into(),
                variants: vec![on],
                enabled: true,
                rules: vec![rule],
                ..v1::Flag::default()
            };
            compiles(vec![
                item(ItemKind::Flag, "flag", &flag),
                item(ItemKind::Segment, "beta", &checked),
            ])?;
            Ok(true)
        },
    );
}
