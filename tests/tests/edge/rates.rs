//! Whoever calls too often is told so and when to come back, and takes nothing from
//! anybody else.

use std::time::Duration;

use burgee_hub::credential::{Kind, generate};
use burgee_proto::admin::v1::WhoAmIRequest;
use burgee_proto::evaluation::v1::{EvaluateRequest, WatchEvaluationsRequest};
use burgee_tests::builders::{boolean_flag, context};
use burgee_tests::callers::Caller;
use burgee_tests::errors::{reason, refused};
use burgee_tests::people::PASSWORD;
use burgee_tests::relay::TestRelay;
use burgee_tests::server::TestServer;
use burgee_tests::wait::{SOON, until};
use burgee_tests::watcher::RulesetWatcher;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::protocols::{bearer, grpc_web};

const ADA: &str = "ada@example.com";
/// A limit that a test comes to at once, and whose tokens come back in a moment.
const TIGHT: &str = "1/5";
/// More calls than a tight limit allows, however slowly they are made.
const FLOOD: usize = 1_000;

async fn who_am_i(caller: &Caller) -> Result<(), Status> {
    caller.auth().who_am_i(WhoAmIRequest {}).await.map(drop)
}

/// Calls until it is too often.
async fn exhaust(mut call: impl AsyncFnMut() -> Result<(), Status>) -> Status {
    for _ in 0..FLOOD {
        match call().await {
            Err(status) if status.code() == Code::ResourceExhausted => return status,
            _ => {}
        }
    }
    panic!("{FLOOD} calls were let through");
}

/// The limit that a refusal names, and when to come back.
fn told(status: &Status) -> (String, Duration) {
    assert_eq!(reason(status), "RESOURCE_EXHAUSTED");
    let details = status.get_error_details();
    let quota = &details.quota_failure().unwrap().violations;
    assert_eq!(quota.len(), 1, "{status:?}");
    let retry = details.retry_info().unwrap().retry_delay.unwrap();
    assert!(retry > Duration::ZERO, "{status:?}");
    (
        details.error_info().unwrap().metadata["limit"].clone(),
        retry,
    )
}

/// Somebody else's guess at a credential.
fn guess(kind: Kind, number: usize) -> String {
    let mut random = [9; 32];
    random[..8].copy_from_slice(&number.to_le_bytes());
    generate(kind, random).expose().to_owned()
}

#[tokio::test]
async fn a_credential_over_its_rate_is_refused_alone_and_until_it_has_waited() {
    let server = TestServer::with(&[("BURGEE_CREDENTIAL_RATE", TIGHT)]).await;
    server.admin().person(ADA, "viewer", "").await;
    let signed_in = server.nobody().sign_in(ADA, PASSWORD).await.unwrap();
    let other = server.nobody().sign_in(ADA, PASSWORD).await.unwrap();
    let ada = server.caller(&signed_in.secret);
    let status = exhaust(async || who_am_i(&ada).await).await;
    let (limit, retry) = told(&status);
    assert_eq!(limit, "credential_rate");
    assert!(retry <= Duration::from_secs(1), "{retry:?}");
    who_am_i(&server.caller(&other.secret)).await.unwrap();
    // The same in a browser.
    let path = "/burgee.admin.v1.AuthService/WhoAmI";
    let headers = bearer(&signed_in.secret);
    let (head, _) = grpc_web(server.address(), path, &headers, b"").await;
    assert!(head.contains("grpc-status: 8"), "{head}");
    assert!(head.contains("grpc-status-details-bin: "), "{head}");

    until("the credential is served again", SOON, async || {
        who_am_i(&ada).await.is_ok()
    })
    .await;
    let log = server.log();
    assert!(
        log.contains("calls over a rate limit were refused"),
        "{log}"
    );
    assert!(!log.contains(&signed_in.secret), "{log}");
}

#[tokio::test]
async fn an_account_is_counted_over_all_its_credentials() {
    let server = TestServer::with(&[("BURGEE_ACCOUNT_RATE", TIGHT)]).await;
    // The administrator of the harness has an account too, and makes few calls.
    let database = server.database();
    let tokens = [database.admin_token().await, database.admin_token().await];
    let [first, second] = tokens.map(|token| server.caller(&token));
    let status = exhaust(async || who_am_i(&first).await.and(who_am_i(&second).await)).await;
    assert_eq!(told(&status).0, "account_rate");
}

#[tokio::test]
async fn whoever_guesses_is_stopped_and_keeps_nobody_out_who_shares_their_address() {
    let server = TestServer::with(&[("BURGEE_ADDRESS_RATE", TIGHT)]).await;
    let (_, production) = server.shop().await;
    let sdk = server.caller(&production.server_key().await);
    sdk.position().await.unwrap();
    for kind in [Kind::ServiceAccount, Kind::Server] {
        let mut number = 0;
        let status = exhaust(async || {
            number += 1;
            let guesser = server.caller(&guess(kind, number));
            match kind {
                Kind::Server => guesser.position().await.map(drop),
                _ => who_am_i(&guesser).await,
            }
        })
        .await;
        assert_eq!(told(&status).0, "address_rate");
    }
    let status = exhaust(async || who_am_i(&server.nobody()).await).await;
    assert_eq!(told(&status).0, "address_rate");
    let sign_in = async || {
        let outcome = server.nobody().sign_in("bob@example.com", "x").await;
        outcome.map(drop)
    };
    assert_eq!(told(&exhaust(sign_in).await).0, "address_rate");
    // Whoever was known before calls on.
    for _ in 0..20 {
        who_am_i(server.admin()).await.unwrap();
        sdk.position().await.unwrap();
    }
}

/// Evaluates with a client key, from an address that a trusted proxy tells.
async fn evaluate(page: &Caller, address: &str) -> Result<(), Status> {
    let mut request = Request::new(EvaluateRequest {
        flag_key: "banner".to_owned(),
        context: Some(context("alice", &[])),
        ..EvaluateRequest::default()
    });
    let address = address.parse().unwrap();
    request.metadata_mut().insert("x-forwarded-for", address);
    page.evaluation().evaluate(request).await.map(drop)
}

#[tokio::test]
async fn one_address_does_not_use_up_a_public_key_at_server_and_relay() {
    let server = TestServer::with(&[
        ("BURGEE_TRUSTED_PROXIES", "127.0.0.1"),
        ("BURGEE_CLIENT_ADDRESS_RATE", TIGHT),
    ])
    .await;
    let (shop, production) = server.shop().await;
    shop.create_flag(boolean_flag("banner")).await;
    let key = production.client_key().await;
    let environment = [
        ("BURGEE_RELAY_TRUSTED_PROXIES", "127.0.0.1"),
        ("BURGEE_RELAY_CLIENT_ADDRESS_RATE", TIGHT),
    ];
    let relay_key = production.relay_key().await;
    let relay = TestRelay::with(server.address(), &relay_key, &environment).await;
    let sdk = relay.caller(&production.server_key().await);
    RulesetWatcher::follow(&sdk).synchronised().await;
    for page in [server.caller(&key), relay.caller(&key)] {
        let status = exhaust(async || evaluate(&page, "2001:db8:0:1::7").await).await;
        assert_eq!(told(&status).0, "client_address_rate");
        // One customer has all of a /64.
        let neighbour = evaluate(&page, "2001:db8:0:1:ffff::8").await;
        if let Err(status) = neighbour {
            assert_eq!(told(&status).0, "client_address_rate");
        }
        for elsewhere in ["2001:db8:0:2::7", "192.0.2.7"] {
            evaluate(&page, elsewhere).await.unwrap();
        }
    }
}

#[tokio::test]
async fn an_address_that_an_untrusted_peer_makes_up_changes_nothing() {
    let server = TestServer::with(&[("BURGEE_CLIENT_ADDRESS_RATE", TIGHT)]).await;
    let (shop, production) = server.shop().await;
    shop.create_flag(boolean_flag("banner")).await;
    let page = server.caller(&production.client_key().await);
    let mut last = 0_u16;
    let status = exhaust(async || {
        last += 1;
        evaluate(&page, &format!("2001:db8:{last:x}::7")).await
    })
    .await;
    assert_eq!(told(&status).0, "client_address_rate");
}

#[tokio::test]
async fn an_address_has_so_many_streams_with_client_keys_and_a_key_so_many_in_all() {
    let server = TestServer::with(&[
        ("BURGEE_CLIENT_STREAMS_PER_ADDRESS", "2"),
        ("BURGEE_STREAMS_PER_KEY", "3"),
    ])
    .await;
    let (_, production) = server.shop().await;
    let watch = async |caller: &Caller| {
        let request = WatchEvaluationsRequest {
            context: Some(context("alice", &[])),
            ..WatchEvaluationsRequest::default()
        };
        let stream = caller.evaluation().watch_evaluations(request).await?;
        Ok::<_, Status>(stream.into_inner())
    };
    let pages = [production.client_key().await, production.client_key().await];
    let [first, second] = pages.map(|key| server.caller(&key));
    let mut open = vec![watch(&first).await.unwrap(), watch(&second).await.unwrap()];
    refused(watch(&first).await, Code::ResourceExhausted);
    let service = server.caller(&production.server_key().await);
    for _ in 0..3 {
        open.push(watch(&service).await.unwrap());
    }
    refused(watch(&service).await, Code::ResourceExhausted);
    drop(open);
    until("places are free again", SOON, async || {
        watch(&first).await.is_ok() && watch(&service).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn ordinary_callers_meet_no_limit() {
    let server = TestServer::start().await;
    let (_, production) = server.shop().await;
    let service = server.caller(&production.server_key().await);
    for _ in 0..FLOOD {
        service.position().await.unwrap();
    }
    for _ in 0..FLOOD / 10 {
        who_am_i(server.admin()).await.unwrap();
    }
    assert!(
        !server.log().contains("over a rate limit"),
        "{}",
        server.log()
    );
}
