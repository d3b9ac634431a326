//! A caller that does not know what became of its request asks again, and
//! nothing happens twice.

use burgee_proto::admin::v1::{ApiKey, CreateApiKeyRequest, SetFlagEnabledRequest};
use burgee_proto::types::v1::AccessKeyKind;
use burgee_tests::builders::boolean_flag;
use burgee_tests::errors::{reason, refused};
use burgee_tests::project::TestEnvironment;
use burgee_tests::server::TestServer;
use burgee_tests::wait::{SOON, until};
use tokio::task::JoinSet;
use tonic::Code;

/// Calls with one request id at once, at two servers.
const CALLS: usize = 8;

async fn banner() -> (TestServer, TestEnvironment) {
    let server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    shop.create_flag(boolean_flag("banner")).await;
    (server, production)
}

#[tokio::test]
async fn the_same_request_again_gives_the_same_answer_and_changes_nothing() {
    let (server, production) = banner().await;
    let request = production.set_enabled_request("banner", true);
    let mut flags = server.admin().flags();
    let first = flags.set_flag_enabled(request.clone()).await.unwrap();
    // Somebody turns it off again: the answer to the retry is about then.
    let off = production.disable("banner").await;

    let again = flags.set_flag_enabled(request).await.unwrap();

    assert_eq!(again.get_ref(), first.get_ref());
    assert_eq!(production.position().await, off);
    assert!(!production.config("banner").await.enabled);
}

#[tokio::test]
async fn the_same_request_many_times_at_once_is_one_change() {
    let (server, production) = banner().await;
    let other = TestServer::on(server.database()).await;
    let before = production.position().await;
    let request = production.set_enabled_request("banner", true);

    let mut calls = JoinSet::new();
    for call in 0..CALLS {
        let server = [&server, &other][call % 2];
        let (mut flags, request) = (server.admin().flags(), request.clone());
        calls.spawn(async move { flags.set_flag_enabled(request).await.unwrap().into_inner() });
    }
    let answers = calls.join_all().await;

    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:#?}"
    );
    assert_eq!(production.position().await.revision, before.revision + 1);
}

#[tokio::test]
async fn a_request_id_is_not_taken_for_another_request() {
    let (server, production) = banner().await;
    let request = production.set_enabled_request("banner", true);
    let mut flags = server.admin().flags();
    let answer = flags.set_flag_enabled(request.clone()).await.unwrap();

    let other = SetFlagEnabledRequest {
        enabled: false,
        ..request
    };
    let status = refused(flags.set_flag_enabled(other).await, Code::InvalidArgument);

    assert_eq!(reason(&status), "REQUEST_ID_REUSED");
    let position = answer.into_inner().positions[0].position.unwrap();
    assert_eq!(production.position().await, position);
}

#[tokio::test]
async fn a_secret_is_shown_once_even_to_a_retry() {
    let (server, production) = banner().await;
    let request = CreateApiKeyRequest {
        api_key: Some(ApiKey {
            kind: AccessKeyKind::Server.into(),
            environments: vec![production.name.clone()],
            ..ApiKey::default()
        }),
        request_id: "a-key-please".to_owned(),
        ..CreateApiKeyRequest::default()
    };
    let mut keys = server.admin().api_keys();
    let first = keys
        .create_api_key(request.clone())
        .await
        .unwrap()
        .into_inner();

    let again = keys.create_api_key(request).await.unwrap().into_inner();

    assert!(!first.secret.is_empty() && !first.secret_already_shown);
    assert!(again.secret.is_empty() && again.secret_already_shown);
    assert_eq!(again.api_key, first.api_key);
    let kept = "select count(*) from idempotency_records where position($1 in response) > 0";
    let kept: i64 = sqlx::query_scalar(kept)
        .bind(first.secret.as_bytes())
        .fetch_one(server.database().pool())
        .await
        .unwrap();
    assert_eq!(kept, 0, "the secret was kept");
}

#[tokio::test]
async fn a_change_whose_caller_went_away_is_applied_whole() {
    let (server, production) = banner().await;
    let before = production.position().await;
    let pool = server.database().pool();
    // The change waits for a lock that the test holds.
    let mut lock = pool.begin().await.unwrap();
    sqlx::query("select 1 from environment_heads for update")
        .fetch_all(&mut *lock)
        .await
        .unwrap();
    let (mut flags, request) = (
        server.admin().flags(),
        production.set_enabled_request("banner", true),
    );
    let again = request.clone();
    let call = tokio::spawn(async move { flags.set_flag_enabled(request).await });
    until("the change waits for the lock", SOON, async || {
        let waiting = "select count(*) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'";
        server.database().number(waiting).await > 0
    })
    .await;

    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    lock.rollback().await.unwrap();

    until("the flag is on", SOON, async || {
        production.config("banner").await.enabled
    })
    .await;
    // And asking again under the same request id is no second change.
    let answer = server
        .admin()
        .flags()
        .set_flag_enabled(again)
        .await
        .unwrap();
    let position = answer.into_inner().positions[0].position.unwrap();
    assert_eq!(position.revision, before.revision + 1);
    assert_eq!(production.position().await, position);
}

#[tokio::test]
async fn a_request_that_only_validates_changes_nothing_and_says_what_it_would_do() {
    let (server, production) = banner().await;
    let before = production.position().await;
    let rows = "select (select count(*) from change_sets) + (select count(*) from audit_entries)
        + (select count(*) from outbox) + (select count(*) from idempotency_records)";
    let rows_before = server.database().number(rows).await;
    let request = SetFlagEnabledRequest {
        validate_only: true,
        ..production.set_enabled_request("banner", true)
    };
    let request_id = request.request_id.clone();

    let answer = server.admin().flags().set_flag_enabled(request).await;
    let answer = answer.unwrap().into_inner();

    let preview = answer.preview.expect("a preview");
    let [operation] = preview.operations.as_slice() else {
        panic!("not one operation: {preview:#?}");
    };
    assert_eq!(operation.resource, production.flag_name("banner"));
    assert!(answer.positions.is_empty());
    assert!(answer.flag_config.unwrap().enabled);
    assert!(!production.config("banner").await.enabled);
    assert_eq!(production.position().await, before);
    assert_eq!(server.database().number(rows).await, rows_before);
    // Nothing was kept under its request id either.
    let real = SetFlagEnabledRequest {
        request_id,
        ..production.set_enabled_request("banner", true)
    };
    let answer = server.admin().flags().set_flag_enabled(real).await.unwrap();
    assert!(answer.into_inner().preview.is_none());
    assert!(production.config("banner").await.enabled);
}
