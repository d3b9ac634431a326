//! What holds for every ruleset.

#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

#[path = "support/builders.rs"]
mod builders;
#[path = "support/generate.rs"]
mod generate;
#[path = "support/strategies.rs"]
mod strategies;

use std::collections::HashSet;
use std::sync::Arc;

use burgee_evaluator::{
    Context, Item, Ruleset, admit_flag, admit_segment, check_flag, check_segment,
};
use burgee_proto::sync::v1::{ItemKey, ItemKind};
use burgee_proto::types::v1::condition::Kind;
use burgee_proto::types::v1::{
    Condition, EvaluationContext, Flag, Operator, Position, Rule, Segment, Serve, Split, SplitPart,
    Traffic, ValueType, serve,
};
use proptest::prelude::*;
use prost::Message;

use builders::{evaluate, flag, item, serves, state};
use generate::{FLAGS, Generator, KEYS};
use strategies::{sound, wild};

fn items(generator: &mut Generator<'_>) -> Vec<Arc<Item>> {
    generator.items(16)
}

fn contexts(generator: &mut Generator<'_>) -> Vec<EvaluationContext> {
    (0..3).map(|_| generator.context()).collect()
}

/// What becomes of a flag for some contexts, in words.
fn told(ruleset: &Ruleset, key: &str, contexts: &[EvaluationContext]) -> Vec<String> {
    let results = contexts.iter().map(|context| match Context::new(context) {
        Ok(context) => format!(
            "{:?}",
            ruleset.evaluate(key, &context, ValueType::Unspecified)
        ),
        Err(error) => error.to_string(),
    });
    let problem = ruleset.problem(key).map(str::to_owned);
    problem.into_iter().chain(results).collect()
}

fn everything(ruleset: &Ruleset, contexts: &[EvaluationContext]) -> Vec<Vec<String>> {
    let keys = FLAGS.iter().chain(&["no such flag"]);
    keys.map(|key| told(ruleset, key, contexts)).collect()
}

proptest! {
    #[test]
    fn recompiling_change_by_change_equals_compiling_at_once(
        changes in wild(|it| it.some(8, |it| (it.items(4), it.items(2)))),
        contexts in sound(contexts),
    ) {
        let mut held = state([]);
        let mut ruleset = Ruleset::compile(&held);
        for (revision, (upserted, removed)) in changes.into_iter().enumerate() {
            let position = Position { epoch: 1, revision: revision as u64 + 2 };
            let removed: Vec<_> = removed
                .iter()
                .map(|item| ItemKey { kind: item.kind, key: item.key.clone() })
                .collect();
            held = held.apply(position, upserted, &removed);
            let next = ruleset.recompile(&held);
            let whole = Ruleset::compile(&held);
            prop_assert_eq!(everything(&next, &contexts), everything(&whole, &contexts));
            let changed = next.changed_since(&ruleset);
            prop_assert!(changed.is_sorted());
            for key in FLAGS.iter().filter(|key| !changed.contains(&Arc::from(**key))) {
                prop_assert_eq!(told(&next, key, &contexts), told(&ruleset, key, &contexts));
            }
            ruleset = next;
        }
    }

    #[test]
    fn the_order_of_items_means_nothing(
        items in wild(items),
        contexts in sound(contexts),
    ) {
        let state = state(items);
        let backwards: Vec<_> = state.items().cloned().collect();
        let backwards = builders::state(backwards.into_iter().rev());
        prop_assert_eq!(
            everything(&Ruleset::compile(&state), &contexts),
            everything(&Ruleset::compile(&backwards), &contexts)
        );
    }

    #[test]
    fn a_ruleset_is_the_same_whole_and_in_items(
        whole in wild(|it| it.ruleset()),
        contexts in sound(contexts),
    ) {
        let flags = whole.flags.iter().map(|it| item(ItemKind::Flag, &it.key, it));
        let segments = whole.segments.iter().map(|it| item(ItemKind::Segment, &it.key, it));
        let in_items = state(flags.chain(segments));
        // Bytes cannot be nested as deeply as messages in memory.
        let may_be_decoded = in_items.items_of(ItemKind::Flag).all(|it| Flag::decode(&*it.body).is_ok())
            && in_items.items_of(ItemKind::Segment).all(|it| Segment::decode(&*it.body).is_ok());
        prop_assume!(may_be_decoded);
        prop_assert_eq!(
            everything(&Ruleset::from_message(&whole), &contexts),
            everything(&Ruleset::compile(&in_items), &contexts)
        );
    }

    #[test]
    fn any_messages_compile_and_evaluate_the_same_each_time(
        whole in wild(|it| it.ruleset()),
        contexts in wild(contexts),
    ) {
        let ruleset = Ruleset::from_message(&whole);
        let again = Ruleset::from_message(&whole);
        prop_assert_eq!(everything(&ruleset, &contexts), everything(&again, &contexts));
        for context in contexts.iter().filter_map(|it| Context::new(it).ok()) {
            let evaluate = |key| ruleset.evaluate(key, &context, ValueType::Unspecified);
            let one_by_one: Vec<_> = ruleset.flag_keys().map(evaluate).collect();
            let all: Vec<_> = ruleset.evaluate_all(&context).collect();
            prop_assert_eq!(format!("{all:?}"), format!("{one_by_one:?}"));
        }
        for flag in &whole.flags {
            let is_understood = check_flag(flag).is_ok();
            prop_assert!(is_understood || ruleset.problem(&flag.key).is_some());
            let alone = Flag { prerequisites: Vec::new(), ..flag.clone() };
            let ruleset = Ruleset::from_message(&burgee_proto::types::v1::Ruleset {
                flags: vec![alone],
                segments: Vec::new(),
            });
            prop_assert_eq!(is_understood, ruleset.problem(&flag.key).is_none());
        }
    }

    #[test]
    fn what_is_admitted_is_understood(
        sound in sound(|it| it.ruleset()),
        wild in wild(|it| it.ruleset()),
    ) {
        let understood = Ruleset::from_message(&sound);
        for flag in &sound.flags {
            prop_assert_eq!(understood.problem(&flag.key), None);
        }
        for mut flag in sound.flags.into_iter().chain(wild.flags) {
            if admit_flag(&mut flag).is_ok() {
                prop_assert_eq!(check_flag(&flag), Ok(()));
            }
        }
        for mut segment in sound.segments.into_iter().chain(wild.segments) {
            if admit_segment(&mut segment).is_ok() {
                prop_assert_eq!(check_segment(&segment), Ok(()));
            }
        }
    }

    #[test]
    fn removing_an_unrelated_item_changes_nothing(
        items in wild(items),
        contexts in sound(contexts),
        removed in any::<prop::sample::Index>(),
    ) {
        prop_assume!(!items.is_empty());
        let before = state(items);
        let items: Vec<_> = before.items().cloned().collect();
        let removed = removed.get(&items);
        let after = state(items.iter().filter(|item| !Arc::ptr_eq(item, removed)).cloned());
        let (before, after) = (Ruleset::compile(&before), Ruleset::compile(&after));
        for key in FLAGS {
            if !needed(key, &items).contains(&id(removed)) {
                prop_assert_eq!(told(&before, key, &contexts), told(&after, key, &contexts));
            }
        }
    }

    #[test]
    fn raising_the_first_weight_only_ever_adds(
        salt in any::<String>(),
        key in "[a-z0-9]{1,8}",
        hash in 1..5_i32,
        (lower, higher) in sound(|it| (it.weights(), it.weights())),
    ) {
        let (lower, higher) = if lower[0] <= higher[0] { (lower, higher) } else { (higher, lower) };
        let is_first = |weights: &[i32]| {
            let part = |(index, weight): (usize, &i32)| SplitPart {
                variant: if index == 0 { "on" } else { "off" }.into(),
                weight: *weight,
            };
            let parts = weights.iter().enumerate().map(part).collect();
            let split = Split { salt: salt.clone(), bucket_by: Vec::new(), hash, parts };
            let flag = Flag {
                fallthrough: Some(Serve { kind: Some(serve::Kind::Split(split)) }),
                ..flag("f")
            };
            let ruleset = Ruleset::compile(&state([item(ItemKind::Flag, "f", &flag)]));
            evaluate(&ruleset, "f", &key).variant == Some("on")
        };
        prop_assert!(!is_first(&lower) || is_first(&higher));
        prop_assert!(is_first(&[100_000, 0]));
        prop_assert!(!is_first(&[0, 100_000]));
    }

    #[test]
    fn opening_a_gate_further_only_ever_adds(
        salt in any::<String>(),
        hash in 1..5_i32,
        weights in (0..=100_000_i32, 0..=100_000_i32),
    ) {
        let passes = |weight: i32, key: &str| {
            let rule = Rule {
                id: "r".into(),
                condition: Some(Condition { kind: Some(Kind::All(Default::default())) }),
                traffic: Some(Traffic { salt: salt.clone(), bucket_by: Vec::new(), hash, weight }),
                serve: Some(serves("off")),
            };
            let flag = Flag { rules: vec![rule], ..flag("f") };
            let ruleset = Ruleset::compile(&state([item(ItemKind::Flag, "f", &flag)]));
            evaluate(&ruleset, "f", key).rule_id.is_some()
        };
        let (lower, higher) = (weights.0.min(weights.1), weights.0.max(weights.1));
        for key in KEYS {
            prop_assert!(!passes(lower, key) || passes(higher, key));
            prop_assert!(passes(100_000, key));
            prop_assert!(!passes(0, key));
        }
    }
}

fn id(item: &Item) -> (i32, String) {
    // A part is part of its segment.
    match item.key.rsplit_once('/') {
        Some((segment, _)) if item.kind == ItemKind::SegmentPart as i32 => {
            (ItemKind::Segment as i32, segment.to_owned())
        }
        _ => (item.kind, item.key.clone()),
    }
}

/// A flag, and all that it reaches through prerequisites and conditions.
fn needed(key: &str, items: &[Arc<Item>]) -> HashSet<(i32, String)> {
    let flag_id = |key: &str| (ItemKind::Flag as i32, key.to_owned());
    let mut needed = HashSet::new();
    let mut to_visit = vec![key.to_owned()];
    while let Some(key) = to_visit.pop() {
        if !needed.insert(flag_id(&key)) {
            continue;
        }
        let mut flags = items.iter().filter(|item| id(item) == flag_id(&key));
        let flag = flags.find_map(|item| Flag::decode(&*item.body).ok());
        if let Some(flag) = flag {
            to_visit.extend(flag.prerequisites.into_iter().map(|it| it.flag_key));
            let conditions = flag.rules.iter().filter_map(|rule| rule.condition.as_ref());
            conditions.for_each(|condition| add_segments(condition, &mut needed));
        }
    }
    needed
}

fn add_segments(condition: &Condition, needed: &mut HashSet<(i32, String)>) {
    match &condition.kind {
        Some(Kind::Segment(segments)) => {
            let keys = segments.keys.iter().cloned();
            needed.extend(keys.map(|key| (ItemKind::Segment as i32, key)));
        }
        Some(Kind::All(all)) => all
            .conditions
            .iter()
            .for_each(|it| add_segments(it, needed)),
        Some(Kind::Any(any)) => any
            .conditions
            .iter()
            .for_each(|it| add_segments(it, needed)),
        Some(Kind::Not(not)) => {
            let inner = not.condition.iter();
            inner.for_each(|it| add_segments(it, needed));
        }
        Some(Kind::Clause(_)) | None => {}
    }
}

#[test]
fn operators_are_numbered_without_a_hole() {
    // Generators draw from the first to the last.
    assert!((0..=Operator::InCidr as i32).all(|number| Operator::try_from(number).is_ok()));
    assert!(Operator::try_from(Operator::InCidr as i32 + 1).is_err());
}
