//! Credentials that were good once.

use std::time::{Duration, SystemTime};

use burgee_proto::admin::v1::{
    ApiKey, CreateApiKeyRequest, CreateServiceAccountTokenRequest, RevokeApiKeyRequest,
    RevokePersonalTokenRequest, RevokeServiceAccountTokenRequest, RevokeSessionRequest,
    ServiceAccountToken, WhoAmIRequest,
};
use burgee_proto::types::v1::AccessKeyKind;
use burgee_server::access::BuiltIn;
use burgee_tests::callers::Caller;
use burgee_tests::people::{PASSWORD, personal_token};
use burgee_tests::project::{TestEnvironment, api_key};
use burgee_tests::server::TestServer;
use burgee_tests::wait::{SOON, until};
use tonic::Code;

use crate::world::every_permission;

/// Credentials that opened something once, and do so no more.
pub(crate) async fn ended(
    server: &TestServer,
    production: &TestEnvironment,
) -> Vec<(String, String)> {
    let owner = server.admin();
    owner.create_account("ended").await;
    owner.bind("ended", "owner", "").await.unwrap();
    let soon = SystemTime::now() + Duration::from_secs(1);
    let request = CreateServiceAccountTokenRequest {
        parent: "serviceAccounts/ended".to_owned(),
        service_account_token: Some(ServiceAccountToken {
            expire_time: Some(soon.into()),
            ..Default::default()
        }),
        ..CreateServiceAccountTokenRequest::default()
    };
    let mut accounts = owner.service_accounts();
    let made = accounts
        .create_service_account_token(request)
        .await
        .unwrap();
    let expired = made.into_inner().secret;
    let request = CreateServiceAccountTokenRequest {
        parent: "serviceAccounts/ended".to_owned(),
        ..CreateServiceAccountTokenRequest::default()
    };
    let made = accounts
        .create_service_account_token(request)
        .await
        .unwrap()
        .into_inner();
    let request = RevokeServiceAccountTokenRequest {
        name: made.service_account_token.unwrap().name,
        ..Default::default()
    };
    accounts
        .revoke_service_account_token(request)
        .await
        .unwrap();
    let (person, _) = owner.person("gone@example.com", "owner", "").await;
    let nobody = server.nobody();
    let signed_in = nobody.sign_in("gone@example.com", PASSWORD).await.unwrap();
    let request = RevokeSessionRequest {
        name: signed_in.session.unwrap().name,
    };
    person.auth().revoke_session(request).await.unwrap();
    let [expired_personal, revoked_personal] = ended_tokens(&person).await;
    let expired_session = nobody.sign_in("gone@example.com", PASSWORD).await.unwrap();
    let expire = "update sessions set expires_at = now() where id = $1";
    sqlx::query(expire)
        .bind(uuid::Uuid::parse_str(&expired_session.session.unwrap().uid).unwrap())
        .execute(server.database().pool())
        .await
        .unwrap();
    let of_people = [
        ("an expired personal token", expired_personal),
        ("a revoked personal token", revoked_personal),
        ("an expired token", expired),
        ("a revoked token", made.secret),
        ("a revoked session", signed_in.secret),
        ("an expired session", expired_session.secret),
    ];
    let of_people = of_people.map(|(what, secret)| (what.to_owned(), secret));
    for (what, secret) in &of_people {
        let caller = server.caller(secret);
        until(what, SOON, async || {
            let asked = WhoAmIRequest {};
            caller.auth().who_am_i(asked).await.is_err()
        })
        .await;
    }
    let keys = ended_keys(production).await;
    for (what, secret) in &keys {
        let caller = server.caller(secret);
        until(what, SOON, async || {
            let outcome = caller.position().await;
            outcome.is_err_and(|status| status.code() == Code::Unauthenticated)
        })
        .await;
    }
    of_people.into_iter().chain(keys).collect()
}

/// Tokens of a person that opened something once.
async fn ended_tokens(person: &Caller) -> [String; 2] {
    let all = every_permission(BuiltIn::Owner);
    let mut tokens = person.personal_tokens();
    let soon = SystemTime::now() + Duration::from_secs(1);
    let mut request = personal_token(&all, "");
    request.personal_token.as_mut().unwrap().expire_time = Some(soon.into());
    let made = tokens.create_personal_token(request).await.unwrap();
    let expired = made.into_inner().secret;
    let request = personal_token(&all, "");
    let made = tokens.create_personal_token(request).await.unwrap();
    let revoked = made.into_inner();
    let request = RevokePersonalTokenRequest {
        name: revoked.personal_token.unwrap().name,
        ..RevokePersonalTokenRequest::default()
    };
    tokens.revoke_personal_token(request).await.unwrap();
    [expired, revoked.secret]
}

/// Keys of the data plane that opened something once: of each kind one that was revoked, and one
/// that has expired.
async fn ended_keys(production: &TestEnvironment) -> Vec<(String, String)> {
    let soon = SystemTime::now() + Duration::from_secs(1);
    let mut ended = Vec::new();
    for (kind, what) in [
        (AccessKeyKind::Server, "server"),
        (AccessKeyKind::Client, "client"),
        (AccessKeyKind::Test, "test"),
        (AccessKeyKind::Relay, "relay"),
    ] {
        let admin = &production.admin;
        let (key, revoked) = api_key(admin, kind, &[production]).await;
        let request = RevokeApiKeyRequest {
            name: key.name,
            ..RevokeApiKeyRequest::default()
        };
        admin.api_keys().revoke_api_key(request).await.unwrap();
        let request = CreateApiKeyRequest {
            api_key: Some(ApiKey {
                kind: kind.into(),
                environments: vec![production.name.clone()],
                expire_time: Some(soon.into()),
                ..ApiKey::default()
            }),
            ..CreateApiKeyRequest::default()
        };
        let made = admin.api_keys().create_api_key(request).await.unwrap();
        ended.push((format!("a revoked {what} key"), revoked));
        ended.push((format!("an expired {what} key"), made.into_inner().secret));
    }
    ended
}
