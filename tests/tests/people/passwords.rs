//! Passwords are changed and forgotten, and open other organizations for their
//! person alone.

use burgee_proto::admin::v1::{
    AuditEntry, ChangePasswordRequest, CreatePasswordResetRequest, CreatePasswordResetResponse,
    DeactivateMemberRequest, ResetPasswordRequest, RevokeSessionRequest, SwitchOrganizationRequest,
};
use burgee_tests::callers::Caller;
use burgee_tests::errors::{fields, reason, refused};
use burgee_tests::people::{PASSWORD, acceptance, personal_token};
use burgee_tests::server::TestServer;
use prost_types::value::Kind;
use tonic::{Code, Status};

use super::{audit, is_shut_out, other_organization, overtaken, who_am_i};

const ADA: &str = "ada@example.com";
const NEW: &str = "seventeen copper kettles";

async fn change(caller: &Caller, password: &str, new_password: &str) -> Result<(), Status> {
    let request = ChangePasswordRequest {
        password: password.to_owned(),
        new_password: new_password.to_owned(),
        ..ChangePasswordRequest::default()
    };
    caller.auth().change_password(request).await.map(drop)
}

async fn link(caller: &Caller, member: &str) -> Result<CreatePasswordResetResponse, Status> {
    let request = CreatePasswordResetRequest {
        name: member.to_owned(),
        ..CreatePasswordResetRequest::default()
    };
    let response = caller.members().create_password_reset(request).await?;
    Ok(response.into_inner())
}

async fn reset(caller: &Caller, secret: &str, new_password: &str) -> Result<(), Status> {
    let request = ResetPasswordRequest {
        secret: secret.to_owned(),
        new_password: new_password.to_owned(),
    };
    caller.auth().reset_password(request).await.map(drop)
}

#[tokio::test]
async fn a_changed_password_ends_every_other_session() {
    let server = TestServer::start().await;
    let (ada, _) = server.admin().person(ADA, "viewer", "").await;
    let elsewhere = server.nobody().sign_in(ADA, PASSWORD).await.unwrap().secret;
    let elsewhere = server.caller(&elsewhere);
    who_am_i(&elsewhere).await.unwrap();
    refused(change(&ada, NEW, NEW).await, Code::Unauthenticated);
    let told = audit(server.admin()).await;
    let told = told.last().unwrap();
    assert_eq!(
        (told.part.as_str(), told.denied),
        ("password", 1),
        "{told:?}"
    );
    for weak in ["short", "password1234", ADA] {
        let status = refused(change(&ada, PASSWORD, weak).await, Code::InvalidArgument);
        assert_eq!(fields(&status), ["new_password"]);
    }
    who_am_i(&elsewhere).await.unwrap();

    change(&ada, PASSWORD, NEW).await.unwrap();
    is_shut_out(&elsewhere).await;
    who_am_i(&ada).await.unwrap();
    refused(
        server.nobody().sign_in(ADA, PASSWORD).await,
        Code::Unauthenticated,
    );
    server.nobody().sign_in(ADA, NEW).await.unwrap();
}

#[tokio::test]
async fn a_changed_password_ends_personal_tokens_if_it_shall() {
    let server = TestServer::start().await;
    let (ada, _) = server.admin().person(ADA, "viewer", "").await;
    let (token, _) = ada
        .own_token(personal_token(&["flag.read"], ""))
        .await
        .unwrap();
    change(&ada, PASSWORD, NEW).await.unwrap();
    who_am_i(&token).await.unwrap();

    let request = ChangePasswordRequest {
        password: NEW.to_owned(),
        new_password: PASSWORD.to_owned(),
        revoke_personal_tokens: true,
    };
    ada.auth().change_password(request).await.unwrap();
    is_shut_out(&token).await;
    who_am_i(&ada).await.unwrap();
    let told = audit(server.admin()).await;
    let told = told.iter().filter(|entry| entry.part == "password");
    let revoked = told.map(|entry| match entry.detail.as_ref()?.kind.as_ref()? {
        Kind::StructValue(detail) => detail.fields["tokensRevoked"].kind.clone(),
        _ => None,
    });
    let expected = [false, true].map(|it| Some(Kind::BoolValue(it)));
    assert_eq!(revoked.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn whoever_is_shut_out_while_they_change_the_password_changes_nothing() {
    let server = TestServer::start().await;
    let (ada, _) = server.admin().person(ADA, "viewer", "").await;
    let outcome = overtaken(&server, async move { change(&ada, PASSWORD, NEW).await }).await;
    let status = refused(outcome, Code::Unauthenticated);
    assert_eq!(reason(&status), "CREDENTIAL_INVALID");
    server.nobody().sign_in(ADA, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_forgotten_password_is_set_anew_by_a_link_once() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let (ada, member) = owner.person(ADA, "viewer", "").await;
    let made = link(owner, &member.name).await.unwrap();
    let second = link(owner, &member.name).await.unwrap();
    let status = refused(
        reset(&server.nobody(), &made.secret, ADA).await,
        Code::InvalidArgument,
    );
    assert_eq!(fields(&status), ["new_password"]);
    who_am_i(&ada).await.unwrap();

    reset(&server.nobody(), &made.secret, NEW).await.unwrap();
    is_shut_out(&ada).await;
    server.nobody().sign_in(ADA, NEW).await.unwrap();
    for secret in [&made.secret, &second.secret] {
        let outcome = reset(&server.nobody(), secret, PASSWORD).await;
        assert_eq!(
            reason(&refused(outcome, Code::Unauthenticated)),
            "CREDENTIAL_INVALID"
        );
    }
    let expired = link(owner, &member.name).await.unwrap();
    sqlx::query("update password_resets set expires_at = now()")
        .execute(server.database().pool())
        .await
        .unwrap();
    refused(
        reset(&server.nobody(), &expired.secret, PASSWORD).await,
        Code::Unauthenticated,
    );

    let entries = audit(owner).await;
    let told = entries.iter().filter(|entry| entry.part == "password");
    let told: Vec<_> = told.map(|entry| entry.actor.as_str()).collect();
    let admin = "serviceAccounts/admin";
    assert_eq!(told, [admin, admin, member.name.as_str(), admin]);
    let log = format!("{entries:?} {}", server.log());
    for secret in [NEW, PASSWORD, &made.secret, "argon2"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn a_link_ends_when_its_member_may_do_more_than_whoever_made_it() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let (admin, _) = owner.person("admin@example.com", "admin", "").await;
    let (_, member) = owner.person(ADA, "viewer", "").await;
    let by_admin = link(&admin, &member.name).await.unwrap().secret;
    let by_owner = link(owner, &member.name).await.unwrap().secret;
    owner.bind_subject(&member.name, "owner", "").await.unwrap();
    let nobody = server.nobody();
    let outcome = reset(&nobody, &by_admin, NEW).await;
    refused(outcome, Code::Unauthenticated);
    reset(&nobody, &by_owner, NEW).await.unwrap();
}

#[tokio::test]
async fn nobody_resets_the_password_of_whoever_may_do_more() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let (_, boss) = owner.person("boss@example.com", "owner", "").await;
    let (admin, _) = owner.person("admin@example.com", "admin", "").await;
    refused(link(&admin, &boss.name).await, Code::PermissionDenied);
}

#[tokio::test]
async fn a_person_of_two_organizations_switches_and_neither_opens_the_other() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let other = other_organization(&server);
    let (ada, member) = owner.person(ADA, "viewer", "").await;
    let forgotten = link(owner, &member.name).await.unwrap();
    let invited = other.invite(ADA, "owner", "").await.unwrap();
    let mut request = acceptance(&invited.secret);
    request.password = NEW.to_owned();
    let status = refused(server.nobody().accept(request).await, Code::Unauthenticated);
    assert_eq!(reason(&status), "CREDENTIAL_INVALID");
    server
        .nobody()
        .accept(acceptance(&invited.secret))
        .await
        .unwrap();

    let who = who_am_i(&ada).await.unwrap();
    assert_eq!(
        (who.organization.as_str(), who.role_bindings.len()),
        ("default", 1)
    );
    assert_eq!(who.organizations, ["default", "other"]);
    let to = |organization: &str| SwitchOrganizationRequest {
        organization: organization.to_owned(),
        ..SwitchOrganizationRequest::default()
    };
    let switched = ada
        .auth()
        .switch_organization(to("other"))
        .await
        .unwrap()
        .into_inner();
    let there = who_am_i(&server.caller(&switched.secret)).await.unwrap();
    assert_eq!(there.organization, "other");
    assert_eq!(there.role_bindings[0].role, "roles/owner");
    assert_ne!(there.subject, who.subject);
    refused(
        ada.auth().switch_organization(to("nowhere")).await,
        Code::NotFound,
    );

    // A session that is ended from elsewhere is told of where it was.
    let session = switched.session.unwrap().name;
    let request = RevokeSessionRequest {
        name: session.clone(),
    };
    ada.auth().revoke_session(request).await.unwrap();
    let ends = |entry: &AuditEntry| entry.method.ends_with("/RevokeSession");
    let told = audit(&other).await.into_iter().find(ends).unwrap();
    assert_eq!((told.actor, told.resource), (there.subject, session));
    assert!(!audit(owner).await.iter().any(ends));

    // The link of one organization would open the other.
    let status = refused(link(owner, &member.name).await, Code::FailedPrecondition);
    assert_eq!(reason(&status), "PERSON_ELSEWHERE");
    refused(
        reset(&server.nobody(), &forgotten.secret, NEW).await,
        Code::Unauthenticated,
    );
}

#[tokio::test]
async fn a_reset_password_ends_the_tokens_that_the_old_one_made() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let (ada, member) = owner.person(ADA, "viewer", "").await;
    let (script, _) = ada
        .own_token(personal_token(&["project.read"], ""))
        .await
        .unwrap();
    who_am_i(&script).await.unwrap();
    let made = link(owner, &member.name).await.unwrap();
    reset(&server.nobody(), &made.secret, NEW).await.unwrap();
    is_shut_out(&script).await;
}

#[tokio::test]
async fn a_link_ends_with_whoever_made_it() {
    let server = TestServer::start().await;
    let owner = server.admin();
    let (admin, maker) = owner.person("admin@example.com", "admin", "").await;
    let (_, ada) = owner.person(ADA, "admin", "").await;
    let made = link(&admin, &ada.name).await.unwrap();
    let request = DeactivateMemberRequest {
        name: maker.name,
        ..DeactivateMemberRequest::default()
    };
    owner.members().deactivate_member(request).await.unwrap();
    let outcome = reset(&server.nobody(), &made.secret, NEW).await;
    refused(outcome, Code::Unauthenticated);
    server.nobody().sign_in(ADA, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_session_of_another_organization_lives_no_longer_than_the_one_it_came_from() {
    let server = TestServer::start().await;
    let other = other_organization(&server);
    let (ada, _) = server.admin().person(ADA, "viewer", "").await;
    let invited = other.invite(ADA, "viewer", "").await.unwrap();
    let accepted = server.nobody().accept(acceptance(&invited.secret)).await;
    accepted.unwrap();
    sqlx::query("update sessions set expires_at = now() + interval '1 hour'")
        .execute(server.database().pool())
        .await
        .unwrap();
    let switch = SwitchOrganizationRequest {
        organization: "other".to_owned(),
        ..SwitchOrganizationRequest::default()
    };
    let switched = ada
        .auth()
        .switch_organization(switch.clone())
        .await
        .unwrap();
    let session = switched.into_inner().session.unwrap();
    let lives = session.expire_time.unwrap().seconds - session.create_time.unwrap().seconds;
    assert!(lives <= 60 * 60, "{lives} s");
    // It is known for a second still, and makes no other any more.
    sqlx::query("update sessions set ended_at = now()")
        .execute(server.database().pool())
        .await
        .unwrap();
    refused(
        ada.auth().switch_organization(switch).await,
        Code::Unauthenticated,
    );
}
