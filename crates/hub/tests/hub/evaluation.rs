//! Flags evaluated for callers that do not do so themselves.

use std::time::Duration;

use burgee_hub::NotCompiled;
use burgee_proto::evaluation::v1::{
    EvaluateAllRequest, EvaluateAllResponse, EvaluateRequest, ExplainRequest,
};
use burgee_proto::types::v1::{
    AccessKey, ErrorCode, Evaluation, Explanation, Position, Reason, ValueType,
};
use prost_types::value::Kind;
use tonic::{Code, Request, Status};

use crate::flags::{but_not_in, flag, flag_item, needing, off, somebody};
use crate::harness::{TestHub, reason, with_key};
use crate::world::{TestKey, at};

fn request(flag_key: &str) -> EvaluateRequest {
    EvaluateRequest {
        flag_key: flag_key.to_owned(),
        context: Some(somebody("alice")),
        ..EvaluateRequest::default()
    }
}

async fn call(test: &TestHub, request: Request<EvaluateRequest>) -> Result<Evaluation, Status> {
    let response = test.evaluation().evaluate(request).await?;
    Ok(response.into_inner().evaluation.unwrap())
}

async fn evaluate(test: &TestHub, key: &TestKey, request: EvaluateRequest) -> Evaluation {
    call(test, with_key(&key.secret, request)).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_flag_is_evaluated_and_a_change_is_seen_by_the_next_call() {
    let mut test = TestHub::new();
    test.ship_flag(&flag("checkout", true));
    let first = evaluate(&test, &test.server, request("checkout")).await;
    assert_eq!(first.value.unwrap().kind, Some(Kind::BoolValue(true)));
    assert_eq!(
        (first.reason, first.variant.as_str()),
        (Reason::Static.into(), "on")
    );
    assert_eq!(first.position, Some(test.world.position));
    assert!(first.metadata.is_some());
    test.ship_flag(&off(flag("checkout", true)));
    let second = evaluate(&test, &test.server, request("checkout")).await;
    assert_eq!(
        (second.reason, second.variant.as_str()),
        (Reason::Disabled.into(), "off")
    );
    assert_eq!(second.position, Some(test.world.position));
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_flag_or_a_context_is_an_answer() {
    let mut test = TestHub::new();
    test.ship_flag(&flag("checkout", true));
    let absent = evaluate(&test, &test.server, request("no-such-flag")).await;
    let mistyped = EvaluateRequest {
        r#type: ValueType::String.into(),
        ..request("checkout")
    };
    let mistyped = evaluate(&test, &test.server, mistyped).await;
    let too_long = EvaluateRequest {
        context: Some(somebody(&"x".repeat(2000))),
        ..request("no-such-flag")
    };
    let too_long = evaluate(&test, &test.server, too_long).await;
    // These flags have no type.
    let unread = evaluate(&test, &test.server, request("flag-01")).await;
    let expected = [
        (absent, ErrorCode::FlagNotFound),
        (mistyped, ErrorCode::TypeMismatch),
        (too_long, ErrorCode::InvalidContext),
        (unread, ErrorCode::ParseError),
    ];
    for (evaluation, code) in expected {
        assert_eq!(evaluation.reason(), Reason::Error);
        assert_eq!(evaluation.error_code(), code);
        assert_eq!(evaluation.position, Some(test.world.position));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_key_sees_client_visible_flags_only_and_nothing_about_rules() {
    let mut test = TestHub::new();
    test.ship_flag(&flag("hidden", false));
    test.ship_flag(&flag("visible", true));
    let visible = evaluate(&test, &test.client, request("visible")).await;
    assert_eq!(visible.variant, "on");
    assert_eq!((visible.metadata, visible.rule_id.as_str()), (None, ""));
    let mut hidden = evaluate(&test, &test.client, request("hidden")).await;
    let absent = evaluate(&test, &test.client, request("absent")).await;
    assert_eq!(hidden.error_code(), ErrorCode::FlagNotFound);
    hidden.flag_key = "absent".to_owned();
    assert_eq!(hidden, absent);

    let seen = everything(&test, &test.client, EvaluateAllRequest::default()).await;
    let keys: Vec<_> = seen
        .evaluations
        .iter()
        .map(|it| it.flag_key.as_str())
        .collect();
    assert_eq!(keys, ["visible"]);
    let all = everything(&test, &test.server, EvaluateAllRequest::default()).await;
    assert_eq!(all.evaluations.len(), 22);
}

#[tokio::test(start_paused = true)]
async fn all_flags_or_some_are_evaluated_at_one_position_in_order() {
    let mut test = TestHub::new();
    test.ship_flag(&flag("b", true));
    test.ship_flag(&flag("a", true));
    let message = EvaluateAllRequest {
        flag_keys: ["b", "zzz", "a", "b"].map(str::to_owned).into(),
        ..EvaluateAllRequest::default()
    };
    let all = everything(&test, &test.server, message).await;
    let keys: Vec<_> = all
        .evaluations
        .iter()
        .map(|it| it.flag_key.as_str())
        .collect();
    assert_eq!(keys, ["a", "b", "zzz"]);
    assert!(all.evaluations.iter().all(|it| it.position.is_none()));
    assert_eq!(all.position, Some(test.world.position));
}

#[tokio::test(start_paused = true)]
async fn a_client_key_works_from_its_origins_only() {
    let mut test = TestHub::new();
    test.ship_flag(&flag("visible", true));
    let restricted = AccessKey {
        allowed_origins: vec!["https://shop.example".to_owned()],
        ..test.client.key.clone()
    };
    test.client.key = restricted.clone();
    test.know(&test.client);
    let delta = test.world.set_key(&restricted);
    test.publish(delta);
    let from = |origin: Option<&str>| {
        let mut request = with_key(&test.client.secret, request("visible"));
        if let Some(origin) = origin {
            (request.metadata_mut()).insert("origin", origin.parse().unwrap());
        }
        request
    };
    assert!(
        call(&test, from(Some("https://shop.example")))
            .await
            .is_ok()
    );
    assert!(call(&test, from(None)).await.is_ok());
    let refused = call(&test, from(Some("https://evil.example")))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(reason(&refused), "PERMISSION_DENIED");
}

#[tokio::test(start_paused = true)]
async fn a_wanted_position_is_reached_or_the_call_fails() {
    let mut test = TestHub::new();
    test.ship_flag(&flag("checkout", true));
    evaluate(&test, &test.server, request("checkout")).await;
    // Committed, but no news of it has come.
    (test.world).change([flag_item(&off(flag("checkout", true)))]);
    test.source.hold(&test.world);
    let wanting = |position: Position| EvaluateRequest {
        min_position: Some(position),
        ..request("checkout")
    };
    let seen = evaluate(&test, &test.server, wanting(test.world.position)).await;
    assert_eq!(
        (seen.variant.as_str(), seen.position),
        ("off", Some(test.world.position))
    );

    let mut never = with_key(&test.server.secret, wanting(at(1, 1_000_000)));
    never.set_timeout(Duration::from_millis(1500));
    let start = tokio::time::Instant::now();
    let refused = call(&test, never).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused)),
        (Code::Unavailable, "NOT_CURRENT".to_owned())
    );
    assert_eq!(
        start.elapsed().as_millis(),
        1400,
        "before the caller gives up"
    );
}

#[tokio::test(start_paused = true)]
async fn the_process_itself_gets_a_compiled_ruleset_at_a_position_or_newer() {
    let mut test = TestHub::new();
    test.ship_flag(&flag("checkout", true));
    let uid = test.uid();
    let here = test.world.position;
    let (position, ruleset) = test.hub.compiled(&uid, at(0, 0)).await.unwrap();
    assert_eq!((position, ruleset.problem("checkout")), (here, None));
    // Committed, but no news of it has come: the hub asks its source.
    let next = test.world.set_flag("later", "not told");
    test.source.hold(&test.world);
    let (position, ruleset) = test.hub.compiled(&uid, next.position).await.unwrap();
    assert_eq!(position, next.position);
    assert!(ruleset.flag_keys().any(|key| key == "later"));
    let beyond = at(next.position.epoch, next.position.revision + 1);
    let refused = test.hub.compiled(&uid, beyond).await;
    assert!(matches!(refused, Err(NotCompiled::NotCurrent(_))));
    let refused = test.hub.compiled("nowhere", at(0, 0)).await;
    assert!(matches!(refused, Err(NotCompiled::NoEnvironment)));
}

async fn everything(
    test: &TestHub,
    key: &TestKey,
    request: EvaluateAllRequest,
) -> EvaluateAllResponse {
    let request = with_key(&key.secret, request);
    let answer = test.evaluation().evaluate_all(request).await;
    answer.unwrap().into_inner()
}

#[tokio::test(start_paused = true)]
async fn results_that_are_still_the_same_are_left_out() {
    let mut test = TestHub::new();
    test.ship_flag(&flag("checkout", true));
    let knowing = |etag: &str| EvaluateAllRequest {
        context: Some(somebody("alice")),
        etag: etag.to_owned(),
        ..EvaluateAllRequest::default()
    };
    let first = everything(&test, &test.server, knowing("")).await;
    assert!(!first.not_modified && !first.etag.is_empty() && first.evaluations.len() == 21);
    // A revision without a change for this context.
    let bystander = but_not_in("nobody", "rule", flag("checkout", true));
    test.ship_flag(&flag("checkout", true));
    let same = everything(&test, &test.server, knowing(&first.etag)).await;
    assert!(same.not_modified && same.evaluations.is_empty());
    assert_eq!(same.etag, first.etag);
    assert_eq!(same.position, Some(test.world.position));
    assert!(same.position > first.position);
    // Others are shown otherwise: the reason, and to client keys less.
    test.ship_flag(&bystander);
    let other = everything(&test, &test.server, knowing(&first.etag)).await;
    assert!(!other.not_modified && other.evaluations.len() == 21);
    let client = everything(&test, &test.client, knowing(&other.etag)).await;
    assert!(!client.not_modified && client.evaluations.len() == 1);
    let again = everything(&test, &test.client, knowing(&client.etag)).await;
    assert!(again.not_modified);
}

async fn explain(
    test: &TestHub,
    key: &TestKey,
    flag_key: &str,
    targeting_key: &str,
) -> Result<Explanation, Status> {
    let message = ExplainRequest {
        flag_key: flag_key.to_owned(),
        context: Some(somebody(targeting_key)),
        ..ExplainRequest::default()
    };
    let request = with_key(&key.secret, message);
    let response = test.evaluation().explain(request).await?;
    Ok(response.into_inner().explanation.unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_server_key_is_told_every_step_and_a_client_key_none() {
    let mut test = TestHub::new();
    test.ship_flag(&off(flag("base", true)));
    test.ship_flag(&needing("base", flag("checkout", true)));
    let told = explain(&test, &test.server, "checkout", "alice").await;
    let told = told.unwrap();
    let evaluated = evaluate(&test, &test.server, request("checkout")).await;
    assert_eq!(told.evaluation, Some(evaluated));
    let steps = told.flag.unwrap();
    assert_eq!(steps.reason(), Reason::PrerequisiteFailed);
    assert_eq!(told.prerequisites[0].flag_key, "base");
    assert_eq!(told.prerequisites[0].reason(), Reason::Disabled);
    for key in [&test.client, &test.relay] {
        let refused = explain(&test, key, "checkout", "alice").await;
        let refused = refused.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused)),
            (Code::PermissionDenied, "PERMISSION_DENIED".to_owned())
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_context_beyond_a_limit_is_explained_by_the_limit() {
    let mut test = TestHub::new();
    test.ship_flag(&flag("checkout", true));
    let told = explain(&test, &test.server, "checkout", &"x".repeat(2000)).await;
    let told = told.unwrap();
    let evaluation = told.evaluation.unwrap();
    assert_eq!(evaluation.error_code(), ErrorCode::InvalidContext);
    assert_eq!(evaluation.position, Some(test.world.position));
    assert_eq!(told.problem, "the targeting key is longer than 1024 bytes");
    assert_eq!(told.flag, None);
}
