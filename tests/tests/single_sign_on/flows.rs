//! Codes, states and secrets that come back twice, elsewhere, or mixed up.

use burgee_proto::admin::v1::IdentityProvider;
use burgee_tests::errors::{fields, refused};
use burgee_tests::issuer::{Issuer, Redirect, visit};
use burgee_tests::single_sign_on::{
    ORGANIZATION, PROVIDER, SingleSignOn, begin, complete, create, provider,
};
use futures_util::future::join_all;
use tonic::Code;

use super::{is_refused, sessions};

/// A sign-in, up to where the browser comes back.
async fn come_back(sso: &SingleSignOn) -> (Redirect, String) {
    let nobody = sso.server.nobody();
    let begun = begin(&nobody, ORGANIZATION, PROVIDER).await.unwrap();
    assert!(begun.flow_secret.starts_with("burgee_flw_"));
    (visit(&begun.authorization_url).await, begun.flow_secret)
}

#[tokio::test]
async fn a_sign_in_is_completed_once() {
    let sso = SingleSignOn::start().await;
    let nobody = sso.server.nobody();
    let (redirect, secret) = come_back(&sso).await;
    assert!(redirect.uri.ends_with("/auth/callback"), "{}", redirect.uri);
    complete(&nobody, redirect.clone(), &secret).await.unwrap();
    is_refused(complete(&nobody, redirect, &secret).await);
    assert_eq!(sso.issuer.asked("/token"), 1, "the code went nowhere again");

    let (redirect, secret) = come_back(&sso).await;
    let at_once = (0..8).map(|_| complete(&nobody, redirect.clone(), &secret));
    let outcomes = join_all(at_once).await;
    assert_eq!(outcomes.iter().filter(|it| it.is_ok()).count(), 1);
    assert_eq!(sessions(&sso).await, 2);
}

#[tokio::test]
async fn what_another_browser_came_back_with_signs_nobody_in() {
    let sso = SingleSignOn::start().await;
    let nobody = sso.server.nobody();
    let (mallorys, mallorys_secret) = come_back(&sso).await;
    let (victims, victims_secret) = come_back(&sso).await;
    // A page of Mallory's makes the victim's browser complete Mallory's sign-in.
    is_refused(complete(&nobody, mallorys.clone(), &victims_secret).await);
    // Mallory saw the victim's code, and brings it into a sign-in of her own.
    let stolen = Redirect {
        code: victims.code.clone(),
        ..mallorys
    };
    is_refused(complete(&nobody, stolen, &mallorys_secret).await);
    is_refused(complete(&nobody, victims.clone(), "").await);
    let other_kind = sso.server.database().admin_token().await;
    is_refused(complete(&nobody, victims.clone(), &other_kind).await);
    assert_eq!(sessions(&sso).await, 0);
    // None of that ended the victim's. Their code, though, was tried and is used up.
    let used = complete(&nobody, victims, &victims_secret).await;
    is_refused(used);
    sso.sign_in().await.unwrap();
}

#[tokio::test]
async fn a_sign_in_that_takes_too_long_is_begun_again() {
    let sso = SingleSignOn::start().await;
    let (redirect, secret) = come_back(&sso).await;
    sqlx::query("update sign_in_flows set expires_at = now()")
        .execute(sso.server.database().pool())
        .await
        .unwrap();
    is_refused(complete(&sso.server.nobody(), redirect, &secret).await);
    assert_eq!(sso.issuer.asked("/token"), 0);
}

#[tokio::test]
async fn nobody_begins_more_than_there_is_room_for() {
    let sso = SingleSignOn::start().await;
    let nobody = sso.server.nobody();
    begin(&nobody, ORGANIZATION, PROVIDER).await.unwrap();
    sqlx::query(
        "insert into sign_in_flows
         select sha256(n::text::bytea), identity_provider_id, address, expires_at
         from sign_in_flows, generate_series(1, 199) as n",
    )
    .execute(sso.server.database().pool())
    .await
    .unwrap();
    let outcome = begin(&nobody, ORGANIZATION, PROVIDER).await;
    refused(outcome, Code::ResourceExhausted);
    sqlx::query("update sign_in_flows set address = '192.0.2.1'")
        .execute(sso.server.database().pool())
        .await
        .unwrap();
    sso.sign_in().await.unwrap();
}

#[tokio::test]
async fn a_code_of_one_provider_goes_to_no_other() {
    let sso = SingleSignOn::start().await;
    let nobody = sso.server.nobody();
    let evil = Issuer::start().await;
    let other = IdentityProvider {
        key: "evil".to_owned(),
        ..provider(evil.url())
    };
    create(sso.server.admin(), other).await.unwrap();
    // Evil leads whoever begins with it to the honest provider, with what it was given.
    let begun = begin(&nobody, ORGANIZATION, "evil").await.unwrap();
    let led_elsewhere = begun
        .authorization_url
        .replace(evil.url(), sso.issuer.url());
    let redirect = visit(&led_elsewhere).await;
    // Both say nothing of who they are: the code goes to Evil, and opens nothing.
    is_refused(complete(&nobody, redirect.clone(), &begun.flow_secret).await);
    assert_eq!(sso.issuer.asked("/token"), 0);
    // A sign-in with the honest one has another verifier.
    let (own, secret) = come_back(&sso).await;
    let injected = Redirect {
        code: redirect.code,
        ..own
    };
    is_refused(complete(&nobody, injected, &secret).await);
    assert_eq!(sessions(&sso).await, 0);
}

#[tokio::test]
async fn a_provider_that_says_who_it_is_must_be_the_one_that_was_asked() {
    let sso = SingleSignOn::without_provider().await;
    sso.issuer.state().says_who = true;
    sso.create(sso.provider()).await.unwrap();
    let nobody = sso.server.nobody();
    sso.sign_in().await.unwrap();
    for issuer in ["", "https://login.example.com"] {
        let (redirect, secret) = come_back(&sso).await;
        assert_eq!(redirect.issuer, sso.issuer.url());
        let mixed_up = Redirect {
            issuer: issuer.to_owned(),
            ..redirect
        };
        let asked = sso.issuer.asked("/token");
        is_refused(complete(&nobody, mixed_up, &secret).await);
        assert_eq!(sso.issuer.asked("/token"), asked, "the code went nowhere");
    }
}

#[tokio::test]
async fn what_is_no_redirect_is_refused_by_its_fields() {
    let sso = SingleSignOn::start().await;
    let (redirect, secret) = come_back(&sso).await;
    let empty = Redirect {
        code: String::new(),
        state: "x".repeat(5_000),
        issuer: "x".repeat(5_000),
        uri: String::new(),
    };
    let outcome = complete(&sso.server.nobody(), empty, &secret).await;
    let status = refused(outcome, Code::InvalidArgument);
    assert_eq!(fields(&status), ["code", "state", "issuer"]);
    complete(&sso.server.nobody(), redirect, &secret)
        .await
        .unwrap();
}
