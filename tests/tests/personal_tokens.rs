//! Personal tokens: they open what their scopes name of what their person may
//! do at that moment, never make others, and end when they are told to.

use burgee_proto::admin::v1::{
    AuditFilter, CreateServiceAccountTokenRequest, DeactivateMemberRequest,
    DeleteEnvironmentRequest, DeleteRoleBindingRequest, GetEnvironmentRequest, GetFlagRequest,
    ListAuditEntriesRequest, ListMemberTokensRequest, ListPersonalTokensRequest,
    ListRoleBindingsRequest, ListSessionsRequest, PersonalToken, ReactivateMemberRequest,
    RevokeMemberTokenRequest, RevokePersonalTokenRequest, RotatePersonalTokenRequest,
    ServiceAccountToken, TokenScopes, WhoAmIRequest, WhoAmIResponse,
};
use burgee_tests::builders::boolean_flag;
use burgee_tests::callers::Caller;
use burgee_tests::errors::{fields, limit, reason, refused};
use burgee_tests::people::{PASSWORD, personal_token};
use burgee_tests::project::{TestEnvironment, TestProject};
use burgee_tests::server::TestServer;
use burgee_tests::wait::{SOON, eventually, until};
use tonic::{Code, Status};

use crate::audit::entries;

const ADA: &str = "ada@example.com";
const FLAGS: [&str; 3] = ["flag.read", "flagConfig.setEnabled", "flag.delete"];

async fn who_am_i(caller: &Caller) -> Result<WhoAmIResponse, Status> {
    let response = caller.auth().who_am_i(WhoAmIRequest {}).await?;
    Ok(response.into_inner())
}

async fn is_shut_out(caller: &Caller) {
    until("the token is refused", SOON, async || {
        let outcome = who_am_i(caller).await;
        outcome.is_err_and(|status| status.code() == Code::Unauthenticated)
    })
    .await;
}

async fn world(server: &TestServer) -> (TestProject, TestEnvironment, TestEnvironment) {
    let (shop, production) = server.shop().await;
    let staging = shop.environment("staging").await;
    shop.create_flag(boolean_flag("banner")).await;
    (shop, production, staging)
}

async fn toggle(caller: &Caller, environment: &TestEnvironment) -> Result<(), Status> {
    let request = environment.set_enabled_request("banner", true);
    caller.flags().set_flag_enabled(request).await.map(drop)
}

async fn own_tokens(caller: &Caller) -> Vec<PersonalToken> {
    let request = ListPersonalTokensRequest {
        include_revoked: true,
        ..ListPersonalTokensRequest::default()
    };
    let mut tokens = caller.personal_tokens();
    let response = tokens.list_personal_tokens(request).await.unwrap();
    response.into_inner().personal_tokens
}

#[tokio::test]
async fn a_token_opens_what_its_scopes_name_of_what_its_person_may_do_now() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let (shop, production, staging) = world(&server).await;
    let (ada, member) = owner.person(ADA, "developer", "").await;
    let (token, made) = ada
        .own_token(personal_token(&FLAGS, &staging.name))
        .await
        .unwrap();
    assert!(made.secret_prefix.starts_with("burgee_pat_"));
    assert!(made.name.starts_with(&format!("{}/tokens/", member.name)));

    toggle(&token, &staging).await.unwrap();
    let status = refused(toggle(&token, &production).await, Code::PermissionDenied);
    assert_eq!(reason(&status), "PERMISSION_DENIED");
    let get = GetFlagRequest {
        name: shop.flag_name("banner"),
    };
    token.flags().get_flag(get).await.unwrap();
    let outside = GetEnvironmentRequest {
        name: staging.name.clone(),
    };
    let mut environments = token.environments();
    refused(
        environments.get_environment(outside).await,
        Code::PermissionDenied,
    );
    // It says who it is: the person, with no more than the scopes and the person have both.
    let me = who_am_i(&token).await.unwrap();
    assert_eq!(me.subject, member.name);
    assert_eq!(
        (&me.token, &*me.token_display_name),
        (&made.name, "a script")
    );
    let [there] = me.permissions.try_into().unwrap();
    assert_eq!(there.scope, staging.name);
    assert_eq!(there.permissions, ["flag.read", "flagConfig.setEnabled"]);
    assert!(who_am_i(&ada).await.unwrap().token.is_empty());

    // A person who loses a role narrows the token at once.
    owner
        .bind_subject(&member.name, "viewer", "")
        .await
        .unwrap();
    let list = ListRoleBindingsRequest {
        subject: member.name.clone(),
        ..ListRoleBindingsRequest::default()
    };
    let held = owner.members().list_role_bindings(list).await.unwrap();
    let mut held = held.into_inner().role_bindings.into_iter();
    let developer = held.find(|it| it.role == "roles/developer").unwrap();
    let delete = DeleteRoleBindingRequest {
        name: developer.name,
        ..DeleteRoleBindingRequest::default()
    };
    owner.members().delete_role_binding(delete).await.unwrap();
    until("the token opens less", SOON, async || {
        toggle(&token, &staging).await.is_err()
    })
    .await;
    let me = who_am_i(&token).await.unwrap();
    assert_eq!(me.permissions[0].permissions, ["flag.read"]);
}

#[tokio::test]
async fn no_token_makes_tokens_or_does_what_takes_a_session() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let (ada, member) = owner.person(ADA, "owner", "").await;
    let everything: Vec<String> = {
        let all = who_am_i(&ada).await.unwrap().permissions;
        all.into_iter().flat_map(|it| it.permissions).collect()
    };
    let everything: Vec<&str> = everything.iter().map(String::as_str).collect();
    let (token, made) = ada
        .own_token(personal_token(&everything, ""))
        .await
        .unwrap();
    refused(
        token.own_token(personal_token(&["flag.read"], "")).await,
        Code::Unauthenticated,
    );
    let rotate = RotatePersonalTokenRequest {
        name: made.name.clone(),
        ..RotatePersonalTokenRequest::default()
    };
    let mut tokens = token.personal_tokens();
    refused(
        tokens.rotate_personal_token(rotate).await,
        Code::Unauthenticated,
    );
    refused(
        token.auth().list_sessions(ListSessionsRequest {}).await,
        Code::Unauthenticated,
    );
    // Nor does a service account have any.
    refused(
        owner.own_token(personal_token(&["flag.read"], "")).await,
        Code::Unauthenticated,
    );
    // All of them are known: who they are is in the audit log, and what they lacked.
    let told = eventually("the attempts are told", SOON, async || {
        let filter = AuditFilter {
            denied: Some(true),
            ..AuditFilter::default()
        };
        let told = entries(owner, filter).await;
        (told.len() == 4).then_some(told)
    })
    .await;
    for entry in told {
        let by_account = entry.actor == "serviceAccounts/admin";
        assert!(by_account || entry.actor == member.name, "{entry:?}");
        let detail = format!("{:?}", entry.detail.unwrap());
        assert!(detail.contains("session"), "{detail}");
    }
}

#[tokio::test]
async fn a_token_is_listed_rotated_and_revoked_by_its_person_alone() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let (ada, _) = owner.person(ADA, "viewer", "").await;
    let (ben, _) = owner.person("ben@example.com", "viewer", "").await;
    let (old, made) = ada
        .own_token(personal_token(&["flag.read"], ""))
        .await
        .unwrap();
    assert_eq!(own_tokens(&ada).await, std::slice::from_ref(&made));
    assert!(own_tokens(&ben).await.is_empty());
    let rotate = RotatePersonalTokenRequest {
        name: made.name.clone(),
        overlap: Some(prost_types::Duration {
            seconds: 2,
            nanos: 0,
        }),
        request_id: "once".to_owned(),
        ..RotatePersonalTokenRequest::default()
    };
    let revoke = RevokePersonalTokenRequest {
        name: made.name.clone(),
        ..RevokePersonalTokenRequest::default()
    };
    // Somebody else's is not there.
    let mut of_ben = ben.personal_tokens();
    refused(
        of_ben.rotate_personal_token(rotate.clone()).await,
        Code::NotFound,
    );
    refused(
        of_ben.revoke_personal_token(revoke.clone()).await,
        Code::NotFound,
    );

    let mut tokens = ada.personal_tokens();
    let rotated = tokens.rotate_personal_token(rotate.clone()).await.unwrap();
    let rotated = rotated.into_inner();
    let successor = rotated.personal_token.unwrap();
    assert_eq!(successor.scopes, made.scopes);
    let new = server.caller(&rotated.secret);
    who_am_i(&new).await.unwrap();
    let replay = tokens.rotate_personal_token(rotate).await.unwrap();
    let replay = replay.into_inner();
    assert!(replay.secret.is_empty() && replay.secret_already_shown);
    is_shut_out(&old).await;
    who_am_i(&new).await.unwrap();
    let revoke = RevokePersonalTokenRequest {
        name: successor.name,
        ..revoke
    };
    tokens.revoke_personal_token(revoke).await.unwrap();
    is_shut_out(&new).await;
    let ended = own_tokens(&ada).await;
    assert!(ended[1].revoke_time.is_some());
}

#[tokio::test]
async fn whoever_manages_members_sees_and_ends_the_tokens_of_those_who_may_no_more() {
    let server = TestServer::start().await;
    let other = TestServer::on(server.database()).await;
    let owner = server.admin();
    let (admin, _) = owner.person("admin@example.com", "admin", "").await;
    let (ada, ada_member) = owner.person(ADA, "viewer", "").await;
    let (boss, boss_member) = owner.person("boss@example.com", "owner", "").await;
    let request = personal_token(&["flag.read"], "");
    let mut tokens = ada.personal_tokens();
    let made = tokens.create_personal_token(request.clone()).await.unwrap();
    let secret = made.into_inner().secret;
    let [here, elsewhere] = [&server, &other].map(|server| server.caller(&secret));
    who_am_i(&elsewhere).await.unwrap();
    let (_, of_boss) = boss.own_token(request).await.unwrap();

    let list = ListMemberTokensRequest {
        parent: ada_member.name.clone(),
        ..ListMemberTokensRequest::default()
    };
    let mut people = admin.personal_tokens();
    let seen = people.list_member_tokens(list.clone()).await.unwrap();
    let [seen] = seen.into_inner().personal_tokens.try_into().unwrap();
    let revoke = |name: &str| RevokeMemberTokenRequest {
        name: name.to_owned(),
        ..RevokeMemberTokenRequest::default()
    };
    let denied = people.revoke_member_token(revoke(&of_boss.name)).await;
    refused(denied, Code::PermissionDenied);
    // A token's uid under another member's name is no token.
    let (_, uid) = of_boss.name.rsplit_once('/').unwrap();
    let mixed = format!("{}/tokens/{uid}", ada_member.name);
    refused(
        people.revoke_member_token(revoke(&mixed)).await,
        Code::NotFound,
    );
    people
        .revoke_member_token(revoke(&seen.name))
        .await
        .unwrap();
    is_shut_out(&here).await;
    is_shut_out(&elsewhere).await;
    let denied = ada.personal_tokens().list_member_tokens(list).await;
    refused(denied, Code::PermissionDenied);
    assert!(boss_member.name != ada_member.name);
}

#[tokio::test]
async fn a_member_who_is_kept_out_leaves_their_tokens_for_good() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let (ada, member) = owner.person(ADA, "viewer", "").await;
    let (token, _) = ada
        .own_token(personal_token(&["flag.read"], ""))
        .await
        .unwrap();
    who_am_i(&token).await.unwrap();
    let deactivate = DeactivateMemberRequest {
        name: member.name.clone(),
        ..DeactivateMemberRequest::default()
    };
    owner.members().deactivate_member(deactivate).await.unwrap();
    is_shut_out(&token).await;
    let reactivate = ReactivateMemberRequest {
        name: member.name,
        ..ReactivateMemberRequest::default()
    };
    owner.members().reactivate_member(reactivate).await.unwrap();
    let signed_in = server.nobody().sign_in(ADA, PASSWORD).await.unwrap();
    let ada = server.caller(&signed_in.secret);
    assert!(own_tokens(&ada).await[0].revoke_time.is_some());
    is_shut_out(&token).await;
}

#[tokio::test]
async fn a_token_ends_with_the_environment_that_it_is_for() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let (_, _, staging) = world(&server).await;
    let (ada, _) = owner.person(ADA, "developer", "").await;
    let (token, _) = ada
        .own_token(personal_token(&FLAGS, &staging.name))
        .await
        .unwrap();
    toggle(&token, &staging).await.unwrap();
    let get = GetEnvironmentRequest {
        name: staging.name.clone(),
    };
    let mut environments = owner.environments();
    let found = environments.get_environment(get).await.unwrap();
    let delete = DeleteEnvironmentRequest {
        name: staging.name.clone(),
        etag: found.into_inner().environment.unwrap().etag,
        ..DeleteEnvironmentRequest::default()
    };
    environments.delete_environment(delete).await.unwrap();
    is_shut_out(&token).await;
    assert!(own_tokens(&ada).await.is_empty());
}

#[tokio::test]
async fn what_is_done_and_tried_by_a_token_is_told_with_its_name() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let (_, production, staging) = world(&server).await;
    let (ada, member) = owner.person(ADA, "developer", "").await;
    let (token, made) = ada
        .own_token(personal_token(&FLAGS, &staging.name))
        .await
        .unwrap();
    toggle(&token, &staging).await.unwrap();
    refused(toggle(&token, &production).await, Code::PermissionDenied);
    let told = async |denied: bool| {
        let request = ListAuditEntriesRequest {
            filter: Some(AuditFilter {
                actor: member.name.clone(),
                method: "SetFlagEnabled".to_owned(),
                denied: Some(denied),
                ..AuditFilter::default()
            }),
            ..ListAuditEntriesRequest::default()
        };
        let entries = owner.audit().list_audit_entries(request).await.unwrap();
        entries.into_inner().audit_entries
    };
    let [done] = told(false).await.try_into().unwrap();
    assert!(format!("{:?}", done.detail).contains(&made.name));
    until("the refusal is told", SOON, async || {
        !told(true).await.is_empty()
    })
    .await;
    let tried = told(true).await;
    assert!(format!("{:?}", tried[0].detail).contains(&made.name));
    // Without a token there is none to name.
    toggle(&ada, &production).await.unwrap();
    let done = told(false).await;
    assert!(done[0].detail.is_none(), "{:?}", done[0].detail);

    let request = ListAuditEntriesRequest {
        filter: Some(AuditFilter {
            resource: made.name.clone(),
            ..AuditFilter::default()
        }),
        ..ListAuditEntriesRequest::default()
    };
    let entries = owner.audit().list_audit_entries(request).await.unwrap();
    let [entry] = entries.into_inner().audit_entries.try_into().unwrap();
    assert_eq!(
        (entry.part.as_str(), &entry.actor),
        ("personalToken", &member.name)
    );
}

#[tokio::test]
async fn a_service_accounts_token_may_be_good_for_less_than_the_account() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let (_, production, staging) = world(&server).await;
    owner.create_account("ci").await;
    owner.bind("ci", "developer", "").await.unwrap();
    let request = CreateServiceAccountTokenRequest {
        parent: "serviceAccounts/ci".to_owned(),
        service_account_token: Some(ServiceAccountToken {
            scopes: Some(TokenScopes {
                permissions: vec!["flagConfig.setEnabled".to_owned()],
                scope: staging.name.clone(),
            }),
            ..ServiceAccountToken::default()
        }),
        ..CreateServiceAccountTokenRequest::default()
    };
    let mut accounts = owner.service_accounts();
    let made = accounts.create_service_account_token(request).await;
    let made = made.unwrap().into_inner();
    let narrow = server.caller(&made.secret);
    toggle(&narrow, &staging).await.unwrap();
    refused(toggle(&narrow, &production).await, Code::PermissionDenied);
    let me = who_am_i(&narrow).await.unwrap();
    assert_eq!(me.token, made.service_account_token.unwrap().name);
    let wide = server.caller(&owner.token("ci").await.unwrap());
    toggle(&wide, &production).await.unwrap();
}

#[tokio::test]
async fn an_answer_to_a_person_is_not_given_again_to_a_token_that_is_good_for_less() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let (_, production, staging) = world(&server).await;
    let (ada, _) = owner.person(ADA, "developer", "").await;
    let (token, _) = ada
        .own_token(personal_token(&FLAGS, &staging.name))
        .await
        .unwrap();
    let mut request = production.set_enabled_request("banner", true);
    request.request_id = "once".to_owned();
    ada.flags().set_flag_enabled(request.clone()).await.unwrap();
    ada.flags().set_flag_enabled(request.clone()).await.unwrap();
    refused(
        token.flags().set_flag_enabled(request).await,
        Code::PermissionDenied,
    );
}

#[tokio::test]
async fn bad_tokens_are_refused_by_field() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let (ada, _) = owner.person(ADA, "viewer", "").await;
    let with_end = |seconds: i64| {
        let mut request = personal_token(&["flag.read"], "");
        let now = std::time::SystemTime::now();
        let mut end = prost_types::Timestamp::from(now);
        end.seconds += seconds;
        request.personal_token.as_mut().unwrap().expire_time = Some(end);
        request
    };
    const DAY: i64 = 24 * 60 * 60;
    for (request, field) in [
        (personal_token(&[], ""), "scopes.permissions"),
        (
            personal_token(&["flag.read", "flag.fly"], ""),
            "scopes.permissions[1]",
        ),
        (personal_token(&["flag.read"], "nonsense"), "scopes.scope"),
        (with_end(-DAY), "expire_time"),
        (with_end(367 * DAY), "expire_time"),
    ] {
        let status = refused(ada.own_token(request).await, Code::InvalidArgument);
        assert_eq!(fields(&status), [format!("personal_token.{field}")]);
    }
    let gone = personal_token(&["flag.read"], "projects/gone");
    refused(ada.own_token(gone).await, Code::NotFound);
    // Only tried: nothing opens.
    let mut tried = personal_token(&["flag.read"], "");
    tried.validate_only = true;
    let mut tokens = ada.personal_tokens();
    let tried = tokens.create_personal_token(tried).await.unwrap();
    assert!(tried.into_inner().secret.is_empty());
    assert!(own_tokens(&ada).await.is_empty());
    for _ in 0..100 {
        let request = personal_token(&["flag.read"], "");
        ada.own_token(request).await.unwrap();
    }
    let more = ada.own_token(personal_token(&["flag.read"], "")).await;
    let status = refused(more, Code::FailedPrecondition);
    assert_eq!(limit(&status), ("tokens".to_owned(), "100".to_owned()));
}

#[tokio::test]
async fn a_token_that_was_used_says_when() {
    let server = TestServer::start().await;
    let (ada, _) = server.admin().person(ADA, "viewer", "").await;
    let (token, made) = ada
        .own_token(personal_token(&["flag.read"], ""))
        .await
        .unwrap();
    assert!(made.last_used_time.is_none());
    who_am_i(&token).await.unwrap();
    // Written for many at once, a while later.
    let deadline = std::time::Duration::from_secs(150);
    until("the use was written down", deadline, async || {
        own_tokens(&ada).await[0].last_used_time.is_some()
    })
    .await;
}
