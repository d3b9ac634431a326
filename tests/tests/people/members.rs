//! What is done with members: roles, a name, and keeping them out.

use std::time::{Duration, Instant};

use burgee_proto::admin::v1::{
    CreateServiceAccountTokenRequest, DeactivateMemberRequest, DeleteMemberRequest,
    DeleteRoleBindingRequest, ExplainAccessRequest, GetMemberRequest, ListMembersRequest,
    ListProjectsRequest, ListRoleBindingsRequest, Member, ReactivateMemberRequest,
    UpdateMemberRequest,
};
use burgee_tests::builders::boolean_flag;
use burgee_tests::callers::Caller;
use burgee_tests::errors::{reason, refused};
use burgee_tests::people::{PASSWORD, acceptance};
use burgee_tests::server::TestServer;
use burgee_tests::wait::{SOON, until};
use tonic::{Code, Status};

use super::{is_shut_out, other_organization, who_am_i};

async fn deactivate(caller: &Caller, name: &str) -> Result<Member, Status> {
    let request = DeactivateMemberRequest {
        name: name.to_owned(),
        ..DeactivateMemberRequest::default()
    };
    let response = caller.members().deactivate_member(request).await?;
    Ok(response.into_inner().member.unwrap())
}

async fn delete(caller: &Caller, member: &Member) -> Result<(), Status> {
    let request = DeleteMemberRequest {
        name: member.name.clone(),
        etag: member.etag.clone(),
        ..DeleteMemberRequest::default()
    };
    caller.members().delete_member(request).await.map(drop)
}

async fn allowed(caller: &Caller, subject: &str, permission: &str) -> bool {
    let request = ExplainAccessRequest {
        subject: subject.to_owned(),
        permission: permission.to_owned(),
        ..ExplainAccessRequest::default()
    };
    let response = caller.members().explain_access(request).await.unwrap();
    response.into_inner().allowed
}

#[tokio::test]
async fn a_deactivated_member_is_out_at_every_server_and_comes_back_with_their_roles() {
    let server = TestServer::start().await;
    let other = TestServer::on(server.database()).await;
    let owner = server.admin();
    let (ada, member) = owner.person("ada@example.com", "viewer", "").await;
    let secret = server
        .nobody()
        .sign_in("ada@example.com", PASSWORD)
        .await
        .unwrap()
        .secret;
    let elsewhere = Caller::new(other.address(), &secret);
    who_am_i(&elsewhere).await.unwrap();

    let deactivated = deactivate(owner, &member.name).await.unwrap();
    assert!(deactivated.deactivated);
    is_shut_out(&ada).await;
    is_shut_out(&elsewhere).await;
    let outcome = server.nobody().sign_in("ada@example.com", PASSWORD).await;
    refused(outcome, Code::Unauthenticated);
    assert!(!allowed(owner, &member.name, "project.read").await);

    let request = ReactivateMemberRequest {
        name: member.name.clone(),
        ..ReactivateMemberRequest::default()
    };
    owner.members().reactivate_member(request).await.unwrap();
    assert!(allowed(owner, &member.name, "project.read").await);
    // The old sessions stay ended.
    is_shut_out(&ada).await;
    let secret = server
        .nobody()
        .sign_in("ada@example.com", PASSWORD)
        .await
        .unwrap()
        .secret;
    let ada = server.caller(&secret);
    ada.projects()
        .list_projects(ListProjectsRequest::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn nobody_touches_a_member_who_may_do_more() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let (_, boss) = owner.person("boss@example.com", "owner", "").await;
    let (admin, _) = owner.person("admin@example.com", "admin", "").await;
    refused(deactivate(&admin, &boss.name).await, Code::PermissionDenied);
    let request = UpdateMemberRequest {
        member: Some(Member {
            display_name: "Nobody".to_owned(),
            ..boss
        }),
        ..UpdateMemberRequest::default()
    };
    refused(
        admin.members().update_member(request).await,
        Code::PermissionDenied,
    );
    let (viewer, _) = owner.person("viewer@example.com", "viewer", "").await;
    let (_, other) = owner.person("other@example.com", "viewer", "").await;
    refused(
        deactivate(&viewer, &other.name).await,
        Code::PermissionDenied,
    );
}

#[tokio::test]
async fn the_last_owner_who_is_let_in_stays() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let (ada, ada_member) = owner.person("ada@example.com", "owner", "").await;
    let (_, bob) = owner.person("bob@example.com", "owner", "").await;
    deactivate(owner, &bob.name).await.unwrap();
    let list = ListRoleBindingsRequest {
        subject: "serviceAccounts/admin".to_owned(),
        ..ListRoleBindingsRequest::default()
    };
    let held = ada.members().list_role_bindings(list).await.unwrap();
    let [machine] = held.into_inner().role_bindings.try_into().unwrap();
    let delete = DeleteRoleBindingRequest {
        name: machine.name,
        ..DeleteRoleBindingRequest::default()
    };
    ada.members().delete_role_binding(delete).await.unwrap();
    // Bob is an owner by name alone.
    let status = refused(
        deactivate(&ada, &ada_member.name).await,
        Code::FailedPrecondition,
    );
    assert_eq!(reason(&status), "LAST_OWNER");
    let [binding] = who_am_i(&ada)
        .await
        .unwrap()
        .role_bindings
        .try_into()
        .unwrap();
    let delete = DeleteRoleBindingRequest {
        name: binding.name,
        ..DeleteRoleBindingRequest::default()
    };
    let outcome = ada.members().delete_role_binding(delete).await;
    assert_eq!(
        reason(&refused(outcome, Code::FailedPrecondition)),
        "LAST_OWNER"
    );
}

#[tokio::test]
async fn members_are_listed_renamed_and_told_apart_by_etag() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let (ada, member) = owner.person("ada@example.com", "viewer", "").await;
    owner.person("bob@example.com", "viewer", "").await;
    let mut listed = Vec::new();
    let mut request = ListMembersRequest {
        page_size: 1,
        ..ListMembersRequest::default()
    };
    loop {
        let page = ada
            .members()
            .list_members(request.clone())
            .await
            .unwrap()
            .into_inner();
        listed.extend(page.members);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    let emails: Vec<_> = listed.iter().map(|it| it.email.as_str()).collect();
    assert_eq!(emails, ["ada@example.com", "bob@example.com"]);

    let mut request = UpdateMemberRequest {
        member: Some(Member {
            display_name: "Ada Lovelace".to_owned(),
            ..member.clone()
        }),
        ..UpdateMemberRequest::default()
    };
    let renamed = owner
        .members()
        .update_member(request.clone())
        .await
        .unwrap();
    assert_eq!(
        renamed.into_inner().member.unwrap().display_name,
        "Ada Lovelace"
    );
    request.member.as_mut().unwrap().display_name = "Ada Byron".to_owned();
    refused(owner.members().update_member(request).await, Code::Aborted);
    let get = GetMemberRequest { name: member.name };
    let got = ada.members().get_member(get).await.unwrap().into_inner();
    assert_eq!(got.member.unwrap().display_name, "Ada Lovelace");
    let absent = GetMemberRequest {
        name: format!("members/{}", uuid::Uuid::now_v7()),
    };
    refused(ada.members().get_member(absent).await, Code::NotFound);
}

#[tokio::test]
async fn a_deleted_member_is_forgotten_unless_somebody_else_has_them() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let (_, ada) = owner.person("ada@example.com", "viewer", "").await;
    let (_, bob) = owner.person("bob@example.com", "viewer", "").await;
    let other = other_organization(&server);
    let invited = other.invite("bob@example.com", "viewer", "").await.unwrap();
    let accepted = server.nobody().accept(acceptance(&invited.secret)).await;
    let elsewhere = server.caller(&accepted.unwrap().secret);

    let status = refused(delete(owner, &ada).await, Code::FailedPrecondition);
    assert_eq!(reason(&status), "MEMBER_ACTIVE");
    let (admin, _) = owner.person("admin@example.com", "admin", "").await;
    let (_, boss) = owner.person("boss@example.com", "owner", "").await;
    let boss = deactivate(owner, &boss.name).await.unwrap();
    refused(delete(&admin, &boss).await, Code::PermissionDenied);

    for member in [&ada, &bob] {
        let gone = deactivate(owner, &member.name).await.unwrap();
        let stale = delete(owner, member).await;
        refused(stale, Code::Aborted);
        delete(owner, &gone).await.unwrap();
        let get = GetMemberRequest {
            name: gone.name.clone(),
        };
        refused(owner.members().get_member(get).await, Code::NotFound);
        refused(delete(owner, &gone).await, Code::NotFound);
    }
    let known = "select count(*) from people where email = 'ada@example.com'";
    assert_eq!(server.database().number(known).await, 0);
    let invited = "select count(*) from invitations where email = 'ada@example.com'";
    assert_eq!(server.database().number(invited).await, 0);
    // Bob still belongs to the other organization, with the password that he had.
    who_am_i(&elsewhere).await.unwrap();
    let signed = server.nobody().sign_in("bob@example.com", PASSWORD).await;
    assert_eq!(signed.unwrap().session.unwrap().organization, "other");
    // And Ada may come back, as somebody new.
    let (_, again) = owner.person("ada@example.com", "viewer", "").await;
    assert_ne!(again.uid, ada.uid);
}

#[tokio::test]
async fn whoever_is_shut_out_while_their_change_waits_changes_nothing() {
    let server = TestServer::start().await;
    let (ada, member) = server.admin().person("ada@example.com", "owner", "").await;
    let wanted = async move {
        let request = CreateServiceAccountTokenRequest {
            parent: "serviceAccounts/admin".to_owned(),
            ..CreateServiceAccountTokenRequest::default()
        };
        let mut accounts = ada.service_accounts();
        accounts.create_service_account_token(request).await
    };
    is_refused_after_waiting(
        &server,
        &member,
        ("select from organizations for update", Duration::ZERO),
        wanted,
    )
    .await;
    let made = "select count(*) from tokens where creator like 'members/%'";
    assert_eq!(server.database().number(made).await, 0);
}

#[tokio::test]
async fn whoever_is_shut_out_while_their_toggle_waits_long_turns_nothing_on() {
    let server = TestServer::start().await;
    let (project, production) = server.shop().await;
    project.create_flag(boolean_flag("sale")).await;
    let (ada, member) = server.admin().person("ada@example.com", "owner", "").await;
    let request = production.set_enabled_request("sale", true);
    let wanted = async move { ada.flags().set_flag_enabled(request).await };
    let held = (
        "select from environment_heads for update",
        Duration::from_secs(1),
    );
    is_refused_after_waiting(&server, &member, held, wanted).await;
}

/// Asserts that a change is refused whose caller is deactivated while it waits for so long, at
/// the least, because of what this locks.
async fn is_refused_after_waiting<T: Send + 'static>(
    server: &TestServer,
    member: &Member,
    (hold, at_least): (&'static str, Duration),
    wanted: impl Future<Output = Result<T, Status>> + Send + 'static,
) {
    let mut holding = server.database().pool().begin().await.unwrap();
    sqlx::query(hold).execute(&mut *holding).await.unwrap();
    let wanted = tokio::spawn(wanted);
    let waiting = "select count(*) from pg_stat_activity
                   where datname = current_database() and wait_event_type = 'Lock'";
    until("the change waits for the lock", SOON, async || {
        server.database().number(waiting).await == 1
    })
    .await;
    let since = Instant::now();
    // As if whoever holds the lock deactivated them.
    sqlx::query("update members set deactivated = true where id = $1::uuid")
        .bind(&member.uid)
        .execute(&mut *holding)
        .await
        .unwrap();
    until("it has waited for so long", SOON, async || {
        since.elapsed() > at_least
    })
    .await;
    holding.commit().await.unwrap();
    let status = refused(wanted.await.unwrap(), Code::Unauthenticated);
    assert_eq!(reason(&status), "CREDENTIAL_INVALID");
}
