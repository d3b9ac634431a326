//! Roles that groups give.

use burgee_proto::admin::v1::{
    CreateRoleBindingRequest, DeleteProjectRequest, DeleteRoleBindingRequest, DeleteRoleRequest,
    GetProjectRequest, GetRoleRequest, IdentityProvider, RoleBinding,
};
use burgee_tests::errors::{reason, refused};
use burgee_tests::single_sign_on::{SingleSignOn, mapping};
use tonic::Code;

use super::name_of;

const ADA: &str = "ada@example.com";

async fn held(sso: &SingleSignOn, member: &str) -> Vec<(String, String)> {
    let roles = sso.roles(member).await.into_iter();
    let mut held: Vec<_> = roles.map(|it| (it.role, it.scope)).collect();
    held.sort();
    held
}

fn role(role: &str, scope: &str) -> (String, String) {
    (format!("roles/{role}"), scope.to_owned())
}

fn mapping_to(mappings: &[(&str, &str, &str)]) -> IdentityProvider {
    let mappings = mappings
        .iter()
        .map(|(group, role, scope)| mapping(group, role, scope));
    IdentityProvider {
        role_mappings: mappings.collect(),
        ..IdentityProvider::default()
    }
}

#[tokio::test]
async fn roles_follow_the_groups_at_each_sign_in_and_those_given_by_hand_stay() {
    let sso = SingleSignOn::start().await;
    let (shop, _) = sso.server.shop().await;
    shop.environment("staging").await;
    let staging = "projects/shop/environments/staging";
    let mappings = [
        ("staff", "viewer", ""),
        ("shop", "developer", "projects/shop"),
        ("shop", "reviewer", staging),
    ];
    sso.update(&["role_mappings"], mapping_to(&mappings))
        .await
        .unwrap();
    let member = name_of(&sso.signed_in().await).await;
    assert_eq!(held(&sso, &member).await, [role("viewer", "")]);
    let by_hand = CreateRoleBindingRequest {
        role_binding: Some(RoleBinding {
            subject: member.clone(),
            role: "roles/viewer".to_owned(),
            ..RoleBinding::default()
        }),
        ..CreateRoleBindingRequest::default()
    };
    let mut members = sso.server.admin().members();
    let given = members.create_role_binding(by_hand).await.unwrap();
    let given = given.into_inner().role_binding.unwrap();
    assert_eq!(
        given.identity_provider, "",
        "the same role, beside the mapped one"
    );

    sso.issuer.sends("ada", ADA, &["shop", "others"]);
    sso.sign_in().await.unwrap();
    let expected = [
        role("developer", "projects/shop"),
        role("reviewer", staging),
        role("viewer", ""),
    ];
    assert_eq!(held(&sso, &member).await, expected);
    sso.issuer.sends("ada", ADA, &[]);
    sso.sign_in().await.unwrap();
    assert_eq!(sso.roles(&member).await, [given]);
}

#[tokio::test]
async fn what_a_mapping_gave_is_not_taken_by_hand_and_goes_with_the_mapping() {
    let sso = SingleSignOn::start().await;
    let member = name_of(&sso.signed_in().await).await;
    let [binding] = sso.roles(&member).await.try_into().unwrap();
    let request = DeleteRoleBindingRequest {
        name: binding.name,
        ..DeleteRoleBindingRequest::default()
    };
    let mut members = sso.server.admin().members();
    let outcome = members.delete_role_binding(request).await;
    let status = refused(outcome, Code::FailedPrecondition);
    assert_eq!(reason(&status), "ROLE_BINDING_MAPPED");
    let other = mapping_to(&[("others", "developer", "")]);
    sso.update(&["role_mappings"], other).await.unwrap();
    // One that gives the same, to others, keeps it until the next sign-in.
    assert_eq!(held(&sso, &member).await, [role("developer", "")]);
    sso.sign_in().await.unwrap();
    assert_eq!(held(&sso, &member).await, []);
    sso.issuer.sends("ada", ADA, &["others"]);
    sso.sign_in().await.unwrap();
    sso.update(&["role_mappings"], mapping_to(&[]))
        .await
        .unwrap();
    assert_eq!(held(&sso, &member).await, []);
}

#[tokio::test]
async fn a_role_that_is_mapped_stays_and_a_project_that_is_gone_gives_nothing() {
    let sso = SingleSignOn::start().await;
    let project = sso.server.project("gone").await;
    let admin = sso.server.admin();
    let custom = burgee_proto::admin::v1::CreateRoleRequest {
        role: Some(burgee_proto::admin::v1::Role {
            key: "reader".to_owned(),
            permissions: vec!["flag.read".to_owned()],
            ..Default::default()
        }),
        ..Default::default()
    };
    admin.members().create_role(custom).await.unwrap();
    let mappings = [
        ("staff", "reader", ""),
        ("staff", "viewer", "projects/gone"),
    ];
    sso.update(&["role_mappings"], mapping_to(&mappings))
        .await
        .unwrap();
    let name = "roles/reader".to_owned();
    let request = GetRoleRequest { name: name.clone() };
    let read = admin.members().get_role(request).await;
    let etag = read.unwrap().into_inner().role.unwrap().etag;
    let delete = DeleteRoleRequest {
        name,
        etag,
        ..DeleteRoleRequest::default()
    };
    let outcome = admin.members().delete_role(delete).await;
    let status = refused(outcome, Code::FailedPrecondition);
    assert_eq!(reason(&status), "ROLE_IN_USE");
    let name = project.name();
    let request = GetProjectRequest { name: name.clone() };
    let read = admin.projects().get_project(request).await;
    let delete = DeleteProjectRequest {
        name,
        etag: read.unwrap().into_inner().project.unwrap().etag,
        ..DeleteProjectRequest::default()
    };
    admin.projects().delete_project(delete).await.unwrap();
    let member = name_of(&sso.signed_in().await).await;
    assert_eq!(held(&sso, &member).await, [role("reader", "")]);
}

#[tokio::test]
async fn the_last_owner_stays_one_whatever_the_groups_say() {
    let sso = SingleSignOn::start().await;
    let owners = mapping_to(&[("staff", "owner", "")]);
    sso.update(&["role_mappings"], owners).await.unwrap();
    let owner = sso.signed_in().await;
    let member = name_of(&owner).await;
    // The only other owner is the service account that tests work with.
    sqlx::query("delete from role_bindings where service_account_id is not null")
        .execute(sso.server.database().pool())
        .await
        .unwrap();
    sso.issuer.sends("ada", ADA, &[]);
    let owner_still = sso.signed_in().await;
    let request = burgee_proto::admin::v1::ListRoleBindingsRequest {
        subject: member.clone(),
        ..Default::default()
    };
    let roles = owner_still.members().list_role_bindings(request).await;
    let [role] = roles
        .unwrap()
        .into_inner()
        .role_bindings
        .try_into()
        .unwrap();
    assert_eq!(role.role, "roles/owner");
    let name = "identityProviders/sso".to_owned();
    let etag = owner_still.identity_provider(&name).await.unwrap().etag;
    let request = burgee_proto::admin::v1::DeleteIdentityProviderRequest {
        name,
        etag,
        ..Default::default()
    };
    let mut providers = owner_still.identity_providers();
    let outcome = providers.delete_identity_provider(request).await;
    let status = refused(outcome, Code::FailedPrecondition);
    assert_eq!(reason(&status), "LAST_OWNER");
}

#[tokio::test]
async fn groups_that_the_provider_leaves_out_take_nothing_away() {
    let sso = SingleSignOn::start().await;
    let member = name_of(&sso.signed_in().await).await;
    // As Entra does where there are too many.
    let mut person = burgee_tests::issuer::person("ada", ADA, &[]);
    person.as_object_mut().unwrap().remove("groups");
    person["_claim_names"] = serde_json::json!({"groups": "src1"});
    sso.issuer.state().person = person;
    super::is_refused(sso.sign_in().await);
    assert_eq!(held(&sso, &member).await, [role("developer", "")]);
}

#[tokio::test]
async fn what_the_token_does_not_say_the_user_info_endpoint_does() {
    let sso = SingleSignOn::start().await;
    sso.issuer.state().in_user_info = vec!["email", "email_verified", "groups", "name"];
    let signed_in = sso.sign_in().await.unwrap().member.unwrap();
    assert_eq!(
        (signed_in.email.as_str(), sso.issuer.asked("/userinfo")),
        (ADA, 1)
    );
    assert_eq!(held(&sso, &signed_in.name).await, [role("developer", "")]);
    // One that speaks of another person is not believed.
    sso.issuer
        .forge(|token| token.claims["sub"] = serde_json::json!("somebody-else"));
    let outcome = sso.sign_in().await;
    refused(outcome.map(drop), Code::FailedPrecondition);
}
