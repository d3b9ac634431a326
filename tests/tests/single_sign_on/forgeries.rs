//! Tokens that the issuer did not make, or not for this.

use burgee_tests::id_token::{Key, Signature, Token, now};
use burgee_tests::issuer::CLIENT_SECRET;
use burgee_tests::single_sign_on::SingleSignOn;
use burgee_tests::wait::{SOON, until};
use serde_json::{Value, json};

use super::{is_refused, sessions};

/// A way to forge a token.
type Forgery = (&'static str, fn(&mut Token));

const FORGERIES: &[Forgery] = &[
    ("signed by nothing", |token| {
        token.header["alg"] = json!("none");
        token.signature = Signature::Stripped;
    }),
    ("signed by nothing, said otherwise", |token| {
        token.header["alg"] = json!("nOnE");
        token.signature = Signature::Stripped;
    }),
    ("stripped of its signature", |token| {
        token.signature = Signature::Stripped;
    }),
    ("signed with the public key as a secret", |token| {
        token.header["alg"] = json!("HS256");
        let pem = Key::rsa("first").public_pem().to_owned();
        token.signature = Signature::Shared(pem.into_bytes());
    }),
    ("signed with the published key as a secret", |token| {
        token.header["alg"] = json!("HS256");
        let published = Key::rsa("first").public().to_string();
        token.signature = Signature::Shared(published.into_bytes());
    }),
    ("signed with the client's secret", |token| {
        token.header["alg"] = json!("HS256");
        token.signature = Signature::Shared(CLIENT_SECRET.into());
    }),
    ("signed with another key of the same id", |token| {
        token.signature = Signature::By(Key::rsa("other"));
    }),
    ("signed with another key, of an unknown id", |token| {
        token.header["kid"] = json!("other");
        token.signature = Signature::By(Key::rsa("other"));
    }),
    ("signed with another key, without an id", |token| {
        token.header.as_object_mut().unwrap().remove("kid");
        token.signature = Signature::By(Key::rsa("other"));
    }),
    ("signed with a key that it brings along", |token| {
        token.header["kid"] = json!("other");
        token.header["jwk"] = Key::rsa("other").public();
        token.header["jku"] = json!("http://127.0.0.1:1/keys");
        token.signature = Signature::By(Key::rsa("other"));
    }),
    ("said to be signed in another way", |token| {
        token.header["alg"] = json!("RS512");
    }),
    ("of a header that must be understood", |token| {
        token.header["crit"] = json!(["exp"]);
    }),
    ("of another issuer", |token| {
        token.claims["iss"] = json!("https://login.example.com");
    }),
    ("of an issuer that is spelled otherwise", |token| {
        let issuer = token.claims["iss"].as_str().unwrap();
        token.claims["iss"] = json!(format!("{issuer}/"));
    }),
    ("for another client", |token| {
        token.claims["aud"] = json!("another-client");
    }),
    ("for another client too", |token| {
        token.claims["aud"] = json!(["burgee", "another-client"]);
    }),
    ("for nobody", |token| remove(token, "aud")),
    ("for another party", |token| {
        token.claims["azp"] = json!("another-client");
    }),
    ("of another flow", |token| {
        token.claims["nonce"] = json!("another");
    }),
    ("of no flow", |token| remove(token, "nonce")),
    ("expired", |token| token.claims["exp"] = json!(now() - 1)),
    ("without an end", |token| remove(token, "exp")),
    ("not good yet", |token| {
        token.claims["nbf"] = json!(now() + 600);
    }),
    ("made in the future", |token| {
        token.claims["iat"] = json!(now() + 600);
    }),
    ("made long ago", |token| {
        token.claims["iat"] = json!(now() - 3_600);
    }),
    ("of nobody", |token| remove(token, "sub")),
    ("that came with another access token", |token| {
        token.came_with("another");
    }),
];

fn remove(token: &mut Token, claim: &str) {
    token.claims.as_object_mut().unwrap().remove(claim);
}

#[tokio::test]
async fn forged_tokens_let_nobody_in() {
    let sso = SingleSignOn::start().await;
    for (what, forge) in FORGERIES {
        sso.issuer.forge(forge);
        let outcome = sso.sign_in().await;
        let status = outcome
            .err()
            .unwrap_or_else(|| panic!("a token {what} was taken"));
        // One that is no token at all is the issuer's fault.
        let codes = [
            tonic::Code::Unauthenticated,
            tonic::Code::FailedPrecondition,
        ];
        assert!(codes.contains(&status.code()), "{what}: {status:?}");
    }
    assert_eq!(sessions(&sso).await, 0);
    let members = "select count(*) from members";
    assert_eq!(sso.server.database().number(members).await, 0);
    sso.issuer.be_honest();
    sso.sign_in().await.unwrap();
}

#[tokio::test]
async fn a_token_of_another_sign_in_is_not_taken() {
    let sso = SingleSignOn::start().await;
    let kept: std::sync::Arc<std::sync::Mutex<Option<Token>>> = std::sync::Arc::default();
    let keeping = std::sync::Arc::clone(&kept);
    sso.issuer.forge(move |token| {
        *keeping.lock().unwrap() = Some(token.clone());
    });
    sso.sign_in().await.unwrap();
    sso.issuer.forge(move |token| {
        *token = kept.lock().unwrap().clone().unwrap();
    });
    is_refused(sso.sign_in().await);
}

#[tokio::test]
async fn tokens_of_other_kinds_are_read_as_the_issuer_means_them() {
    let sso = SingleSignOn::start().await;
    sso.issuer.state().keys = vec![Key::rsa("first"), Key::ed25519("second")];
    sso.sign_in().await.unwrap();
    sso.issuer.forge(|token| {
        token.claims["aud"] = json!(["burgee"]);
        token.claims["azp"] = json!("burgee");
        token.claims["nbf"] = json!(now() - 300);
        token.claims["iat"] = json!(now() - 300);
        token.claims["unknown"] = json!({"deep": [1, Value::Null]});
    });
    sso.sign_in().await.unwrap();
}

#[tokio::test]
async fn keys_that_the_issuer_changes_are_read_again_and_not_too_often() {
    let sso = SingleSignOn::start().await;
    sso.sign_in().await.unwrap();
    assert_eq!(sso.issuer.asked("/keys"), 1);
    sso.sign_in().await.unwrap();
    assert_eq!(
        sso.issuer.asked("/keys"),
        1,
        "what is known is not asked for"
    );
    sso.issuer.state().keys = vec![Key::rsa("other")];
    until("the new key is known", SOON, async || {
        sso.sign_in().await.is_ok()
    })
    .await;
    // Whoever signs with a key of nobody's makes the server ask no more than now and then.
    sso.issuer
        .forge(|token| token.header["kid"] = json!("nobody's"));
    let before = sso.issuer.asked("/keys");
    for _ in 0..10 {
        is_refused(sso.sign_in().await);
    }
    let asked = sso.issuer.asked("/keys") - before;
    assert!(asked <= 2, "asked {asked} times");
}
