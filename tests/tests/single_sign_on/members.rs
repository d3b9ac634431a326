//! Who becomes a member, and who is one already.

use burgee_proto::admin::v1::{
    ChangePasswordRequest, CreatePasswordResetRequest, DeactivateMemberRequest,
    DeleteIdentityRequest, GetOrganizationRequest, IdentityProvider, ListIdentitiesRequest,
    ListMembersRequest, Member, Organization, UpdateOrganizationRequest,
};
use burgee_tests::errors::{reason, refused};
use burgee_tests::issuer::person;
use burgee_tests::people::{PASSWORD, acceptance};
use burgee_tests::process::{built, run};
use burgee_tests::single_sign_on::{ORGANIZATION, PROVIDER, SingleSignOn};
use serde_json::json;
use tonic::Code;

use super::{is_refused, name_of, sessions};
use crate::people::audit;

const ADA: &str = "ada@example.com";

async fn members(sso: &SingleSignOn) -> Vec<Member> {
    let request = ListMembersRequest::default();
    let mut members = sso.server.admin().members();
    let listed = members.list_members(request).await.unwrap();
    listed.into_inner().members
}

#[tokio::test]
async fn whoever_signs_in_first_becomes_a_member_and_stays_the_same_one() {
    let sso = SingleSignOn::start().await;
    let first = sso.sign_in().await.unwrap();
    let member = first.member.unwrap();
    assert_eq!(member.email, ADA);
    assert_eq!(member.display_name, "ada of the provider");
    assert!(member.managed);
    let session = first.session.unwrap();
    assert_eq!(session.organization, ORGANIZATION);
    assert_eq!(session.identity_provider, "identityProviders/sso");
    assert!(first.secret.starts_with("burgee_ses_"));
    let again = sso.sign_in().await.unwrap().member.unwrap();
    assert_eq!(again.name, member.name);
    assert_eq!(members(&sso).await, [again]);

    let entries = audit(sso.server.admin()).await;
    let told: Vec<_> = entries
        .iter()
        .filter(|entry| entry.method.ends_with("/CompleteOidcSignIn"))
        .map(|entry| (entry.actor.as_str(), entry.part.as_str()))
        .collect();
    let ada = member.name.as_str();
    let parts = ["member", "identity", "roleBinding", "session", "session"];
    assert_eq!(told, parts.map(|part| (ada, part)));
    let detail = format!("{:?}", entries.last().unwrap().detail);
    assert!(detail.contains("identityProviders/sso"), "{detail}");
}

#[tokio::test]
async fn where_people_must_be_invited_others_are_not_let_in() {
    let sso = SingleSignOn::without_provider().await;
    let provider = IdentityProvider {
        just_in_time: false,
        ..sso.provider()
    };
    sso.create(provider).await.unwrap();
    is_refused(sso.sign_in().await);
    assert_eq!(members(&sso).await, []);
    let invited = sso
        .server
        .admin()
        .invite(ADA, "reviewer", "")
        .await
        .unwrap();
    let signed_in = sso.sign_in().await.unwrap();
    let member = signed_in.member.unwrap();
    let roles = sso.roles(&member.name).await;
    let held: Vec<_> = roles
        .iter()
        .map(|it| (it.role.as_str(), it.identity_provider.as_str()))
        .collect();
    let by_groups = ("roles/developer", "identityProviders/sso");
    assert_eq!(held, [("roles/reviewer", ""), by_groups]);
    // The link was for the same person.
    let acceptance = acceptance(&invited.secret);
    is_refused(sso.server.nobody().accept(acceptance).await);
}

#[tokio::test]
async fn a_member_with_a_password_is_found_by_a_verified_address_and_keeps_it() {
    let sso = SingleSignOn::start().await;
    let (_, ada) = sso.server.admin().person(ADA, "viewer", "").await;
    sso.issuer.sends("ada", "ADA@Example.com", &[]);
    let signed_in = sso.sign_in().await.unwrap().member.unwrap();
    assert_eq!(signed_in.name, ada.name);
    assert!(!signed_in.managed);
    let entries = audit(sso.server.admin()).await;
    let linked = entries
        .iter()
        .find(|entry| entry.part == "identity")
        .unwrap();
    assert_eq!((&linked.actor, &linked.resource), (&ada.name, &ada.name));
    let nobody = sso.server.nobody();
    nobody.sign_in(ADA, PASSWORD).await.unwrap();
    // Whatever address the provider gives them later, they are the same.
    sso.issuer.sends("ada", "lovelace@example.com", &[]);
    let renamed = sso.sign_in().await.unwrap().member.unwrap();
    assert_eq!((renamed.name, renamed.email), (ada.name, ADA.to_owned()));
}

#[tokio::test]
async fn unverified_and_foreign_addresses_get_nobody_in() {
    let sso = SingleSignOn::start().await;
    sso.server.admin().person(ADA, "owner", "").await;
    let before = sessions(&sso).await;
    let mut unverified = person("mallory", ADA, &["staff"]);
    for verified in [json!(false), json!("false"), json!(null)] {
        unverified["email_verified"] = verified;
        sso.issuer.state().person = unverified.clone();
        is_refused(sso.sign_in().await);
    }
    unverified.as_object_mut().unwrap().remove("email");
    sso.issuer.state().person = unverified;
    is_refused(sso.sign_in().await);
    for foreign in [
        "ada@example.org",
        "ada@sub.example.com",
        "ada@example.com@evil.example",
    ] {
        sso.issuer.sends("mallory", foreign, &["staff"]);
        is_refused(sso.sign_in().await);
    }
    assert_eq!(sessions(&sso).await, before);
    let trusting = IdentityProvider {
        trust_unverified_email: true,
        ..IdentityProvider::default()
    };
    sso.update(&["trust_unverified_email"], trusting)
        .await
        .unwrap();
    let mut unsaid = person("ada", ADA, &[]);
    unsaid.as_object_mut().unwrap().remove("email_verified");
    sso.issuer.state().person = unsaid;
    sso.sign_in().await.unwrap();
}

#[tokio::test]
async fn an_address_that_another_subject_had_is_not_theirs_until_an_owner_says_so() {
    let sso = SingleSignOn::start().await;
    let ada = sso.sign_in().await.unwrap().member.unwrap();
    // The address was given to somebody else.
    sso.issuer.sends("grace", ADA, &["staff"]);
    is_refused(sso.sign_in().await);
    let mut providers = sso.server.admin().identity_providers();
    let list = ListIdentitiesRequest {
        parent: "identityProviders/sso".to_owned(),
        ..ListIdentitiesRequest::default()
    };
    let listed = providers.list_identities(list).await.unwrap().into_inner();
    let [identity] = listed.identities.try_into().unwrap();
    assert_eq!(
        (identity.member, identity.subject),
        (ada.name.clone(), "ada".to_owned())
    );
    let delete = DeleteIdentityRequest {
        name: identity.name,
        ..DeleteIdentityRequest::default()
    };
    providers.delete_identity(delete.clone()).await.unwrap();
    assert_eq!(sessions(&sso).await, 0, "what came of it has ended");
    assert_eq!(sso.roles(&ada.name).await, []);
    refused(providers.delete_identity(delete).await, Code::NotFound);
    let again = sso.sign_in().await.unwrap().member.unwrap();
    assert_eq!(again.name, ada.name);
}

#[tokio::test]
async fn whom_a_provider_brought_has_the_address_that_it_says_today() {
    let sso = SingleSignOn::start().await;
    let ada = sso.sign_in().await.unwrap().member.unwrap();
    sso.issuer.sends("grace", "grace@example.com", &[]);
    let grace = sso.sign_in().await.unwrap().member.unwrap();
    sso.issuer.sends("ada", "lovelace@example.com", &[]);
    let renamed = sso.sign_in().await.unwrap().member.unwrap();
    assert_eq!(
        (&renamed.name, renamed.email.as_str()),
        (&ada.name, "lovelace@example.com")
    );
    assert_ne!(renamed.etag, ada.etag);
    // Unless another has it.
    sso.issuer.sends("ada", "grace@example.com", &[]);
    let same = sso.sign_in().await.unwrap().member.unwrap();
    assert_eq!((same.name, same.email), (ada.name, renamed.email));
    assert_ne!(same.uid, grace.uid);
}

#[tokio::test]
async fn whom_a_provider_brought_becomes_no_second_member_by_a_link() {
    let sso = SingleSignOn::start().await;
    sso.sign_in().await.unwrap();
    let database = ["--database-url", sso.server.database().url()];
    let command = ["create-owner", "--email", "Ada@example.com"];
    let output = run(&built("burgee-server"), &[&command[..], &database].concat());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("signs in by an identity provider"), "{told}");

    let renamed = "lovelace@example.com";
    let admin = sso.server.admin();
    let invited = admin.invite(renamed, "owner", "").await.unwrap();
    sso.issuer.sends("ada", renamed, &[]);
    sso.sign_in().await.unwrap();
    is_refused(
        sso.server
            .nobody()
            .accept(acceptance(&invited.secret))
            .await,
    );
    assert_eq!(members(&sso).await.len(), 1);
}

#[tokio::test]
async fn whom_a_provider_brought_has_no_password_and_gets_none() {
    let sso = SingleSignOn::start().await;
    let signed_in = sso.sign_in().await.unwrap();
    let nobody = sso.server.nobody();
    let known = is_refused(nobody.sign_in(ADA, PASSWORD).await);
    let unknown = is_refused(nobody.sign_in("nobody@example.com", PASSWORD).await);
    assert_eq!(known.details(), unknown.details());
    let request = CreatePasswordResetRequest {
        name: signed_in.member.unwrap().name,
        ..CreatePasswordResetRequest::default()
    };
    let mut members = sso.server.admin().members();
    let outcome = members.create_password_reset(request).await;
    let status = refused(outcome, Code::FailedPrecondition);
    assert_eq!(reason(&status), "MEMBER_MANAGED");
    let ada = sso.server.caller(&signed_in.secret);
    let request = ChangePasswordRequest {
        password: PASSWORD.to_owned(),
        new_password: "harbour over lanterns 8".to_owned(),
        ..ChangePasswordRequest::default()
    };
    is_refused(ada.auth().change_password(request).await);
    let outcome = sso.server.admin().invite(ADA, "viewer", "").await;
    refused(outcome, Code::AlreadyExists);
}

#[tokio::test]
async fn the_deactivated_stay_out_and_the_log_says_that_they_tried() {
    let sso = SingleSignOn::start().await;
    let ada = sso.signed_in().await;
    let name = name_of(&ada).await;
    let request = DeactivateMemberRequest {
        name: name.clone(),
        ..DeactivateMemberRequest::default()
    };
    let mut members = sso.server.admin().members();
    members.deactivate_member(request).await.unwrap();
    is_refused(sso.sign_in().await);
    // Nor under another name.
    sso.issuer.sends("another", ADA, &["staff"]);
    is_refused(sso.sign_in().await);
    assert_eq!(sessions(&sso).await, 0);
    let entries = audit(sso.server.admin()).await;
    let denied: Vec<_> = entries.iter().filter(|entry| entry.denied > 0).collect();
    let [denied, in_their_name] = denied[..] else {
        panic!("{denied:?}")
    };
    assert_eq!(in_their_name.actor, name);
    assert_eq!(
        (denied.actor.as_str(), denied.part.as_str()),
        (name.as_str(), "signIn")
    );
    let detail = format!("{:?}", denied.detail);
    assert!(
        detail.contains(&format!("identityProviders/{PROVIDER}")),
        "{detail}"
    );
}

#[tokio::test]
async fn a_provider_asks_for_second_factors_itself() {
    let sso = SingleSignOn::start().await;
    let admin = sso.server.admin();
    let mut organizations = admin.organizations();
    let read = organizations.get_organization(GetOrganizationRequest::default());
    let organization = read.await.unwrap().into_inner().organization.unwrap();
    let request = UpdateOrganizationRequest {
        organization: Some(Organization {
            require_second_factor: true,
            ..organization
        }),
        ..UpdateOrganizationRequest::default()
    };
    organizations.update_organization(request).await.unwrap();
    let request = ListMembersRequest::default();
    let ada = sso.signed_in().await;
    ada.members().list_members(request.clone()).await.unwrap();
    let (bob, _) = admin.person("bob@example.com", "viewer", "").await;
    let outcome = bob.members().list_members(request).await;
    let status = refused(outcome, Code::FailedPrecondition);
    assert_eq!(reason(&status), "SECOND_FACTOR_WANTED");
}
