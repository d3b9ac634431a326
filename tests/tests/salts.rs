//! Salts: who is divided how stays so until somebody asks for a new division.

use burgee_evaluator::{Context, Ruleset};
use burgee_proto::admin::v1::operation::Part;
use burgee_proto::admin::v1::{
    CreateEnvironmentRequest, Environment, Flag, FlagConfig, FlagRule, RerandomizeRolloutRequest,
    RerandomizeRolloutResponse, SetRolloutRequest,
};
use burgee_proto::types::v1::{self as types, Serve, Traffic, ValueType, serve as kind};
use burgee_tests::builders::{
    WHOLE, context, equals, fallthrough, rule, rules, serve, split, split_parts, string_flag,
};
use burgee_tests::errors::{reason, refused};
use burgee_tests::project::{TestEnvironment, TestProject};
use burgee_tests::server::TestServer;
use burgee_tests::watcher::RulesetWatcher;
use tonic::Code;

const HALF: i32 = WHOLE / 2;

/// A project with a flag that divides at its fallthrough, and by a rule that is
/// gated.
async fn divided() -> (TestServer, TestProject, TestEnvironment) {
    let server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    shop.create_flag(string_flag("theme", &["light", "dark"]))
        .await;
    production.configure("theme", halves()).await;
    production.enable("theme").await;
    (server, shop, production)
}

/// A split at the fallthrough and in the rule `pro`, none with a salt.
fn halves() -> FlagConfig {
    FlagConfig {
        fallthrough: Some(half_and_half()),
        rules: vec![gated("pro")],
        ..FlagConfig::default()
    }
}

fn half_and_half() -> Serve {
    split(&[("light", HALF), ("dark", HALF)])
}

fn gated(id: &str) -> FlagRule {
    let mut gated = rule(id, equals("plan", &["pro"]), half_and_half());
    if let Some(rule) = &mut gated.rule {
        rule.traffic = Some(Traffic {
            weight: HALF,
            ..Traffic::default()
        });
    }
    gated
}

/// The salts of the fallthrough, and of gate and split of each rule.
fn salts(config: &FlagConfig) -> Vec<String> {
    let of_split = |serve: Option<&Serve>| match serve.and_then(|serve| serve.kind.as_ref()) {
        Some(kind::Kind::Split(split)) => split.salt.clone(),
        other => panic!("not a split: {other:?}"),
    };
    let mut salts = vec![of_split(config.fallthrough.as_ref())];
    for rule in config.rules.iter().filter_map(|rule| rule.rule.as_ref()) {
        salts.push(rule.traffic.as_ref().unwrap().salt.clone());
        salts.push(of_split(rule.serve.as_ref()));
    }
    salts
}

fn request(production: &TestEnvironment, rule_id: &str) -> RerandomizeRolloutRequest {
    RerandomizeRolloutRequest {
        name: production.flag_name("theme"),
        rule_id: rule_id.to_owned(),
        ..RerandomizeRolloutRequest::default()
    }
}

async fn rerandomize(production: &TestEnvironment, rule_id: &str) -> RerandomizeRolloutResponse {
    let mut flags = production.admin.flags();
    let answer = flags
        .rerandomize_rollout(request(production, rule_id))
        .await;
    answer.unwrap().into_inner()
}

#[tokio::test]
async fn splits_have_the_flags_salt_in_every_environment_and_gates_one_beside_it() {
    let (_server, shop, production) = divided().await;
    let staging = shop.environment("staging").await;
    staging.configure("theme", halves()).await;

    let salt = shop.flag("theme").await.salt;

    assert!(salt.len() >= 16, "{salt:?} is no random salt");
    let expected = [salt.clone(), format!("{salt}.gate"), salt.clone()];
    assert_eq!(salts(&production.config("theme").await), expected);
    assert_eq!(salts(&staging.config("theme").await), expected);
    shop.create_flag(string_flag("other", &["a", "b"])).await;
    assert_ne!(shop.flag("other").await.salt, salt);
}

#[tokio::test]
async fn a_rerandomized_split_alone_has_a_new_salt_and_moves_as_many_as_it_says() {
    let (server, _shop, production) = divided().await;
    let watcher = RulesetWatcher::follow(&server.caller(&production.server_key().await));
    let before = production.config("theme").await;
    let shipped = watcher.reaches(production.position().await).await;
    let shipped = shipped.ledger.flag("theme").unwrap();

    let answer = rerandomize(&production, "").await;

    assert_eq!(answer.moved_weight, HALF);
    let after = answer.flag_config.clone().unwrap();
    assert_eq!(after, production.config("theme").await);
    let (old, new) = (salts(&before), salts(&after));
    assert_ne!(old[0], new[0]);
    assert_eq!(old[1..], new[1..], "the rule keeps its own");
    let position = answer.positions[0].position.unwrap();
    let record = watcher.reaches(position).await;
    let moved = moved(shipped, record.ledger.flag("theme").unwrap());
    // Five standard deviations of 10,000 fair coins: 250.
    assert!((4_750..=5_250).contains(&moved), "{moved} of 10,000 moved");

    let answer = rerandomize(&production, "pro").await;
    let latest = salts(&answer.flag_config.unwrap());
    assert_eq!(latest[..2], new[..2], "neither fallthrough nor gate");
    assert_ne!(latest[2], new[2]);
}

/// How many of 10,000 contexts get another variant.
fn moved(before: types::Flag, after: types::Flag) -> usize {
    let [before, after] = [before, after].map(|flag| {
        let flags = vec![flag];
        Ruleset::from_message(&types::Ruleset {
            flags,
            ..types::Ruleset::default()
        })
    });
    let differ = |user: &usize| {
        let context = Context::new(&context(&format!("user-{user}"), &[])).unwrap();
        let variant = |ruleset: &Ruleset| {
            let evaluated = ruleset.evaluate("theme", &context, ValueType::String);
            evaluated.variant.map(str::to_owned)
        };
        variant(&before) != variant(&after)
    };
    (0..10_000).filter(differ).count()
}

#[tokio::test]
async fn the_new_salt_is_kept_by_whatever_leaves_it_out() {
    let (server, shop, production) = divided().await;
    rerandomize(&production, "").await;
    rerandomize(&production, "pro").await;
    let kept = salts(&production.config("theme").await);

    // The same rule, found by its id, behind a new one.
    let flag_salt = shop.flag("theme").await.salt;
    let mut change = halves();
    change.rules.insert(0, gated("new"));
    production.configure("theme", change).await;
    let now = salts(&production.config("theme").await);
    let expected = [
        kept[0].clone(),
        format!("{flag_salt}.gate"),
        flag_salt,
        kept[1].clone(),
        kept[2].clone(),
    ];
    assert_eq!(now, expected, "the new rule has the flag's");

    let mut flags = server.admin().flags();
    let rollout = |rule_id: &str| SetRolloutRequest {
        name: production.flag_name("theme"),
        rule_id: rule_id.to_owned(),
        parts: split_parts(&[("light", WHOLE - 1), ("dark", 1)]),
        ..SetRolloutRequest::default()
    };
    flags.set_rollout(rollout("")).await.unwrap();
    flags.set_rollout(rollout("pro")).await.unwrap();
    assert_eq!(salts(&production.config("theme").await), now);

    // The definition's salt is for what is divided from now on.
    let change = Flag {
        salt: "another".to_owned(),
        ..Flag::default()
    };
    shop.update_flag("theme", change).await;
    assert_eq!(salts(&production.config("theme").await), now);
    let change = rules(vec![gated("pro"), gated("newest")]);
    production.configure("theme", change).await;
    let latest = salts(&production.config("theme").await);
    assert_eq!(latest[..3], kept[..]);
    assert_eq!(latest[3..], ["another.gate", "another"]);
}

#[tokio::test]
async fn a_copied_environment_divides_as_the_one_it_is_a_copy_of() {
    let (server, shop, production) = divided().await;
    rerandomize(&production, "").await;
    let request = CreateEnvironmentRequest {
        parent: shop.name(),
        environment: Some(Environment {
            key: "copy".to_owned(),
            ..Environment::default()
        }),
        copy_from: production.name.clone(),
        ..CreateEnvironmentRequest::default()
    };
    let mut environments = server.admin().environments();
    let answer = environments.create_environment(request).await;
    let name = answer.unwrap().into_inner().environment.unwrap().name;
    let copy = TestEnvironment {
        name,
        ..production.clone()
    };
    let config = |it: FlagConfig| salts(&it);
    assert_eq!(
        config(copy.config("theme").await),
        config(production.config("theme").await)
    );

    rerandomize(&copy, "").await;
    assert_ne!(
        config(copy.config("theme").await),
        config(production.config("theme").await)
    );
}

#[tokio::test]
async fn the_same_request_to_rerandomize_gives_the_same_salt_and_another_one_another() {
    let (server, _shop, production) = divided().await;
    let identified = |id: &str| RerandomizeRolloutRequest {
        request_id: id.to_owned(),
        reason: "the experiment begins anew".to_owned(),
        ..request(&production, "")
    };
    let mut flags = server.admin().flags();
    let first = flags.rerandomize_rollout(identified("one")).await.unwrap();
    let again = flags.rerandomize_rollout(identified("one")).await.unwrap();
    assert_eq!(first.get_ref(), again.get_ref());
    let other = flags.rerandomize_rollout(identified("two")).await.unwrap();
    assert_ne!(
        salts(&first.get_ref().flag_config.clone().unwrap())[0],
        salts(&other.get_ref().flag_config.clone().unwrap())[0],
    );
    let told = "select count(*) from audit_entries where part = 'serve'
        and method = '/burgee.admin.v1.FlagService/RerandomizeRollout'
        and reason = 'the experiment begins anew'";
    assert_eq!(server.database().number(told).await, 2, "two changes");

    let stale = RerandomizeRolloutRequest {
        etag: first.into_inner().flag_config.unwrap().etag,
        ..request(&production, "")
    };
    let status = refused(flags.rerandomize_rollout(stale).await, Code::Aborted);
    assert_eq!(reason(&status), "ETAG_MISMATCH");
}

#[tokio::test]
async fn trying_it_out_says_how_many_would_move_and_moves_nobody() {
    let (server, _shop, production) = divided().await;
    let before = production.config("theme").await;
    let position = production.position().await;
    let tried = RerandomizeRolloutRequest {
        validate_only: true,
        ..request(&production, "pro")
    };

    let answer = server.admin().flags().rerandomize_rollout(tried).await;

    let answer = answer.unwrap().into_inner();
    assert_eq!(answer.moved_weight, HALF);
    let preview = answer.preview.unwrap();
    let warning = "about 50 % of the contexts that this split divides get another variant";
    assert_eq!(preview.warnings, [warning]);
    let [operation] = &preview.operations[..] else {
        panic!("not one operation: {:?}", preview.operations);
    };
    assert!(matches!(&operation.part, Some(Part::Serve(change)) if change.rule_id == "pro"));
    assert_eq!(production.config("theme").await, before);
    assert_eq!(production.position().await, position);
}

#[tokio::test]
async fn an_update_that_divides_anew_says_how_many_would_move() {
    let (server, _shop, production) = divided().await;
    let tried = async |change: FlagConfig| {
        let mut request = production.configure_request("theme", change).await;
        request.validate_only = true;
        let answer = server.admin().flags().update_flag_config(request).await;
        answer.unwrap().into_inner().preview.unwrap().warnings
    };
    let with_salt = |salt: &str, parts: &[(&str, i32)]| {
        let mut serve = split(parts);
        if let Some(kind::Kind::Split(split)) = &mut serve.kind {
            salt.clone_into(&mut split.salt);
        }
        fallthrough(serve)
    };
    let quarter = [("light", WHOLE / 4), ("dark", WHOLE * 3 / 4)];
    let warnings = tried(with_salt("another", &quarter)).await;
    let moves = "of the contexts that this split divides get another variant";
    assert_eq!(warnings, [format!("fallthrough: about 50 % {moves}")]);
    // Weights alone move as few as can be.
    assert_eq!(tried(with_salt("", &quarter)).await, [""; 0]);
}

#[tokio::test]
async fn what_serves_one_variant_has_no_salt_to_change() {
    let (server, _shop, production) = divided().await;
    let plain = rule("plain", equals("plan", &["free"]), serve("dark"));
    production.configure("theme", rules(vec![plain])).await;
    production
        .configure("theme", fallthrough(serve("light")))
        .await;
    let before = production.config("theme").await;
    for rule_id in ["", "plain", "nothing"] {
        let mut flags = server.admin().flags();
        let outcome = flags
            .rerandomize_rollout(request(&production, rule_id))
            .await;
        let status = refused(outcome, Code::InvalidArgument);
        assert_eq!(burgee_tests::errors::fields(&status), ["rule_id"]);
    }
    assert_eq!(production.config("theme").await, before);
}
