//! How people become members.

use burgee_proto::admin::v1::{
    DeactivateMemberRequest, Invitation, ListInvitationsRequest, ListRoleBindingsRequest,
    RevokeInvitationRequest,
};
use burgee_tests::callers::Caller;
use burgee_tests::errors::{fields, reason, refused};
use burgee_tests::people::{PASSWORD, acceptance, invitation};
use burgee_tests::process::{built, run};
use burgee_tests::server::TestServer;
use tonic::Code;

use super::{audit, who_am_i};

async fn invitations(caller: &Caller) -> Vec<Invitation> {
    let request = ListInvitationsRequest::default();
    let response = caller.members().list_invitations(request).await.unwrap();
    response.into_inner().invitations
}

/// The secret in a link.
fn secret(text: &str) -> String {
    let (_, secret) = text.split_once('#').unwrap();
    secret.lines().next().unwrap().to_owned()
}

#[tokio::test]
async fn the_first_owner_comes_by_the_link_that_the_server_prints() {
    let mut server = TestServer::start().await;
    let printed = server.stdout();
    assert!(printed.contains("http://127.0.0.1:"), "{printed}");
    let mut request = acceptance(&secret(&printed));
    let status = refused(
        server.nobody().accept(request.clone()).await,
        Code::InvalidArgument,
    );
    assert_eq!(fields(&status), ["email"]);
    request.email = "Ada@Example.com".to_owned();
    let accepted = server.nobody().accept(request.clone()).await.unwrap();
    let member = accepted.member.unwrap();
    assert_eq!(member.email, "ada@example.com");

    let ada = server.caller(&accepted.secret);
    let who = who_am_i(&ada).await.unwrap();
    assert_eq!(who.subject, member.name);
    assert_eq!(who.member.unwrap(), member);
    assert_eq!(who.role_bindings[0].role, "roles/owner");

    // Neither this link nor any other of its kind makes a second one.
    let status = refused(server.nobody().accept(request).await, Code::Unauthenticated);
    assert_eq!(reason(&status), "CREDENTIAL_INVALID");
    server.stop().await;
    server.start_again().await;
    assert!(!server.stdout().contains('#'), "{}", server.stdout());
    server
        .nobody()
        .sign_in("ada@example.com", PASSWORD)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_operator_makes_an_owner_by_a_command() {
    let server = TestServer::start().await;
    server.admin().person("ada@example.com", "viewer", "").await;
    let command = ["create-owner", "--email", "Grace@Example.com"];
    let elsewhere = ["--public-url", "https://flags.example.com/"];
    let database = ["--database-url", server.database().url()];
    let output = run(
        &built("burgee-server"),
        &[&command[..], &elsewhere, &database].concat(),
    );
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let link = String::from_utf8(output.stdout).unwrap();
    assert!(
        link.starts_with("https://flags.example.com/accept-invitation#burgee_lnk_"),
        "{link}"
    );
    let accepted = server
        .nobody()
        .accept(acceptance(&secret(&link)))
        .await
        .unwrap();
    assert_eq!(accepted.member.unwrap().email, "grace@example.com");
    let who = who_am_i(&server.caller(&accepted.secret)).await.unwrap();
    assert_eq!(who.role_bindings[0].role, "roles/owner");
}

#[tokio::test]
async fn whoever_is_invited_has_the_role_where_it_was_given_and_uses_the_link_once() {
    let server = TestServer::start().await;
    let (_, production) = server.shop().await;
    let owner = server.admin();
    let invited = owner
        .invite("ada@example.com", "developer", &production.name)
        .await;
    let invited = invited.unwrap();
    let shown = invited.invitation.unwrap();
    assert_eq!(shown.scope, production.name);
    assert_eq!(shown.creator, "serviceAccounts/admin");
    assert!(invitations(owner).await.contains(&shown));

    let request = acceptance(&invited.secret);
    let accepted = server.nobody().accept(request.clone()).await.unwrap();
    let who = who_am_i(&server.caller(&accepted.secret)).await.unwrap();
    let [binding] = who.role_bindings.try_into().unwrap();
    assert_eq!(
        (binding.role.as_str(), &binding.scope),
        ("roles/developer", &production.name)
    );
    let again = server.nobody().accept(request).await;
    refused(again, Code::Unauthenticated);
    assert!(!invitations(owner).await.contains(&shown));
    let list = ListRoleBindingsRequest {
        subject: accepted.member.unwrap().name,
        ..ListRoleBindingsRequest::default()
    };
    let held = owner.members().list_role_bindings(list).await.unwrap();
    assert_eq!(held.into_inner().role_bindings, [binding]);
}

#[tokio::test]
async fn an_invitation_gives_no_more_than_whoever_made_it_may() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let (admin, admin_member) = owner.person("admin@example.com", "admin", "").await;
    let outcome = admin.invite("friend@example.com", "owner", "").await;
    refused(outcome, Code::PermissionDenied);
    let (viewer, _) = owner.person("viewer@example.com", "viewer", "").await;
    let outcome = viewer.invite("friend@example.com", "viewer", "").await;
    refused(outcome, Code::PermissionDenied);

    // What they may no longer do, nobody gains by what they made before.
    let invited = admin
        .invite("friend@example.com", "admin", "")
        .await
        .unwrap();
    let by_machine = owner.somebody("ci", "admin", "").await;
    let through_ci = by_machine
        .invite("other@example.com", "admin", "")
        .await
        .unwrap();
    sqlx::query("delete from role_bindings where service_account_id in (select id from service_accounts where key = 'ci')")
        .execute(server.database().pool())
        .await
        .unwrap();
    let request = DeactivateMemberRequest {
        name: admin_member.name,
        ..DeactivateMemberRequest::default()
    };
    owner.members().deactivate_member(request).await.unwrap();
    for secret in [invited.secret, through_ci.secret] {
        let outcome = server.nobody().accept(acceptance(&secret)).await;
        let status = refused(outcome, Code::Unauthenticated);
        assert_eq!(reason(&status), "CREDENTIAL_INVALID");
    }
}

#[tokio::test]
async fn a_link_that_was_revoked_or_has_expired_opens_nothing() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let revoked = owner.invite("ada@example.com", "viewer", "").await.unwrap();
    let request = RevokeInvitationRequest {
        name: revoked.invitation.unwrap().name,
        ..RevokeInvitationRequest::default()
    };
    owner
        .members()
        .revoke_invitation(request.clone())
        .await
        .unwrap();
    let again = owner.members().revoke_invitation(request).await;
    refused(again, Code::NotFound);
    let expired = owner.invite("bob@example.com", "viewer", "").await.unwrap();
    sqlx::query("update invitations set expires_at = now()")
        .execute(server.database().pool())
        .await
        .unwrap();
    for secret in [revoked.secret, expired.secret] {
        let outcome = server.nobody().accept(acceptance(&secret)).await;
        refused(outcome, Code::Unauthenticated);
    }
}

#[tokio::test]
async fn what_is_malformed_is_refused_by_its_field() {
    let server = TestServer::start().await;
    let owner = server.admin();
    for (request, field) in [
        (invitation("no address", "viewer", ""), "invitation.email"),
        (
            invitation("ada@example.com", "NOT OK", ""),
            "invitation.role",
        ),
        (
            invitation("ada@example.com", "viewer", "flags/x"),
            "invitation.scope",
        ),
    ] {
        let outcome = owner.members().invite_member(request).await;
        let status = refused(outcome, Code::InvalidArgument);
        assert_eq!(fields(&status), [field]);
    }
    let invited = owner.invite("ada@example.com", "viewer", "").await.unwrap();
    let good = acceptance(&invited.secret);
    let with = |change: &dyn Fn(&mut burgee_proto::admin::v1::AcceptInvitationRequest)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    for (request, field) in [
        (with(&|it| it.secret = "burgee_lnk_x".to_owned()), "secret"),
        (
            with(&|it| it.display_name = "x".repeat(257)),
            "display_name",
        ),
        (with(&|it| it.password = "too short".to_owned()), "password"),
        (with(&|it| it.password = "x".repeat(1_025)), "password"),
        (
            with(&|it| it.password = "password1234".to_owned()),
            "password",
        ),
        (
            with(&|it| it.password = "ada@example.com".to_owned()),
            "password",
        ),
        (with(&|it| it.email = "bob@example.com".to_owned()), "email"),
    ] {
        let status = refused(server.nobody().accept(request).await, Code::InvalidArgument);
        assert_eq!(fields(&status), [field]);
    }
    // None of it used up the link.
    server.nobody().accept(good).await.unwrap();
    let outcome = owner.invite("ada@example.com", "viewer", "").await;
    refused(outcome, Code::AlreadyExists);
}

#[tokio::test]
async fn invitations_are_told_to_the_audit_log_and_their_secrets_to_nobody() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let request = burgee_proto::admin::v1::InviteMemberRequest {
        request_id: "once".to_owned(),
        ..invitation("ada@example.com", "viewer", "")
    };
    let first = owner
        .members()
        .invite_member(request.clone())
        .await
        .unwrap();
    let first = first.into_inner();
    let again = owner
        .members()
        .invite_member(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again.invitation, first.invitation);
    assert!(again.secret.is_empty() && again.secret_already_shown);
    let accepted = server
        .nobody()
        .accept(acceptance(&first.secret))
        .await
        .unwrap();
    let name = first.invitation.unwrap().name;
    let member = accepted.member.unwrap().name;
    let entries = audit(owner).await;
    let of = |resource: &str| {
        let entries = entries.iter().filter(|entry| entry.resource == resource);
        let told = entries.map(|entry| (entry.actor.as_str(), entry.method.rsplit('/').next()));
        told.collect::<Vec<_>>()
    };
    let accepting = (member.as_str(), Some("AcceptInvitation"));
    assert_eq!(
        of(&name),
        [("serviceAccounts/admin", Some("InviteMember")), accepting]
    );
    assert_eq!(of(&member), [accepting]);
    let log = format!("{entries:?} {}", server.log());
    for secret in [
        first.secret.as_str(),
        accepted.secret.as_str(),
        PASSWORD,
        "argon2",
    ] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
