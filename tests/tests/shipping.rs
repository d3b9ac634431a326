//! What an environment ships, and what takes a revision.

use burgee_proto::admin::v1::{
    AddSegmentKeysRequest, CreateEnvironmentRequest, Environment, Flag, FlagRule,
    RestoreFlagRequest, SegmentList,
};
use burgee_proto::sync::v1::ItemKind;
use burgee_proto::types::v1::FlagType;
use burgee_tests::builders::{
    boolean_flag, equals, in_segment, included, rule, rules, segment, serve, text, variant,
};
use burgee_tests::project::{TestEnvironment, TestProject};
use burgee_tests::server::TestServer;
use burgee_tests::watcher::{Kind, RulesetWatcher};

/// Keys of a segment that is shipped in parts.
const LONG_LIST: usize = 3_000;

async fn followed() -> (TestServer, TestProject, TestEnvironment, RulesetWatcher) {
    let server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    shop.create_flag(boolean_flag("banner")).await;
    let watcher = RulesetWatcher::follow(&server.caller(&production.server_key().await));
    watcher.synchronised().await;
    (server, shop, production, watcher)
}

/// One rule that serves `on` to members of `beta`.
fn for_beta() -> FlagRule {
    rule("beta", in_segment("beta"), serve("on"))
}

#[tokio::test]
async fn a_segment_comes_with_its_first_use_and_goes_with_its_last() {
    let (_server, shop, production, watcher) = followed().await;
    shop.create_segment(segment("beta")).await;
    let before = production.position().await;
    let unused = production
        .configure_segment("beta", included(&["alice"]))
        .await;
    assert_eq!(unused, before, "nobody sees an unused segment");

    let used = production
        .configure("banner", rules(vec![for_beta()]))
        .await;
    assert_eq!(
        used.revision,
        before.revision + 1,
        "flag and segment in one"
    );
    let record = watcher.reaches(used).await;
    assert_eq!(record.ledger.segment("beta").unwrap().included, ["alice"]);

    let other = production
        .configure(
            "banner",
            rules(vec![rule("pro", equals("plan", &["pro"]), serve("on"))]),
        )
        .await;
    let record = watcher.reaches(other).await;
    assert!(record.ledger.segment("beta").is_none());
    assert_eq!(other.revision, used.revision + 1);
}

#[tokio::test]
async fn an_edit_in_one_environment_moves_no_other() {
    let (server, shop, production, watcher) = followed().await;
    let staging = shop.environment("staging").await;
    let before = production.position().await;
    let in_staging = RulesetWatcher::follow(&server.caller(&staging.server_key().await));

    let changed = staging.enable("banner").await;

    in_staging.flag("banner", |flag| flag.enabled).await;
    assert_eq!(in_staging.position(), changed);
    assert_eq!(production.position().await, before);
    assert!(!watcher.record().ledger.flag("banner").unwrap().enabled);
}

#[tokio::test]
async fn what_nobody_evaluates_takes_no_revision() {
    let (_server, shop, production, watcher) = followed().await;
    let before = production.position().await;

    let described = Flag {
        description: "At the top of each page.".to_owned(),
        owner: "the web team".to_owned(),
        ..Flag::default()
    };
    shop.update_flag("banner", described).await;
    let disabled = FlagRule {
        disabled: true,
        ..rule("later", equals("plan", &["pro"]), serve("on"))
    };
    let same = production.configure("banner", rules(vec![disabled])).await;
    assert_eq!(same, before);
    assert_eq!(
        production.disable("banner").await,
        before,
        "it was off already"
    );

    assert_eq!(production.position().await, before);
    assert_eq!(shop.flag("banner").await.owner, "the web team");
    assert!(
        watcher
            .record()
            .ledger
            .flag("banner")
            .unwrap()
            .rules
            .is_empty()
    );
}

#[tokio::test]
async fn an_archived_flag_is_gone_and_a_restored_one_is_as_it_was() {
    let (server, shop, production, watcher) = followed().await;
    production.enable("banner").await;

    let positions = shop.archive_flag("banner").await;
    let record = watcher.reaches(positions[0].position.unwrap()).await;
    assert!(record.ledger.flag("banner").is_none());

    let request = RestoreFlagRequest {
        name: shop.flag_name("banner"),
        ..RestoreFlagRequest::default()
    };
    let restored = server.admin().flags().restore_flag(request).await.unwrap();
    let position = restored.into_inner().positions[0].position.unwrap();
    let record = watcher.reaches(position).await;
    assert!(record.ledger.flag("banner").unwrap().enabled);
}

#[tokio::test]
async fn a_long_segment_ships_the_part_that_changes() {
    let (server, shop, production, watcher) = followed().await;
    shop.create_segment(segment("beta")).await;
    production
        .configure("banner", rules(vec![for_beta()]))
        .await;
    let add = |keys: Vec<String>| AddSegmentKeysRequest {
        name: production.segment_name("beta"),
        list: SegmentList::Included.into(),
        keys,
        ..AddSegmentKeysRequest::default()
    };
    let mut segments = server.admin().segments();
    let keys = (0..LONG_LIST).map(|number| format!("user-{number}"));
    segments
        .add_segment_keys(add(keys.collect()))
        .await
        .unwrap();
    let many = production.position().await;
    let before = watcher.reaches(many).await;
    let part = i32::from(ItemKind::SegmentPart);
    let parts = before.ledger.items.keys().filter(|(kind, _)| *kind == part);
    assert_eq!(parts.count(), 256);

    segments
        .add_segment_keys(add(vec!["alice".to_owned()]))
        .await
        .unwrap();

    let one_more = production.position().await;
    assert_eq!(one_more.revision, many.revision + 1);
    let after = watcher.reaches(one_more).await;
    let changed = after.ledger.items.values();
    let changed = changed.filter(|item| item.revision == one_more.revision);
    assert_eq!(changed.count(), 1, "one part");
}

#[tokio::test]
async fn a_large_ruleset_comes_in_chunks() {
    let (server, shop, production, watcher) = followed().await;
    for number in 0..24 {
        let mut flag = boolean_flag(&format!("large-{number}"));
        flag.r#type = FlagType::String.into();
        let body = "x".repeat(60 * 1024);
        flag.variants = ["a", "b"].map(|key| variant(key, text(&body))).to_vec();
        shop.create_flag(flag).await;
    }
    let head = production.position().await;
    watcher.reaches(head).await;

    let newcomer = RulesetWatcher::follow(&server.caller(&production.server_key().await));
    let head = production.position().await;

    let record = newcomer.reaches(head).await;
    assert!(record.ledger.counts()[&Kind::Snapshot] > 1);
    let followed = watcher.reaches(head).await;
    assert_eq!(record.ledger.items, followed.ledger.items);
}

#[tokio::test]
async fn a_copied_environment_begins_as_its_model_and_goes_its_own_way() {
    let (server, shop, production, _watcher) = followed().await;
    let changed = production.enable("banner").await;
    let request = CreateEnvironmentRequest {
        parent: shop.name(),
        environment: Some(Environment {
            key: "copy".to_owned(),
            ..Environment::default()
        }),
        copy_from: production.name.clone(),
        ..CreateEnvironmentRequest::default()
    };
    let made = server
        .admin()
        .environments()
        .create_environment(request)
        .await;
    let made = made.unwrap().into_inner().environment.unwrap();
    assert_eq!(made.position.unwrap().revision, 1, "revisions begin at 1");
    let copy = TestEnvironment {
        name: made.name,
        uid: made.uid,
        ..production.clone()
    };
    assert!(copy.config("banner").await.enabled);

    copy.disable("banner").await;

    assert!(production.config("banner").await.enabled);
    assert_eq!(production.position().await, changed);
}
