//! EvaluateFlags and ExplainFlag: people try flags out with their own
//! credential, and see all that was committed before they asked.

use std::sync::Arc;

use burgee_proto::admin::v1::{EvaluateFlagsRequest, EvaluateFlagsResponse, ExplainFlagRequest};
use burgee_proto::types::v1::{
    ErrorCode, EvaluationContext, Explanation, FlagType, Reason, ValueType,
};
use burgee_tests::builders::{
    boolean_flag, context, equals, rule, rules, serve, string_flag, text, variant,
};
use burgee_tests::callers::Caller;
use burgee_tests::errors::{fields, reason, refused};
use burgee_tests::postgres::TestDatabase;
use burgee_tests::project::{TestEnvironment, TestProject};
use burgee_tests::server::TestServer;
use prost::Message as _;
use tonic::{Code, Status};

/// Changes that are asked for at once at another server.
const ROUNDS: usize = 20;
/// Bytes of a targeting key that are too many.
const TOO_LONG: usize = 1_025;

fn evaluation(production: &TestEnvironment, keys: &[&str]) -> EvaluateFlagsRequest {
    EvaluateFlagsRequest {
        environment: production.name.clone(),
        context: Some(context("alice", &[("plan", "pro")])),
        flag_keys: keys.iter().map(|&key| key.to_owned()).collect(),
        ..EvaluateFlagsRequest::default()
    }
}

fn explanation(production: &TestEnvironment, flag: &str) -> ExplainFlagRequest {
    ExplainFlagRequest {
        name: production.flag_name(flag),
        context: Some(context("alice", &[("plan", "pro")])),
        ..ExplainFlagRequest::default()
    }
}

async fn evaluate(
    caller: &Caller,
    request: EvaluateFlagsRequest,
) -> Result<EvaluateFlagsResponse, Status> {
    let answer = caller.flags().evaluate_flags(request).await;
    answer.map(tonic::Response::into_inner)
}

async fn explain(caller: &Caller, request: ExplainFlagRequest) -> Result<Explanation, Status> {
    let answer = caller.flags().explain_flag(request).await?;
    Ok(answer.into_inner().explanation.unwrap())
}

/// A project with the flags `a` to `e`.
async fn five() -> (TestServer, TestProject, TestEnvironment) {
    let server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    for key in ["c", "a", "e", "b", "d"] {
        shop.create_flag(boolean_flag(key)).await;
    }
    (server, shop, production)
}

fn keys(answer: &EvaluateFlagsResponse) -> Vec<&str> {
    let evaluations = answer.evaluations.iter();
    evaluations.map(|it| it.flag_key.as_str()).collect()
}

#[tokio::test]
async fn whatever_was_committed_at_one_server_is_in_the_answer_of_the_other() {
    let database = Arc::new(TestDatabase::create().await);
    let one = TestServer::on(&database).await;
    let other = TestServer::on(&database).await;
    let (shop, production) = one.shop().await;
    shop.create_flag(boolean_flag("banner")).await;
    for round in 0..ROUNDS {
        let enabled = round % 2 == 0;
        let committed = production.set_enabled("banner", enabled).await;

        let all = evaluate(other.admin(), evaluation(&production, &[])).await;
        let why = explain(other.admin(), explanation(&production, "banner")).await;

        let (all, why) = (all.unwrap(), why.unwrap());
        let why = why.evaluation.unwrap();
        let expected = if enabled {
            Reason::Static
        } else {
            Reason::Disabled
        };
        assert_eq!(all.evaluations[0].reason(), expected, "round {round}");
        assert_eq!(why.reason(), expected, "round {round}");
        assert!(all.position >= Some(committed), "{all:?}");
        assert!(why.position >= Some(committed), "{why:?}");
    }
}

#[tokio::test]
async fn people_are_told_what_the_data_plane_tells_and_rules_by_their_ids() {
    let (server, _shop, production) = five().await;
    let pro = rule("pro-plan", equals("plan", &["pro"]), serve("on"));
    production.configure("a", rules(vec![pro])).await;
    production.enable("a").await;
    let sdk = server.caller(&production.server_key().await);
    let alice = || context("alice", &[("plan", "pro")]);

    let answer = evaluate(server.admin(), evaluation(&production, &["a"])).await;

    let answer = answer.unwrap();
    let mut told = answer.evaluations[0].clone();
    assert_eq!(told.position, None, "it is the response's");
    told.position = answer.position;
    assert_eq!(told.rule_id, "pro-plan");
    let by_sdk = sdk.evaluate("a", alice()).await.unwrap();
    // A key was made in between, which moves the environment.
    told.position = by_sdk.position;
    assert_eq!(told, by_sdk);
    let why = explain(server.admin(), explanation(&production, "a")).await;
    let why = why.unwrap();
    assert_eq!(why.evaluation, Some(by_sdk));
    let seen = "\n  ✓ rule pro-plan\n    ✓ plan EQUALS \"pro\": saw \"pro\"\n    serves on";
    assert!(why.to_string().ends_with(seen), "{why}");
}

#[tokio::test]
async fn flags_come_in_pages_ordered_by_key_and_a_page_belongs_to_its_question() {
    let (server, _shop, production) = five().await;
    let page = |page_token: &str, keys: &[&str]| EvaluateFlagsRequest {
        page_size: 2,
        page_token: page_token.to_owned(),
        ..evaluation(&production, keys)
    };
    let mut seen = Vec::new();
    let mut token = String::new();
    for _ in 0..3 {
        let answer = evaluate(server.admin(), page(&token, &[])).await.unwrap();
        assert!(answer.position.is_some());
        seen.extend(keys(&answer).iter().map(|&key| key.to_owned()));
        token = answer.next_page_token;
    }
    assert_eq!(seen, ["a", "b", "c", "d", "e"]);
    assert_eq!(token, "", "that was the last page");

    let named = ["e", "nothing", "a", "e"];
    let first = evaluate(server.admin(), page("", &named)).await.unwrap();
    assert_eq!(keys(&first), ["a", "e"], "each once, by key");
    let last = page(&first.next_page_token, &named);
    let last = evaluate(server.admin(), last).await.unwrap();
    assert_eq!(keys(&last), ["nothing"]);
    let unknown = &last.evaluations[0];
    assert_eq!(unknown.reason(), Reason::Error);
    assert_eq!(unknown.error_code(), ErrorCode::FlagNotFound);

    for other in [&["a", "e"][..], &[]] {
        let outcome = evaluate(server.admin(), page(&first.next_page_token, other)).await;
        let status = refused(outcome, Code::InvalidArgument);
        assert_eq!(fields(&status), ["page_token"]);
    }
    let mut many = evaluation(&production, &[]);
    many.flag_keys = (0..5_001).map(|n| format!("flag-{n}")).collect();
    let status = refused(evaluate(server.admin(), many).await, Code::InvalidArgument);
    assert_eq!(fields(&status), ["flag_keys"]);
}

#[tokio::test]
async fn a_page_of_large_values_is_one_that_clients_take() {
    /// So many of so many bytes are more than a client takes in one message.
    const FLAGS: usize = 80;
    const VALUE_BYTES: usize = 60 << 10;

    let server = TestServer::start().await;
    let (shop, production) = server.shop().await;
    for number in 0..FLAGS {
        let mut flag = string_flag(&format!("large-{number:02}"), &["small"]);
        flag.variants
            .push(variant("large", text(&"x".repeat(VALUE_BYTES))));
        shop.create_flag(flag).await;
    }
    // Off, a flag serves the last of its variants.
    let mut seen = Vec::new();
    let mut request = evaluation(&production, &[]);
    request.page_size = 1_000;
    loop {
        let answer = evaluate(server.admin(), request.clone()).await.unwrap();
        assert!(answer.encoded_len() < 3 << 20, "{}", answer.encoded_len());
        seen.extend(keys(&answer).iter().map(|&key| key.to_owned()));
        request.page_token = answer.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    let all: Vec<String> = (0..FLAGS)
        .map(|number| format!("large-{number:02}"))
        .collect();
    assert_eq!(seen, all);
}

#[tokio::test]
async fn a_context_over_a_limit_is_answered_with_the_limit() {
    let (server, _shop, production) = five().await;
    let long = Some(EvaluationContext {
        targeting_key: "x".repeat(TOO_LONG),
        attributes: None,
    });
    let request = EvaluateFlagsRequest {
        context: long.clone(),
        ..evaluation(&production, &["a", "nothing"])
    };
    let answer = evaluate(server.admin(), request).await.unwrap();
    for evaluation in &answer.evaluations {
        assert_eq!(evaluation.error_code(), ErrorCode::InvalidContext);
    }
    let request = ExplainFlagRequest {
        context: long,
        ..explanation(&production, "a")
    };
    let why = explain(server.admin(), request).await.unwrap();
    let told = why.evaluation.unwrap();
    assert_eq!(told.error_code(), ErrorCode::InvalidContext);
    assert!(told.position.is_some());
    assert!(why.problem.contains("1024"), "{}", why.problem);
    assert_eq!(why.flag, None);
}

#[tokio::test]
async fn another_type_than_the_flags_is_a_mismatch_and_an_unknown_one_is_refused() {
    let (server, _shop, production) = five().await;
    let typed = |it: i32| ExplainFlagRequest {
        r#type: it,
        ..explanation(&production, "a")
    };
    let why = explain(server.admin(), typed(ValueType::String.into())).await;
    let told = why.unwrap().evaluation.unwrap();
    assert_eq!(told.error_code(), ErrorCode::TypeMismatch);
    let why = explain(server.admin(), typed(ValueType::Boolean.into())).await;
    assert_eq!(why.unwrap().evaluation.unwrap().reason(), Reason::Disabled);
    let status = refused(
        explain(server.admin(), typed(99)).await,
        Code::InvalidArgument,
    );
    assert_eq!(fields(&status), ["type"]);
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_what_is_archived_is_said_to_be() {
    let (server, shop, production) = five().await;
    let outcome = explain(server.admin(), explanation(&production, "nothing")).await;
    let status = refused(outcome, Code::NotFound);
    assert_eq!(reason(&status), "RESOURCE_NOT_FOUND");
    let nowhere = TestEnvironment {
        name: format!("{}/environments/nowhere", shop.name()),
        ..production.clone()
    };
    refused(
        explain(server.admin(), explanation(&nowhere, "a")).await,
        Code::NotFound,
    );
    refused(
        evaluate(server.admin(), evaluation(&nowhere, &[])).await,
        Code::NotFound,
    );

    shop.archive_flag("a").await;
    let why = explain(server.admin(), explanation(&production, "a"))
        .await
        .unwrap();
    assert!(why.problem.contains("archived"), "{}", why.problem);
    let told = why.evaluation.unwrap();
    assert_eq!(told.error_code(), ErrorCode::FlagNotFound);
    let all = evaluate(server.admin(), evaluation(&production, &[])).await;
    assert_eq!(keys(&all.unwrap()), ["b", "c", "d", "e"]);
}

#[tokio::test]
async fn what_another_organization_has_looks_as_what_nobody_has() {
    let server = TestServer::start().await;
    let stranger = server.caller(&server.database().create_organization("other"));
    let production = TestEnvironment {
        admin: stranger.clone(),
        name: "projects/shop/environments/production".to_owned(),
        uid: String::new(),
    };
    let ask = async || {
        let evaluated = evaluate(&stranger, evaluation(&production, &[])).await;
        let explained = explain(&stranger, explanation(&production, "theme")).await;
        [
            refused(evaluated.map(drop), Code::NotFound),
            refused(explained.map(drop), Code::NotFound),
        ]
        .map(|status| (status.message().to_owned(), status.details().to_vec()))
    };
    let before = ask().await;
    let (shop, _) = server.shop().await;
    shop.create_flag(string_flag("theme", &["light", "dark"]))
        .await;
    assert_eq!(shop.flag("theme").await.r#type(), FlagType::String);
    assert_eq!(ask().await, before);
}
