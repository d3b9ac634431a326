//! Issuers that are away, or set up wrongly.

use burgee_proto::admin::v1::IdentityProvider;
use burgee_tests::errors::{reason, refused};
use burgee_tests::issuer::{Trouble, visit};
use burgee_tests::single_sign_on::{
    ORGANIZATION, PROVIDER, SingleSignOn, begin, complete, create, provider,
};
use burgee_tests::wait::{SOON, until};
use futures_util::future::join_all;
use tonic::Code;

#[tokio::test]
async fn an_issuer_in_trouble_is_told_of_without_its_words() {
    let sso = SingleSignOn::start().await;
    let nobody = sso.server.nobody();
    for (trouble, code, said) in [
        (Trouble::Fault, Code::Unavailable, "status 502"),
        (Trouble::Silent, Code::Unavailable, "in time"),
        (Trouble::Huge, Code::FailedPrecondition, "more than is read"),
        (Trouble::Redirect, Code::FailedPrecondition, "redirect"),
        (Trouble::Garbage, Code::FailedPrecondition, "something else"),
        (
            Trouble::OtherIssuer,
            Code::FailedPrecondition,
            "another issuer",
        ),
        (
            Trouble::SharedSecrets,
            Code::FailedPrecondition,
            "algorithm",
        ),
        (Trouble::Script, Code::FailedPrecondition, "https://"),
    ] {
        sso.issuer.state().trouble = trouble;
        // What was said a moment ago holds for a moment.
        let mut last = None;
        until("the trouble is noticed", SOON * 2, async || {
            let outcome = begin(&nobody, ORGANIZATION, PROVIDER).await;
            let status = outcome.map(drop).unwrap_err();
            let noticed = status.message().contains(said);
            last = Some(status);
            noticed
        })
        .await;
        let status = last.unwrap();
        assert_eq!(status.code(), code, "{trouble:?}: {status:?}");
        let reasons = [
            "IDENTITY_PROVIDER_UNAVAILABLE",
            "IDENTITY_PROVIDER_UNUSABLE",
        ];
        assert!(reasons.contains(&reason(&status).as_str()), "{status:?}");
        let told = format!("{status:?} {}", sso.server.log());
        assert!(!told.contains("canary-body"), "{told}");
    }
    sso.issuer.state().trouble = Trouble::None;
    until("it is forgiven", SOON, async || sso.sign_in().await.is_ok()).await;
}

#[tokio::test]
async fn an_issuer_that_fails_in_the_middle_can_be_tried_again() {
    let sso = SingleSignOn::start().await;
    let nobody = sso.server.nobody();
    let begun = begin(&nobody, ORGANIZATION, PROVIDER).await.unwrap();
    let redirect = visit(&begun.authorization_url).await;
    for (trouble, code) in [
        (Trouble::Fault, Code::Unavailable),
        (Trouble::Garbage, Code::FailedPrecondition),
    ] {
        sso.issuer.state().trouble = trouble;
        let begun = begin(&nobody, ORGANIZATION, PROVIDER).await.unwrap();
        let status = {
            sso.issuer.state().trouble = Trouble::None;
            let redirect = visit(&begun.authorization_url).await;
            sso.issuer.state().trouble = trouble;
            let outcome = complete(&nobody, redirect, &begun.flow_secret).await;
            refused(outcome, code)
        };
        let told = format!("{status:?} {}", sso.server.log());
        assert!(!told.contains("canary-body"), "{told}");
    }
    sso.issuer.state().trouble = Trouble::None;
    complete(&nobody, redirect, &begun.flow_secret)
        .await
        .unwrap();
}

#[tokio::test]
async fn of_many_who_begin_one_asks_the_issuer() {
    let sso = SingleSignOn::start().await;
    let nobody = sso.server.nobody();
    let beginning = (0..20).map(|_| begin(&nobody, ORGANIZATION, PROVIDER));
    for begun in join_all(beginning).await {
        begun.unwrap();
    }
    assert_eq!(sso.issuer.asked("/.well-known/openid-configuration"), 1);
    assert_eq!(sso.issuer.asked("/keys"), 1);
}

#[tokio::test]
async fn a_client_secret_goes_where_the_issuer_wants_it() {
    let sso = SingleSignOn::without_provider().await;
    sso.issuer.state().secret_in_body = true;
    sso.create(sso.provider()).await.unwrap();
    sso.sign_in().await.unwrap();
}

#[tokio::test]
async fn what_the_operator_does_not_allow_is_not_called() {
    let sso = SingleSignOn::start().await;
    let nobody = sso.server.nobody();
    // A name that means this machine, where only its IPv4 address is allowed, and no TLS is.
    let name = IdentityProvider {
        key: "by-name".to_owned(),
        ..provider("https://localhost:1")
    };
    create(sso.server.admin(), name).await.unwrap();
    let outcome = begin(&nobody, ORGANIZATION, "by-name").await;
    let status = refused(outcome.map(drop), Code::Unavailable);
    assert!(
        status.message().contains("cannot be connected to"),
        "{status:?}"
    );
}
