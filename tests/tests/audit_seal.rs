//! The audit log is sealed behind those who write it: each entry once, in order, by whichever
//! server, with the key of the day.

use std::sync::Arc;

use burgee_server::audit::verify::{Expected, Finding};
use burgee_tests::audit::{key, sealed_with};
use burgee_tests::builders::boolean_flag;
use burgee_tests::postgres::TestDatabase;
use burgee_tests::project::TestEnvironment;
use burgee_tests::server::TestServer;
use burgee_tests::wait::{SOON, until};
use sqlx::{Postgres, Transaction};
use tokio::task::JoinSet;

pub(crate) async fn toggle(environment: &TestEnvironment) {
    environment.enable("banner").await;
    environment.disable("banner").await;
}

#[tokio::test]
async fn nobody_changes_the_log_while_its_triggers_stand() {
    let server = TestServer::start().await;
    server.shop().await;
    let database = server.database();
    database.is_sealed().await;
    for forbidden in [
        "update audit_entries set actor = 'x'",
        "update audit_entries set reason = '', erased = '{reason}'",
        "set burgee.audit_erasure = 'on'; update audit_entries set actor = 'x'",
        "set burgee.audit_erasure = 'on'; update audit_entries set reason = 'x', erased = '{reason}'",
        "set burgee.audit_erasure = 'on'; update audit_entries set after = null",
        "delete from audit_entries",
        "delete from audit_entries where false",
        "truncate audit_entries",
        "set session_replication_role = replica; delete from audit_entries",
        "update audit_seals set mac = sha256('')",
        "set burgee.audit_erasure = 'on'; update audit_seals set position = position + 1",
        "set burgee.audit_erasure = 'on'; update audit_seals set salts[1] = '\\x00'",
        "delete from audit_seals",
        "truncate audit_seals",
    ] {
        // Statements that are sent together are one transaction, with which settings end.
        let refused = database.execute(forbidden.to_owned());
        let error = refused.await.expect_err(forbidden);
        let code = error.as_database_error().unwrap().code();
        assert_eq!(code.as_deref(), Some("42501"), "{forbidden}: {error}");
    }
    database.verify_audit(&Expected::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_seal_each_entry_once_in_the_order_of_transactions() {
    /// Concurrent writers.
    const WRITERS: usize = 6;
    /// Changes of each.
    const CHANGES: usize = 30;

    let database = Arc::new(TestDatabase::create().await);
    let one = TestServer::sealing_with(&database, &key(1)).await;
    let other = TestServer::sealing_with(&database, &key(1)).await;
    let (shop, production) = one.shop().await;
    shop.create_flag(boolean_flag("banner")).await;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let environment = shop.environment(&format!("preview-{writer}")).await;
        let environment = environment.through([&one, &other][writer % 2]);
        writers.spawn(async move {
            for _ in 0..CHANGES / 2 {
                toggle(&environment).await;
            }
        });
    }
    writers.join_all().await;
    toggle(&production).await;
    database.is_sealed().await;

    let report = database.verify_audit(&sealed_with(&key(1))).await.unwrap();
    let entries = database.number("select count(*) from audit_entries").await;
    assert_eq!((report.entries, report.waiting), (entries, 0));
    assert!(usize::try_from(entries).unwrap() > WRITERS * CHANGES);
    let disorder = "select count(*) from (
        select (e.transaction_id, e.id) < lag((e.transaction_id, e.id)) over (order by s.position)
            as back
        from audit_seals s join audit_entries e on e.id = s.audit_id) as steps where back";
    assert_eq!(database.number(disorder).await, 0);
}

#[tokio::test]
async fn what_a_long_transaction_commits_late_is_sealed_in_its_place() {
    let database = Arc::new(TestDatabase::create().await);
    let server = TestServer::sealing_with(&database, &key(1)).await;
    let (shop, production) = server.shop().await;
    shop.create_flag(boolean_flag("banner")).await;
    let (early, early_entry) = open_transaction(&database).await;
    let (late, late_entry) = open_transaction(&database).await;
    toggle(&production).await;
    // Nothing before this entry can appear any more; before those of the toggle, one can.
    early.commit().await.unwrap();
    let newest =
        "select coalesce((select audit_id from audit_seals order by position desc limit 1), 0)";
    until("the early entry is sealed", SOON, async || {
        database.number(newest).await == early_entry
    })
    .await;
    let unsealed = database
        .verify_audit(&sealed_with(&key(1)))
        .await
        .unwrap()
        .waiting;
    assert_eq!(unsealed, 2, "those of the toggle");
    late.commit().await.unwrap();
    database.is_sealed().await;

    let report = database.verify_audit(&sealed_with(&key(1))).await.unwrap();
    let entries = database.number("select count(*) from audit_entries").await;
    assert_eq!(report.entries, entries);
    let ids = "select audit_id from audit_seals order by position desc limit 3";
    let ids = sqlx::query_scalar(ids).fetch_all(database.pool()).await;
    let ids: Vec<i64> = ids.unwrap();
    assert_eq!(ids[2], late_entry, "{ids:?}");
}

/// A transaction that has written an entry, and its id.
async fn open_transaction(database: &TestDatabase) -> (Transaction<'static, Postgres>, i64) {
    let mut transaction = database.pool().begin().await.unwrap();
    let insert = "insert into audit_entries
            (organization_id, actor, method, request_id, resource, part, reason)
        select id, 'somebody', '', '', '', '', '' from organizations returning id";
    let entry = sqlx::query_scalar(insert)
        .fetch_one(&mut *transaction)
        .await;
    (transaction, entry.unwrap())
}

#[tokio::test]
async fn a_log_that_was_restored_into_another_cluster_is_sealed_on() {
    let database = Arc::new(TestDatabase::create().await);
    let server = TestServer::sealing_with(&database, &key(1)).await;
    let (shop, production) = server.shop().await;
    // Of a transaction that this cluster is yet to come to, and not sealed when it was saved.
    let restored = "insert into audit_entries
            (transaction_id, organization_id, actor, method, request_id, resource, part, reason)
        select '1000000000000', id, 'somebody', '', '', '', '', ''
        from organizations cross join generate_series(1, 3)";
    database.execute(restored.to_owned()).await.unwrap();
    database.is_sealed().await;
    shop.create_flag(boolean_flag("banner")).await;
    toggle(&production).await;
    database.is_sealed().await;
    toggle(&production).await;
    database.is_sealed().await;

    let report = database.verify_audit(&sealed_with(&key(1))).await.unwrap();
    let entries = database.number("select count(*) from audit_entries").await;
    assert_eq!((report.entries, report.waiting), (entries, 0));
}

#[tokio::test]
async fn a_server_tells_that_the_end_of_the_log_was_cut_off() {
    let database = Arc::new(TestDatabase::create().await);
    let server = TestServer::sealing_with(&database, &key(1)).await;
    let (shop, _) = server.shop().await;
    database.is_sealed().await;
    // Whoever seals this has seen that.
    shop.create_flag(boolean_flag("banner")).await;
    database.is_sealed().await;
    let cut = "alter table audit_seals disable trigger all; delete from audit_seals";
    database.execute(cut.to_owned()).await.unwrap();
    until("the server tells", SOON, async || {
        server.log().contains("has lost a seal")
    })
    .await;
    // What is still there is sealed again: that this happened is for the server's log to tell.
    database.is_sealed().await;
    database.verify_audit(&sealed_with(&key(1))).await.unwrap();
}

#[tokio::test]
async fn the_key_is_rotated_and_a_server_without_one_does_not_go_on() {
    let database = Arc::new(TestDatabase::create().await);
    // At first there is none.
    let mut server = TestServer::on(&database).await;
    let (shop, production) = server.shop().await;
    shop.create_flag(boolean_flag("banner")).await;
    database.is_sealed().await;
    server.stop().await;
    let unkeyed = database
        .verify_audit(&Expected::default())
        .await
        .unwrap()
        .entries;
    let both = format!("{},{}", key(2), key(1));
    let sealed = "select count(*) from audit_seals";
    let mut rotations = vec![unkeyed];
    for keys in [key(1), both.clone()] {
        let mut server = TestServer::sealing_with(&database, &keys).await;
        toggle(&production.through(&server)).await;
        database.is_sealed().await;
        server.stop().await;
        rotations.push(database.number(sealed).await);
    }
    let [_, rotated, all] = rotations[..] else {
        panic!("{rotations:?}")
    };

    let expected = Expected {
        unkeyed_up_to: unkeyed,
        ..sealed_with(&both)
    };
    let report = database.verify_audit(&expected).await.unwrap();
    assert_eq!(report.entries, all);
    let found = database
        .verify_audit(&sealed_with(&both))
        .await
        .unwrap_err();
    assert!(
        matches!(found, Finding::Unkeyed { position: 1, .. }),
        "{found}"
    );
    for (keys, from) in [(key(1), rotated + 1), (key(2), unkeyed + 1)] {
        let expected = Expected {
            unkeyed_up_to: unkeyed,
            ..sealed_with(&keys)
        };
        let found = database.verify_audit(&expected).await.unwrap_err();
        let at = |position| position == from;
        assert!(
            matches!(found, Finding::KeyUnknown { position, .. } if at(position)),
            "{found}"
        );
    }

    let server = TestServer::on(&database).await;
    toggle(&production.through(&server)).await;
    until("the server says why it does not seal", SOON, async || {
        server.log().contains("KeyMissing")
    })
    .await;
    let report = database.verify_audit(&expected).await.unwrap();
    assert_eq!(report.entries, all);
    assert!(report.waiting >= 2);
}
