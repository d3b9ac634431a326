//! Two servers on one database: they share nothing but Postgres, and behave as
//! one.

use std::sync::Arc;

use burgee_proto::admin::v1::{
    ApiKey, CreateApiKeyRequest, CreateFlagRequest, DeleteEnvironmentRequest, Flag,
    RevokeApiKeyRequest, UpdateFlagRequest,
};
use burgee_proto::types::v1::AccessKeyKind;
use burgee_tests::builders::{
    boolean_flag, equals, fallthrough, prerequisite, prerequisites, rule, rules, serve, string_flag,
};
use burgee_tests::callers::Caller;
use burgee_tests::errors::{reason, refused};
use burgee_tests::postgres::TestDatabase;
use burgee_tests::project::{TestEnvironment, TestProject};
use burgee_tests::server::TestServer;
use burgee_tests::watcher::RulesetWatcher;
use prost_types::FieldMask;
use tokio::task::JoinSet;
use tonic::{Code, Status};

/// Races that are lost once in a while are run more than once.
const ROUNDS: usize = 10;

struct Pair {
    one: TestServer,
    other: TestServer,
    shop: TestProject,
    production: TestEnvironment,
}

impl Pair {
    async fn start() -> Self {
        let database = Arc::new(TestDatabase::create().await);
        let one = TestServer::on(&database).await;
        let other = TestServer::on(&database).await;
        let (shop, production) = one.shop().await;
        Self {
            one,
            other,
            shop,
            production,
        }
    }

    /// The revisions of every environment are 1, 2, 3, … in the order of their
    /// commits, and Postgres has broken no deadlock.
    async fn assert_orderly_history(&self) {
        let database = self.one.database();
        let holes = "select count(*) from (
            select revision, row_number() over (partition by environment_id order by revision) as n
            from environment_changes) as changes where revision <> n";
        assert_eq!(database.number(holes).await, 0, "holes in the revisions");
        let heads = "select count(*) from environment_heads as head where revision <> (
            select max(revision) from environment_changes as change
            where change.environment_id = head.environment_id)";
        assert_eq!(
            database.number(heads).await,
            0,
            "heads beside their history"
        );
        let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
        assert_eq!(database.number(deadlocks).await, 0, "deadlocks");
    }
}

#[tokio::test]
async fn a_change_made_at_one_server_reaches_the_streams_of_the_other() {
    let pair = Pair::start().await;
    pair.shop.create_flag(boolean_flag("banner")).await;
    let key = pair.production.server_key().await;
    let watcher = RulesetWatcher::follow(&pair.other.caller(&key));
    watcher.synchronised().await;

    let changed = pair.production.enable("banner").await;

    let record = watcher.reaches(changed).await;
    assert!(record.ledger.flag("banner").unwrap().enabled);
}

#[tokio::test]
async fn of_two_writers_with_the_same_etag_one_wins_and_one_is_aborted() {
    let pair = Pair::start().await;
    pair.shop
        .create_flag(string_flag("theme", &["light", "dark"]))
        .await;
    for _ in 0..ROUNDS {
        let before = pair.production.position().await;
        let current = pair.production.config("theme").await;
        let flip = if current.fallthrough == Some(serve("dark")) {
            "light"
        } else {
            "dark"
        };
        let change = fallthrough(serve(flip));
        let request = pair.production.configure_request("theme", change).await;
        let (mut one, mut other) = (pair.one.admin().flags(), pair.other.admin().flags());

        let (first, second) = tokio::join!(
            one.update_flag_config(request.clone()),
            other.update_flag_config(request.clone()),
        );

        let (won, lost) = if first.is_ok() {
            (first, second)
        } else {
            (second, first)
        };
        won.expect("one of the two is accepted");
        assert_eq!(reason(&refused(lost, Code::Aborted)), "ETAG_MISMATCH");
        let after = pair.production.position().await;
        assert_eq!(after.revision, before.revision + 1);
    }
    pair.assert_orderly_history().await;
}

#[tokio::test]
async fn two_racing_edits_cannot_close_a_cycle_of_prerequisites() {
    let pair = Pair::start().await;
    for round in 0..ROUNDS {
        let (a, b) = (format!("a{round}"), format!("b{round}"));
        pair.shop.create_flag(boolean_flag(&a)).await;
        pair.shop.create_flag(boolean_flag(&b)).await;
        let needs = |key: &str| prerequisites(vec![prerequisite(key, &["on"])]);
        let a_needs_b = pair.production.configure_request(&a, needs(&b)).await;
        let b_needs_a = pair.production.configure_request(&b, needs(&a)).await;
        let (mut one, mut other) = (pair.one.admin().flags(), pair.other.admin().flags());

        let (first, second) = tokio::join!(
            one.update_flag_config(a_needs_b),
            other.update_flag_config(b_needs_a),
        );

        let (won, lost) = if first.is_ok() {
            (first, second)
        } else {
            (second, first)
        };
        won.expect("one of the two is accepted");
        let status = refused(lost, Code::FailedPrecondition);
        assert_eq!(reason(&status), "PREREQUISITE_CYCLE");
    }
    pair.assert_orderly_history().await;
}

#[tokio::test]
async fn a_variant_is_not_removed_while_another_environment_begins_to_use_it() {
    let pair = Pair::start().await;
    let staging = pair.shop.environment("staging").await;
    for round in 0..ROUNDS {
        let key = format!("theme{round}");
        pair.shop
            .create_flag(string_flag(&key, &["light", "sepia", "dark"]))
            .await;
        // Nothing uses sepia yet: the flag serves its first variant, or its last.
        let definition = pair.shop.flag(&key).await;
        let keep = |name: &str| {
            definition
                .variants
                .iter()
                .find(|it| it.key == name)
                .cloned()
        };
        let without_sepia = UpdateFlagRequest {
            flag: Some(Flag {
                name: pair.shop.flag_name(&key),
                variants: ["light", "dark"].into_iter().filter_map(keep).collect(),
                ..Flag::default()
            }),
            update_mask: Some(FieldMask {
                paths: vec!["variants".to_owned()],
            }),
            etag: definition.etag.clone(),
            ..UpdateFlagRequest::default()
        };
        let change = fallthrough(serve("sepia"));
        let serves_sepia = staging.configure_request(&key, change).await;
        let (mut one, mut other) = (pair.one.admin().flags(), pair.other.admin().flags());

        let (removed, used) = tokio::join!(
            one.update_flag(without_sepia),
            other.update_flag_config(serves_sepia),
        );

        let left = pair.shop.flag(&key).await.variants;
        let sepia = left.iter().any(|variant| variant.key == "sepia");
        if removed.is_ok() {
            let code = used.expect_err("one of the two is refused").code();
            let refusals = [Code::InvalidArgument, Code::FailedPrecondition];
            assert!(refusals.contains(&code), "{code:?}");
            assert!(!sepia);
        } else {
            used.expect("one of the two is accepted");
            let status = refused(removed, Code::FailedPrecondition);
            assert_eq!(reason(&status), "VARIANT_IN_USE");
            assert!(sepia);
        }
    }
    pair.assert_orderly_history().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_wide_and_narrow_changes_ends_without_deadlock_or_hole() {
    /// Concurrent writers of each sort.
    const WRITERS: usize = 4;
    /// Changes of each.
    const CHANGES: usize = 15;

    let pair = Pair::start().await;
    let staging = pair.shop.environment("staging").await;
    for key in ["a", "b", "c"] {
        pair.shop.create_flag(boolean_flag(key)).await;
    }
    let key = pair.production.server_key().await;
    let watchers = [&pair.one, &pair.other].map(|it| RulesetWatcher::follow(&it.caller(&key)));

    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let server = [&pair.one, &pair.other][writer % 2];
        let production = pair.production.through(server);
        let staging = staging.through(server);
        let shop = pair.shop.through(server);
        let admin = server.admin().clone();
        writers.spawn(async move {
            let mut outcomes = Vec::new();
            for change in 0..CHANGES {
                let flag = ["a", "b", "c"][(writer + change) % 3];
                let environment = [&production, &staging][change % 2];
                // One environment.
                let request = environment.set_enabled_request(flag, change % 4 < 2);
                outcomes.push(admin.flags().set_flag_enabled(request).await.err());
                // One environment, by an etag that others move.
                let id = format!("r{writer}");
                let change_rules = rules(vec![rule(
                    &id,
                    equals("n", &[&change.to_string()]),
                    serve("on"),
                )]);
                let request = environment.configure_request(flag, change_rules).await;
                outcomes.push(admin.flags().update_flag_config(request).await.err());
                // The whole project, by an etag that others move.
                let request = UpdateFlagRequest {
                    etag: shop.flag(flag).await.etag,
                    flag: Some(Flag {
                        name: shop.flag_name(flag),
                        client_visible: true,
                        display_name: format!("{writer}.{change}"),
                        ..Flag::default()
                    }),
                    ..UpdateFlagRequest::default()
                };
                outcomes.push(admin.flags().update_flag(request).await.err());
                // The whole project, something new.
                let request = CreateFlagRequest {
                    parent: shop.name(),
                    flag: Some(boolean_flag(&format!("new-{writer}-{change}"))),
                    ..CreateFlagRequest::default()
                };
                outcomes.push(admin.flags().create_flag(request).await.err());
            }
            // The organization: a new environment, and a key for it.
            let environment = shop.environment(&format!("preview-{writer}")).await;
            environment.server_key().await;
            outcomes
        });
    }

    let outcomes: Vec<Option<Status>> = writers.join_all().await.into_iter().flatten().collect();
    for status in outcomes.into_iter().flatten() {
        assert_eq!(status.code(), Code::Aborted, "{status:?}");
    }
    let head = pair.production.position().await;
    let [one, other] = &watchers;
    let (one, other) = (one.reaches(head).await, other.reaches(head).await);
    assert_eq!(one.ledger.items, other.ledger.items);
    pair.assert_orderly_history().await;
}

/// Makes a relay key that opens every environment there is, and ends it.
async fn make_and_end_a_key_of_all(owner: &Caller) {
    let request = CreateApiKeyRequest {
        api_key: Some(ApiKey {
            kind: AccessKeyKind::Relay.into(),
            environment_patterns: vec!["projects/*/environments/*".to_owned()],
            ..ApiKey::default()
        }),
        ..CreateApiKeyRequest::default()
    };
    let mut keys = owner.api_keys();
    let made = keys.create_api_key(request).await.unwrap();
    let request = RevokeApiKeyRequest {
        name: made.into_inner().api_key.unwrap().name,
        ..RevokeApiKeyRequest::default()
    };
    keys.revoke_api_key(request).await.unwrap();
}

async fn delete(environment: &TestEnvironment) {
    let request = DeleteEnvironmentRequest {
        name: environment.name.clone(),
        etag: environment.get().await.etag,
        ..DeleteEnvironmentRequest::default()
    };
    let mut environments = environment.admin.environments();
    environments.delete_environment(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn environments_come_and_go_under_keys_of_all_without_deadlock_or_hole() {
    /// Environments that each server makes and deletes.
    const ENVIRONMENTS: usize = 8;
    /// Changes of each project's flags at each server.
    const CHANGES: usize = 30;

    let pair = Pair::start().await;
    let blog = pair.one.project("blog").await;
    let start = blog.environment("production").await;
    make_and_end_a_key_of_all(pair.one.admin()).await;
    let homes = [(&pair.shop, &pair.production), (&blog, &start)];
    let mut watchers = Vec::new();
    for (project, production) in homes {
        project.create_flag(boolean_flag("a")).await;
        let key = production.server_key().await;
        let follow = |it: &TestServer| RulesetWatcher::follow(&it.caller(&key));
        watchers.push((production, [follow(&pair.one), follow(&pair.other)]));
    }

    let mut writers = JoinSet::new();
    for (number, server) in [&pair.one, &pair.other].into_iter().enumerate() {
        let projects = homes.map(|(project, _)| project.through(server));
        // Of all heads, its own project's first: now the lower ones, now the higher.
        writers.spawn(async move {
            for round in 0..ENVIRONMENTS {
                let project = &projects[(number + round) % 2];
                let key = format!("preview-{number}-{round}");
                let environment = project.environment(&key).await;
                make_and_end_a_key_of_all(&environment.admin).await;
                delete(&environment).await;
            }
        });
        for (project, production) in homes {
            let (project, production) = (project.through(server), production.through(server));
            writers.spawn(async move {
                for change in 0..CHANGES {
                    production.set_enabled("a", change % 2 == 0).await;
                    let request = UpdateFlagRequest {
                        etag: project.flag("a").await.etag,
                        flag: Some(Flag {
                            name: project.flag_name("a"),
                            display_name: format!("{number}.{change}"),
                            client_visible: change % 2 == 0,
                            ..Flag::default()
                        }),
                        ..UpdateFlagRequest::default()
                    };
                    if let Err(status) = production.admin.flags().update_flag(request).await {
                        assert_eq!(status.code(), Code::Aborted, "{status:?}");
                    }
                }
            });
        }
    }
    writers.join_all().await;

    for (production, [one, other]) in &watchers {
        let head = production.position().await;
        let (one, other) = (one.reaches(head).await, other.reaches(head).await);
        assert_eq!(one.ledger.items, other.ledger.items);
    }
    pair.assert_orderly_history().await;
}
