//! Who is signed in, for how long, and who is made to wait.

use std::time::{Duration, Instant};

use burgee_proto::admin::v1::{
    ListSessionsRequest, RevokeSessionRequest, Session, SignInRequest, SignOutRequest,
};
use burgee_tests::callers::Caller;
use burgee_tests::errors::{fields, reason, refused};
use burgee_tests::people::PASSWORD;
use burgee_tests::server::TestServer;
use burgee_tests::wait::{SOON, until};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{audit, is_shut_out, who_am_i};

const ADA: &str = "ada@example.com";
const WRONG: &str = "lanterns over harbour 8";

async fn sessions(caller: &Caller) -> Result<Vec<Session>, Status> {
    let response = caller.auth().list_sessions(ListSessionsRequest {}).await?;
    Ok(response.into_inner().sessions)
}

#[tokio::test]
async fn unknown_people_wrong_passwords_and_other_organizations_get_the_same_answer() {
    let server = TestServer::start().await;
    server.admin().person(ADA, "viewer", "").await;
    let signed_in = server
        .nobody()
        .sign_in("ADA@example.com", PASSWORD)
        .await
        .unwrap();
    assert!(signed_in.secret.starts_with("burgee_ses_"));
    let elsewhere = SignInRequest {
        email: ADA.to_owned(),
        password: PASSWORD.to_owned(),
        organization: "elsewhere".to_owned(),
        ..SignInRequest::default()
    };
    let mut auth = server.nobody().auth();
    let outcomes = [
        server.nobody().sign_in(ADA, WRONG).await.map(drop),
        server
            .nobody()
            .sign_in("nobody@example.com", WRONG)
            .await
            .map(drop),
        auth.sign_in(elsewhere).await.map(drop),
    ];
    let [first, others @ ..] = outcomes.map(|it| refused(it, Code::Unauthenticated));
    assert_eq!(reason(&first), "CREDENTIAL_INVALID");
    for other in others {
        assert_eq!(
            (other.message(), other.details()),
            (first.message(), first.details())
        );
    }
}

#[tokio::test]
async fn whoever_guesses_waits_and_an_unknown_account_looks_like_any_other() {
    let server = TestServer::start().await;
    server.admin().person(ADA, "viewer", "").await;
    for email in [ADA, "nobody@example.com"] {
        let mut refusals = 0;
        let status = loop {
            let status = server.nobody().sign_in(email, WRONG).await.unwrap_err();
            if status.code() == Code::ResourceExhausted {
                break status;
            }
            assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
            refusals += 1;
            assert!(refusals < 20, "{email} is guessed without end");
        };
        assert!(refusals >= 5, "{email}: only {refusals} attempts are free");
        let retry = status
            .get_details_retry_info()
            .unwrap()
            .retry_delay
            .unwrap();
        assert!(retry.as_secs() < 300, "{retry:?}");
        // Not even the right password is looked at.
        let outcome = server.nobody().sign_in(email, PASSWORD).await;
        refused(outcome, Code::ResourceExhausted);
    }
    until(
        "the wait is over, and the count begins anew",
        SOON,
        async || server.nobody().sign_in(ADA, PASSWORD).await.is_ok(),
    )
    .await;
    let counted = "select count(*) from password_attempts where subject like 'account %'";
    assert_eq!(
        server.database().number(counted).await,
        1,
        "the unknown one's alone"
    );
}

#[tokio::test]
async fn an_address_that_fails_with_many_accounts_waits_too() {
    let server = TestServer::start().await;
    sqlx::query(
        "insert into password_attempts (subject, failures, failed_at, next_at)
         values ('address 127.0.0.1', 51, now(), now() + interval '1 minute')",
    )
    .execute(server.database().pool())
    .await
    .unwrap();
    let outcome = server.nobody().sign_in("anybody@example.com", WRONG).await;
    refused(outcome, Code::ResourceExhausted);
    sqlx::query("update password_attempts set next_at = now()")
        .execute(server.database().pool())
        .await
        .unwrap();
    let outcome = server.nobody().sign_in("anybody@example.com", WRONG).await;
    refused(outcome, Code::Unauthenticated);
    let counted = "select failures::bigint from password_attempts where subject like 'address %'";
    assert_eq!(server.database().number(counted).await, 52);
}

#[tokio::test]
async fn two_hundred_sign_ins_at_once_hold_little_memory_and_up_nobody_else() {
    const AT_ONCE: usize = 200;
    // Each hash takes 19 MiB: all at once they would take 3.7 GiB.
    const MORE_MEMORY_MAX: u64 = 256 << 20;
    const CALL_MAX: Duration = Duration::from_secs(5);
    let server = TestServer::start().await;
    let before = server.peak_memory_bytes();
    let (done, mut is_done) = tokio::sync::oneshot::channel();
    let signing_in = async {
        let attempts = (0..AT_ONCE).map(async |number| {
            let email = format!("person-{number}@example.com");
            server
                .nobody()
                .sign_in(&email, WRONG)
                .await
                .unwrap_err()
                .code()
        });
        let codes = futures_util::future::join_all(attempts).await;
        done.send(()).unwrap();
        codes
    };
    let calling = async {
        let mut slowest = Duration::ZERO;
        while is_done.try_recv().is_err() {
            let began = Instant::now();
            who_am_i(server.admin()).await.unwrap();
            slowest = slowest.max(began.elapsed());
        }
        slowest
    };
    let (codes, slowest) = tokio::join!(signing_in, calling);
    let expected = [Code::Unauthenticated, Code::ResourceExhausted];
    assert!(
        codes.iter().all(|code| expected.contains(code)),
        "{codes:?}"
    );
    assert!(codes.contains(&Code::Unauthenticated), "{codes:?}");
    assert!(slowest < CALL_MAX, "a call took {slowest:?}");
    let more = server.peak_memory_bytes() - before;
    assert!(more < MORE_MEMORY_MAX, "{more} bytes more");
    println!(
        "slowest other call: {slowest:?}; memory: {} MiB more",
        more >> 20
    );
}

#[tokio::test]
async fn a_session_ends_when_its_person_says_so() {
    let server = TestServer::start().await;
    let (ada, _) = server.admin().person(ADA, "viewer", "").await;
    let (bob, _) = server.admin().person("bob@example.com", "viewer", "").await;
    let second = server.nobody().sign_in(ADA, PASSWORD).await.unwrap();
    let second_caller = server.caller(&second.secret);
    let listed = sessions(&ada).await.unwrap();
    assert_eq!(listed.len(), 2);
    let current: Vec<_> = listed.iter().map(|it| it.current).collect();
    assert_eq!(current, [false, true], "the newest first");
    assert!(
        listed
            .iter()
            .all(|it| it.organization == "default" && it.address == "127.0.0.1")
    );

    let request = RevokeSessionRequest {
        name: second.session.unwrap().name,
    };
    let outcome = bob.auth().revoke_session(request.clone()).await;
    refused(outcome, Code::NotFound);
    ada.auth().revoke_session(request.clone()).await.unwrap();
    is_shut_out(&second_caller).await;
    refused(ada.auth().revoke_session(request).await, Code::NotFound);

    ada.auth().sign_out(SignOutRequest {}).await.unwrap();
    is_shut_out(&ada).await;
    who_am_i(&bob).await.unwrap();
}

#[tokio::test]
async fn a_session_ends_unused_and_in_any_case() {
    let server = TestServer::start().await;
    let (idle, _) = server.admin().person(ADA, "viewer", "").await;
    let age = |sql: &'static str| sqlx::query(sql).execute(server.database().pool());
    who_am_i(&idle).await.unwrap();
    age("update sessions set last_seen_at = now() - interval '23 hours'")
        .await
        .unwrap();
    let seen = "select count(*) from sessions where last_seen_at > now() - interval '1 hour'";
    until(
        "it is written down that it was used",
        SOON * 3,
        async || {
            who_am_i(&idle).await.unwrap();
            server.database().number(seen).await == 1
        },
    )
    .await;
    age("update sessions set last_seen_at = now() - interval '25 hours'")
        .await
        .unwrap();
    is_shut_out(&idle).await;

    let secret = server.nobody().sign_in(ADA, PASSWORD).await.unwrap().secret;
    let old = server.caller(&secret);
    who_am_i(&old).await.unwrap();
    age("update sessions set expires_at = now()").await.unwrap();
    is_shut_out(&old).await;
}

#[tokio::test]
async fn only_people_have_sessions() {
    let server = TestServer::start().await;
    let status = refused(sessions(server.admin()).await, Code::Unauthenticated);
    assert_eq!(reason(&status), "CREDENTIAL_INVALID");
    let outcome = server.admin().auth().sign_out(SignOutRequest {}).await;
    refused(outcome, Code::Unauthenticated);
}

#[tokio::test]
async fn what_cannot_be_an_account_is_refused_by_its_fields() {
    let server = TestServer::start().await;
    let request = SignInRequest {
        email: "no address".to_owned(),
        password: "x".repeat(1_025),
        organization: "NOT OK".to_owned(),
        ..SignInRequest::default()
    };
    let outcome = server.nobody().auth().sign_in(request).await;
    let status = refused(outcome, Code::InvalidArgument);
    assert_eq!(fields(&status), ["password", "email", "organization"]);
    assert!(!format!("{status:?}").contains("xxx"));
}

#[tokio::test]
async fn sign_ins_and_refusals_are_told_to_the_audit_log() {
    let server = TestServer::start().await;
    let (_, member) = server.admin().person(ADA, "viewer", "").await;
    server.nobody().sign_in(ADA, WRONG).await.unwrap_err();
    server
        .nobody()
        .sign_in("nobody@example.com", WRONG)
        .await
        .unwrap_err();
    // Written after the answer.
    until("the refusal is told", SOON, async || {
        let entries = audit(server.admin()).await;
        entries
            .iter()
            .any(|entry| entry.method.ends_with("/SignIn"))
    })
    .await;
    let signed_in = server.nobody().sign_in(ADA, PASSWORD).await.unwrap();
    let entries = audit(server.admin()).await;
    let told: Vec<_> = entries
        .iter()
        .filter(|entry| entry.method.ends_with("/SignIn"))
        .map(|entry| (entry.actor.as_str(), entry.resource.as_str()))
        .collect();
    let ada = member.name.as_str();
    let session = signed_in.session.unwrap().name;
    assert_eq!(
        told,
        [(ada, ada), (ada, session.as_str())],
        "and nobody is nobody's"
    );
    let log = format!("{entries:?} {} {}", server.stdout(), server.log());
    for secret in [WRONG, PASSWORD, &signed_in.secret] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn nobody_elsewhere_keeps_somebody_out_by_guessing() {
    let server = TestServer::start().await;
    server.admin().person(ADA, "viewer", "").await;
    // Somebody guesses, from somewhere else, without end.
    sqlx::query(
        "insert into password_attempts (subject, failures, failed_at, next_at)
         select 'account ' || encode(sha256(convert_to(email, 'UTF8')), 'hex'), 100, now(),
                now() + interval '5 minutes'
         from (values ('ada@example.com'), ('nobody@example.com')) as tried(email)",
    )
    .execute(server.database().pool())
    .await
    .unwrap();
    let stranger = server.nobody().sign_in("nobody@example.com", WRONG).await;
    refused(stranger, Code::ResourceExhausted);
    // She has signed in from here before.
    server.nobody().sign_in(ADA, PASSWORD).await.unwrap();
    sqlx::query("update sessions set created_at = now() - interval '31 days'")
        .execute(server.database().pool())
        .await
        .unwrap();
    let outcome = server.nobody().sign_in(ADA, PASSWORD).await;
    refused(outcome, Code::ResourceExhausted);
}

#[tokio::test]
async fn a_sign_in_that_is_overtaken_by_another_password_lets_nobody_in() {
    let server = TestServer::start().await;
    server.admin().person(ADA, "viewer", "").await;
    let mut changing = server.database().pool().begin().await.unwrap();
    sqlx::query("update people set password_hash = 'another' where email = 'ada@example.com'")
        .execute(&mut *changing)
        .await
        .unwrap();
    let nobody = server.nobody();
    let signing_in = tokio::spawn(async move { nobody.sign_in(ADA, PASSWORD).await });
    let waiting = "select count(*) from pg_stat_activity
                   where datname = current_database() and wait_event_type = 'Lock'";
    until("the sign-in waits", SOON, async || {
        server.database().number(waiting).await == 1
    })
    .await;
    changing.commit().await.unwrap();
    refused(signing_in.await.unwrap(), Code::Unauthenticated);
}
