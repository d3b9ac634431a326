//! Configurations that make no sense, alone or with what they refer to.

use burgee_proto::admin::v1::FlagConfig;
use burgee_proto::types::v1::{Condition, NotOf, Operator, condition};
use burgee_tests::builders::{
    WHOLE, clause, equals, fallthrough, in_segment, prerequisite, prerequisites, rule, rules,
    serve, split, target, text,
};
use burgee_tests::errors::{fields, reason, refused, subjects};
use tonic::Code;

use super::Desk;

#[tokio::test]
async fn a_configuration_that_makes_no_sense_is_refused() {
    let desk = Desk::open().await;
    let to = |serve| fallthrough(serve);
    desk.bad_config("a variant that is none", "fallthrough", to(serve("neon")))
        .await;
    let short = split(&[("light", 60_000), ("dark", 39_999)]);
    desk.bad_config("weights below the whole", "fallthrough.split", to(short))
        .await;
    let long = split(&[("light", 60_000), ("dark", 60_000)]);
    desk.bad_config("weights above the whole", "fallthrough.split", to(long))
        .await;
    let negative = split(&[("light", -1), ("dark", WHOLE + 1)]);
    desk.bad_config(
        "a negative weight",
        "fallthrough.split.parts[0].weight",
        to(negative),
    )
    .await;
    let unknown = split(&[("light", 50_000), ("neon", 50_000)]);
    desk.bad_config(
        "a split over what is none",
        "fallthrough.split.parts[1]",
        to(unknown),
    )
    .await;
    let wrong = FlagConfig {
        off_variant: "neon".to_owned(),
        ..FlagConfig::default()
    };
    desk.bad_config("an off variant that is none", "off_variant", wrong)
        .await;
    let wrong = FlagConfig {
        targets: vec![target("light", &["alice"]), target("neon", &["bob"])],
        ..FlagConfig::default()
    };
    desk.bad_config("a target of what is none", "targets[1].variant", wrong)
        .await;

    let one = |condition: Condition| rules(vec![rule("r", condition, serve("dark"))]);
    let wrong = one(Condition { kind: None });
    desk.bad_config("an empty condition", "rules[0].rule.condition", wrong)
        .await;
    let wrong = one(clause("plan", Operator::Unspecified, vec![text("pro")]));
    desk.bad_config("no operator", "operator", wrong).await;
    let wrong = one(clause("name", Operator::Matches, vec![text("(unclosed")]));
    desk.bad_config("a pattern that is none", "values[0]", wrong)
        .await;
    let mut deep = equals("plan", &["pro"]);
    for _ in 0..8 {
        let kind = condition::Kind::Not(Box::new(NotOf {
            condition: Some(Box::new(deep)),
        }));
        deep = Condition { kind: Some(kind) };
    }
    desk.bad_config("a condition too deep", "rules[0].rule.condition", one(deep))
        .await;
    let wrong = rules(vec![rule("r", equals("a", &["1"]), serve("neon"))]);
    desk.bad_config(
        "a rule that serves what is none",
        "rules[0].rule.serve",
        wrong,
    )
    .await;
    let same = || rule("r", equals("a", &["1"]), serve("dark"));
    desk.bad_config(
        "a rule's id twice",
        "rules[1].rule.id",
        rules(vec![same(), same()]),
    )
    .await;
    let many = (0..201).map(|n| rule(&format!("r{n}"), equals("a", &["1"]), serve("dark")));
    desk.bad_config("too many rules", "rules", rules(many.collect()))
        .await;
    let keys: Vec<String> = (0..5_001).map(|n| format!("user-{n}")).collect();
    let wrong = FlagConfig {
        targets: vec![target(
            "dark",
            &keys.iter().map(String::as_str).collect::<Vec<_>>(),
        )],
        ..FlagConfig::default()
    };
    desk.bad_config("too many target keys", "targets", wrong)
        .await;
}

#[tokio::test]
async fn what_a_configuration_refers_to_must_be_there() {
    let desk = Desk::open().await;
    let change = rules(vec![rule("r", in_segment("nobody"), serve("dark"))]);
    let request = desk.production.configure_request("theme", change).await;
    let outcome = desk
        .server
        .admin()
        .flags()
        .update_flag_config(request)
        .await;
    let status = outcome.map(drop).expect_err("a segment that is none");
    let codes = [Code::InvalidArgument, Code::FailedPrecondition];
    assert!(codes.contains(&status.code()), "{status:?}");
    desk.assert_nothing_stored("a segment that is none").await;

    let change = prerequisites(vec![prerequisite("nothing", &["on"])]);
    let request = desk.production.configure_request("theme", change).await;
    let outcome = desk
        .server
        .admin()
        .flags()
        .update_flag_config(request)
        .await;
    let status = outcome.map(drop).expect_err("a prerequisite that is none");
    assert!(codes.contains(&status.code()), "{status:?}");
    desk.assert_nothing_stored("a prerequisite that is none")
        .await;

    let change = prerequisites(vec![prerequisite("theme", &["dark"])]);
    let request = desk.production.configure_request("theme", change).await;
    let outcome = desk
        .server
        .admin()
        .flags()
        .update_flag_config(request)
        .await;
    let status = refused(outcome, Code::FailedPrecondition);
    assert_eq!(reason(&status), "PREREQUISITE_CYCLE");
    assert!(!subjects(&status).is_empty(), "the flag is named");
    desk.assert_nothing_stored("a flag that needs itself").await;
}

#[tokio::test]
async fn an_item_over_its_limit_is_refused() {
    let desk = Desk::open().await;
    // 64 conditions of 1,000 long values: within each single limit, but the
    // item as a whole is over its own.
    let values: Vec<String> = (0..1_000).map(|n| format!("{n:0>200}")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let large = |n: usize| rule(&format!("r{n}"), equals("a", &values), serve("dark"));
    let change = rules((0..3).map(large).collect());
    let request = desk.production.configure_request("theme", change).await;

    let outcome = desk
        .server
        .admin()
        .flags()
        .update_flag_config(request)
        .await;

    let status = outcome.map(drop).expect_err("an item of 600 KB");
    let codes = [Code::InvalidArgument, Code::FailedPrecondition];
    assert!(codes.contains(&status.code()), "{status:?}");
    let named = !fields(&status).is_empty() || !subjects(&status).is_empty();
    assert!(named, "what is too large is named: {status:?}");
    desk.assert_nothing_stored("an item over its limit").await;
}
