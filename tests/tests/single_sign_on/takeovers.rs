//! An owner of one organization has an issuer of their own, which says whatever they like. In
//! another organization they gain nothing by it.

use burgee_proto::admin::v1::{
    ChangePasswordRequest, IdentityProvider, ListSessionsRequest, RevokeSessionRequest,
    SignInRequest, SignInResponse, SwitchOrganizationRequest, WhoAmIRequest,
};
use burgee_tests::callers::Caller;
use burgee_tests::errors::refused;
use burgee_tests::people::{PASSWORD, acceptance};
use burgee_tests::single_sign_on::{SingleSignOn, sign_in};
use tonic::{Code, Status};

use super::is_refused;

const VICTIM: &str = "vera@example.com";

/// Another organization; its owner.
fn other_organization(sso: &SingleSignOn) -> Caller {
    let token = sso.server.database().create_organization("other");
    sso.server.caller(&token)
}

async fn sign_in_to(
    sso: &SingleSignOn,
    organization: &str,
    password: &str,
) -> Result<SignInResponse, Status> {
    let request = SignInRequest {
        email: VICTIM.to_owned(),
        password: password.to_owned(),
        organization: organization.to_owned(),
        ..SignInRequest::default()
    };
    let mut auth = sso.server.nobody().auth();
    Ok(auth.sign_in(request).await?.into_inner())
}

#[tokio::test]
async fn a_session_by_a_provider_opens_its_organization_alone() {
    let sso = SingleSignOn::start().await;
    let other = other_organization(&sso);
    // Vera is an owner of the other organization, and a member of Mallory's, who says so.
    let (vera, _) = other.person(VICTIM, "owner", "").await;
    let invited = sso
        .server
        .admin()
        .invite(VICTIM, "viewer", "")
        .await
        .unwrap();
    let nobody = sso.server.nobody();
    nobody.accept(acceptance(&invited.secret)).await.unwrap();
    sso.issuer.sends("vera", VICTIM, &["staff"]);
    let signed_in = sso.sign_in().await.unwrap();
    assert!(!signed_in.member.unwrap().managed, "it is her");
    let mallory = sso.server.caller(&signed_in.secret);

    let who = mallory
        .auth()
        .who_am_i(WhoAmIRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (who.organization.as_str(), who.organizations),
        ("default", vec!["default".to_owned()])
    );
    for organization in ["other", "default", "nowhere"] {
        let request = SwitchOrganizationRequest {
            organization: organization.to_owned(),
            set_cookie: false,
        };
        is_refused(mallory.auth().switch_organization(request).await);
    }
    let listed = mallory
        .auth()
        .list_sessions(ListSessionsRequest {})
        .await
        .unwrap();
    let listed = listed.into_inner().sessions;
    assert!(
        listed
            .iter()
            .all(|session| session.organization == "default"),
        "{listed:?}"
    );
    let hers = vera
        .auth()
        .list_sessions(ListSessionsRequest {})
        .await
        .unwrap();
    let hers = hers.into_inner().sessions.into_iter();
    let elsewhere = hers.clone().find(|session| session.organization == "other");
    let request = RevokeSessionRequest {
        name: elsewhere.unwrap().name,
    };
    let outcome = mallory.auth().revoke_session(request).await;
    refused(outcome, Code::NotFound);
    let request = ChangePasswordRequest {
        password: PASSWORD.to_owned(),
        new_password: "harbour over lanterns 8".to_owned(),
        ..ChangePasswordRequest::default()
    };
    is_refused(mallory.auth().change_password(request).await);
    // She herself goes where she belongs, and sees all of it.
    assert_eq!(hers.len(), 3);
    let request = SwitchOrganizationRequest {
        organization: "default".to_owned(),
        set_cookie: false,
    };
    vera.auth().switch_organization(request).await.unwrap();
}

#[tokio::test]
async fn whoever_a_provider_brings_is_nobody_elsewhere() {
    let sso = SingleSignOn::start().await;
    let other = other_organization(&sso);
    let (vera, _) = other.person(VICTIM, "owner", "").await;
    // Vera has nothing to do with Mallory's organization, whose issuer speaks of her.
    sso.issuer.sends("vera", VICTIM, &["staff"]);
    let signed_in = sso.sign_in().await.unwrap();
    let member = signed_in.member.unwrap();
    assert!(member.managed, "somebody else with the same address");
    let mallory = sso.server.caller(&signed_in.secret);
    let who = mallory
        .auth()
        .who_am_i(WhoAmIRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(who.organizations, ["default"]);
    // Her password opens what it opened, and no more.
    sign_in_to(&sso, "other", PASSWORD).await.unwrap();
    is_refused(sign_in_to(&sso, "default", PASSWORD).await);
    let sessions = vera
        .auth()
        .list_sessions(ListSessionsRequest {})
        .await
        .unwrap();
    let sessions = sessions.into_inner().sessions;
    assert!(
        sessions
            .iter()
            .all(|session| session.organization == "other")
    );
}

#[tokio::test]
async fn an_address_that_a_provider_took_first_is_still_free_elsewhere() {
    let sso = SingleSignOn::start().await;
    sso.issuer.sends("vera", VICTIM, &["staff"]);
    let squatter = sso.sign_in().await.unwrap().member.unwrap();
    // Vera is invited where she belongs, and chooses a password of her own.
    let other = other_organization(&sso);
    let (_, vera) = other.person(VICTIM, "owner", "").await;
    assert!(!vera.managed);
    sign_in_to(&sso, "other", PASSWORD).await.unwrap();
    is_refused(sign_in_to(&sso, "default", PASSWORD).await);
    let again = sso.sign_in().await.unwrap().member.unwrap();
    assert_eq!(again.name, squatter.name);
}

#[tokio::test]
async fn a_provider_of_one_organization_is_none_of_another() {
    let sso = SingleSignOn::start().await;
    let other = other_organization(&sso);
    let nobody = sso.server.nobody();
    refused(sign_in(&nobody, "other").await.map(drop), Code::NotFound);
    refused(
        other.identity_provider("identityProviders/sso").await,
        Code::NotFound,
    );
    // Both may have one of the same issuer: to each, its people are its own.
    let same = IdentityProvider {
        role_mappings: Vec::new(),
        ..sso.provider()
    };
    burgee_tests::single_sign_on::create(&other, same)
        .await
        .unwrap();
    let here = sso.sign_in().await.unwrap();
    let there = sign_in(&nobody, "other").await.unwrap();
    assert_ne!(here.member.unwrap().uid, there.member.unwrap().uid);
    let there = sso.server.caller(&there.secret);
    let who = there
        .auth()
        .who_am_i(WhoAmIRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (who.organization.as_str(), who.role_bindings),
        ("other", Vec::new())
    );
}
