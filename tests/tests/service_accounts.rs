//! Machines' accounts: their tokens are shown once, and end when they are told
//! to, everywhere.

use burgee_proto::admin::v1::{
    CreateServiceAccountRequest, CreateServiceAccountTokenRequest, DeleteServiceAccountRequest,
    GetServiceAccountRequest, ListProjectsRequest, ListServiceAccountTokensRequest,
    ListServiceAccountsRequest, RevokeServiceAccountTokenRequest, RotateServiceAccountTokenRequest,
    ServiceAccount, ServiceAccountToken, UpdateServiceAccountRequest,
};
use burgee_tests::callers::Caller;
use burgee_tests::errors::{fields, reason, refused};
use burgee_tests::server::TestServer;
use burgee_tests::wait::{SOON, until};
use tonic::Code;

const CI: &str = "serviceAccounts/ci";

async fn is_refused(caller: &Caller) -> bool {
    let mut projects = caller.projects();
    let outcome = projects.list_projects(ListProjectsRequest::default()).await;
    outcome.is_err_and(|status| status.code() == Code::Unauthenticated)
}

async fn tokens(owner: &Caller, include_revoked: bool) -> Vec<ServiceAccountToken> {
    let request = ListServiceAccountTokensRequest {
        parent: CI.to_owned(),
        include_revoked,
        ..ListServiceAccountTokensRequest::default()
    };
    let mut accounts = owner.service_accounts();
    let response = accounts.list_service_account_tokens(request).await.unwrap();
    response.into_inner().service_account_tokens
}

#[tokio::test]
async fn a_revoked_token_is_refused_at_every_server() {
    let server = TestServer::start().await;
    let other = TestServer::on(server.database()).await;
    let owner = server.admin();
    let caller = owner.somebody("ci", "viewer", "").await;
    let [token] = tokens(owner, false).await.try_into().unwrap();
    let secret = owner.token("ci").await.unwrap();
    let elsewhere = Caller::new(other.address(), &secret);
    assert!(!is_refused(&caller).await && !is_refused(&elsewhere).await);

    for token in tokens(owner, false).await {
        let request = RevokeServiceAccountTokenRequest {
            name: token.name,
            ..RevokeServiceAccountTokenRequest::default()
        };
        let mut accounts = owner.service_accounts();
        accounts
            .revoke_service_account_token(request)
            .await
            .unwrap();
    }
    for caller in [&caller, &elsewhere] {
        until("the token is refused", SOON, async || {
            is_refused(caller).await
        })
        .await;
    }
    assert!(tokens(owner, false).await.is_empty());
    let ended = tokens(owner, true).await;
    assert!(
        ended
            .iter()
            .any(|it| it.name == token.name && it.revoke_time.is_some())
    );
}

#[tokio::test]
async fn a_disabled_or_deleted_account_opens_nothing() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let caller = owner.somebody("ci", "viewer", "").await;
    let get = GetServiceAccountRequest {
        name: CI.to_owned(),
    };
    let account = owner
        .service_accounts()
        .get_service_account(get)
        .await
        .unwrap();
    let account = account.into_inner().service_account.unwrap();
    let set = async |disabled: bool, etag: &str| {
        let request = UpdateServiceAccountRequest {
            service_account: Some(ServiceAccount {
                name: CI.to_owned(),
                disabled,
                ..ServiceAccount::default()
            }),
            update_mask: Some(prost_types::FieldMask {
                paths: vec!["disabled".to_owned()],
            }),
            etag: etag.to_owned(),
            ..UpdateServiceAccountRequest::default()
        };
        let response = owner
            .service_accounts()
            .update_service_account(request)
            .await;
        response.unwrap().into_inner().service_account.unwrap()
    };
    let disabled = set(true, &account.etag).await;
    until("its token is refused", SOON, async || {
        is_refused(&caller).await
    })
    .await;
    let enabled = set(false, &disabled.etag).await;
    until("its token opens again", SOON, async || {
        !is_refused(&caller).await
    })
    .await;
    let delete = DeleteServiceAccountRequest {
        name: CI.to_owned(),
        etag: enabled.etag,
        ..DeleteServiceAccountRequest::default()
    };
    owner
        .service_accounts()
        .delete_service_account(delete)
        .await
        .unwrap();
    until("its token is refused for good", SOON, async || {
        is_refused(&caller).await
    })
    .await;
    let mut accounts = owner.service_accounts();
    let left = accounts
        .list_service_accounts(ListServiceAccountsRequest::default())
        .await
        .unwrap()
        .into_inner()
        .service_accounts;
    let keys: Vec<_> = left.iter().map(|it| it.key.as_str()).collect();
    assert_eq!(keys, ["admin"]);
}

#[tokio::test]
async fn a_rotated_token_works_until_the_overlap_ends() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let old = owner.somebody("ci", "viewer", "").await;
    let [token] = tokens(owner, false).await.try_into().unwrap();
    let request = RotateServiceAccountTokenRequest {
        name: token.name.clone(),
        overlap: Some(prost_types::Duration {
            seconds: 2,
            nanos: 0,
        }),
        request_id: "rotate once".to_owned(),
        ..RotateServiceAccountTokenRequest::default()
    };
    let mut accounts = owner.service_accounts();
    let rotated = accounts
        .rotate_service_account_token(request.clone())
        .await
        .unwrap();
    let rotated = rotated.into_inner();
    let new = Caller::new(server.address(), &rotated.secret);
    assert!(!is_refused(&new).await);
    let replay = accounts
        .rotate_service_account_token(request)
        .await
        .unwrap();
    let replay = replay.into_inner();
    assert!(replay.secret.is_empty() && replay.secret_already_shown);
    assert_eq!(replay.service_account_token, rotated.service_account_token);
    until("the old token has ended", SOON, async || {
        is_refused(&old).await
    })
    .await;
    assert!(!is_refused(&new).await);
    let again = RotateServiceAccountTokenRequest {
        name: token.name,
        ..RotateServiceAccountTokenRequest::default()
    };
    let outcome = accounts.rotate_service_account_token(again).await;
    assert_eq!(
        reason(&refused(outcome, Code::FailedPrecondition)),
        "KEY_ENDED"
    );
}

#[tokio::test]
async fn a_token_that_was_used_says_when() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let caller = owner.somebody("ci", "viewer", "").await;
    assert!(tokens(owner, false).await[0].last_used_time.is_none());
    assert!(!is_refused(&caller).await);
    // Written for many at once, a while later.
    let deadline = std::time::Duration::from_secs(150);
    until("the use was written down", deadline, async || {
        tokens(owner, false).await[0].last_used_time.is_some()
    })
    .await;
}

#[tokio::test]
async fn bad_accounts_and_tokens_are_refused_by_field() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let mut accounts = owner.service_accounts();
    let request = CreateServiceAccountRequest {
        service_account: Some(ServiceAccount {
            key: "Not A Key".to_owned(),
            ..ServiceAccount::default()
        }),
        ..CreateServiceAccountRequest::default()
    };
    let status = refused(
        accounts.create_service_account(request).await,
        Code::InvalidArgument,
    );
    assert_eq!(fields(&status), ["service_account.key"]);
    owner.create_account("ci").await;
    let past = CreateServiceAccountTokenRequest {
        parent: CI.to_owned(),
        service_account_token: Some(ServiceAccountToken {
            expire_time: Some(prost_types::Timestamp {
                seconds: 1,
                nanos: 0,
            }),
            ..ServiceAccountToken::default()
        }),
        ..CreateServiceAccountTokenRequest::default()
    };
    let outcome = accounts.create_service_account_token(past).await;
    let status = refused(outcome, Code::InvalidArgument);
    assert_eq!(fields(&status), ["service_account_token.expire_time"]);
    let gone = CreateServiceAccountTokenRequest {
        parent: "serviceAccounts/gone".to_owned(),
        ..CreateServiceAccountTokenRequest::default()
    };
    refused(
        accounts.create_service_account_token(gone).await,
        Code::NotFound,
    );
    let stale = DeleteServiceAccountRequest {
        name: CI.to_owned(),
        etag: "another".to_owned(),
        ..DeleteServiceAccountRequest::default()
    };
    refused(accounts.delete_service_account(stale).await, Code::Aborted);
    // Only tried: nothing opens.
    let tried = CreateServiceAccountTokenRequest {
        parent: CI.to_owned(),
        validate_only: true,
        ..CreateServiceAccountTokenRequest::default()
    };
    let tried = accounts.create_service_account_token(tried).await.unwrap();
    assert!(tried.into_inner().secret.is_empty());
    assert!(tokens(owner, true).await.is_empty());
}
