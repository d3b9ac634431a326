//! The audit log tells of every write there is: who, how, from where, when, why, by which
//! request, and what it was before and after. Each is asked for in every wrong way first, and
//! then tried, which leaves nothing; and asked for again afterwards, which changes nothing and is
//! not told.
//!
//! Generated from the contract: an RPC that takes a `request_id` fails until the story below
//! does it.

mod bad;
mod reading;
mod writer;

use serde_json::json;

use self::writer::{By, Writer};

const SHOP: &str = "projects/shop";
const STAGING: &str = "projects/shop/environments/staging";

#[tokio::test]
async fn every_write_is_told_once_and_what_is_wrong_or_tried_leaves_nothing() {
    let mut writer = Writer::new().await;
    places_are_made(&mut writer).await;
    flags_are_changed(&mut writer).await;
    segments_are_changed(&mut writer).await;
    keys_are_made_and_end(&mut writer).await;
    machines_come_and_go(&mut writer).await;
    roles_are_given_and_taken(&mut writer).await;
    people_come_and_go(&mut writer).await;
    tokens_are_made_and_end(&mut writer).await;
    providers_come_and_go(&mut writer).await;
    // While there is an environment to ask for.
    reading::each_filter_finds_what_it_says(&writer).await;
    reading::exports_say_what_lists_say(&writer).await;
    places_go(&mut writer).await;
    let missing: Vec<_> = writer
        .all_writes()
        .difference(&writer.written)
        .cloned()
        .collect();
    assert!(missing.is_empty(), "nobody does {missing:?} here");
    assert!(writer.refused > 250, "{} were wrong", writer.refused);
}

async fn places_are_made(writer: &mut Writer) {
    let organization = json!({"name": "organizations/default"});
    writer
        .calls("OrganizationService/GetOrganization", organization)
        .await;
    let organization = json!({"name": "organizations/default", "displayName": "Acme"});
    let request = json!({"organization": organization});
    writer
        .writes("OrganizationService/UpdateOrganization", request)
        .await;
    let request = json!({"project": {"key": "shop"}});
    writer.writes("ProjectService/CreateProject", request).await;
    let request = json!({"project": {"name": SHOP, "displayName": "The shop"}});
    writer.writes("ProjectService/UpdateProject", request).await;
    let request = json!({"parent": SHOP, "environment": {"key": "staging"}});
    writer
        .writes("EnvironmentService/CreateEnvironment", request)
        .await;
    let request = json!({"environment": {"name": STAGING, "displayName": "Staging"}});
    writer
        .writes("EnvironmentService/UpdateEnvironment", request)
        .await;
}

async fn flags_are_changed(writer: &mut Writer) {
    let definition = format!("{SHOP}/flags/banner");
    let name = format!("{STAGING}/flags/banner");
    let flag = json!({"key": "banner", "type": "FLAG_TYPE_BOOLEAN"});
    let request = json!({"parent": SHOP, "flag": flag});
    writer.writes("FlagService/CreateFlag", request).await;
    let request = json!({"flag": {"name": definition, "description": "above all"}});
    writer.writes("FlagService/UpdateFlag", request).await;
    writer
        .calls("FlagService/GetFlagConfig", json!({"name": name}))
        .await;
    let request = json!({"flagConfig": {"name": name, "offVariant": "on"}});
    writer.writes("FlagService/UpdateFlagConfig", request).await;
    let request = json!({"name": name, "enabled": true});
    writer.writes("FlagService/SetFlagEnabled", request).await;
    let parts = json!([{"variant": "on", "weight": 50_000}, {"variant": "off", "weight": 50_000}]);
    let request = json!({"name": name, "parts": parts});
    writer.writes("FlagService/SetRollout", request).await;
    let request = json!({"name": name});
    writer
        .writes("FlagService/RerandomizeRollout", request)
        .await;
    let request = json!({"name": name, "variant": "on", "keys": ["alice"]});
    writer
        .writes("FlagService/AddTargetKeys", request.clone())
        .await;
    writer.writes("FlagService/RemoveTargetKeys", request).await;
    let request = json!({"name": definition});
    writer
        .writes("FlagService/ArchiveFlag", request.clone())
        .await;
    writer.writes("FlagService/RestoreFlag", request).await;
}

async fn segments_are_changed(writer: &mut Writer) {
    let definition = format!("{SHOP}/segments/beta");
    let name = format!("{STAGING}/segments/beta");
    let request = json!({"parent": SHOP, "segment": {"key": "beta"}});
    writer.writes("SegmentService/CreateSegment", request).await;
    let request = json!({"segment": {"name": definition, "description": "the curious"}});
    writer.writes("SegmentService/UpdateSegment", request).await;
    writer
        .calls("SegmentService/GetSegmentConfig", json!({"name": name}))
        .await;
    let request = json!({"segmentConfig": {"name": name, "included": ["alice"]}});
    writer
        .writes("SegmentService/UpdateSegmentConfig", request)
        .await;
    let request = json!({"name": name, "list": "SEGMENT_LIST_INCLUDED", "keys": ["bob"]});
    writer
        .writes("SegmentService/AddSegmentKeys", request.clone())
        .await;
    writer
        .writes("SegmentService/RemoveSegmentKeys", request)
        .await;
    let request = json!({"name": definition});
    writer.writes("SegmentService/DeleteSegment", request).await;
}

async fn keys_are_made_and_end(writer: &mut Writer) {
    let key = json!({"kind": "ACCESS_KEY_KIND_SERVER", "environments": [STAGING]});
    let made = writer
        .writes("ApiKeyService/CreateApiKey", json!({"apiKey": key}))
        .await;
    let name = &made["apiKey"]["name"];
    let request = json!({"apiKey": {"name": name, "displayName": "of the shop"}});
    writer.writes("ApiKeyService/UpdateApiKey", request).await;
    let request = json!({"name": name});
    let rotated = writer.writes("ApiKeyService/RotateApiKey", request).await;
    let request = json!({"name": rotated["apiKey"]["name"]});
    writer.writes("ApiKeyService/RevokeApiKey", request).await;
}

async fn machines_come_and_go(writer: &mut Writer) {
    const NAME: &str = "serviceAccounts/robot";
    let request = json!({"serviceAccount": {"key": "robot"}});
    writer
        .writes("ServiceAccountService/CreateServiceAccount", request)
        .await;
    let request = json!({"serviceAccount": {"name": NAME, "displayName": "The robot"}});
    writer
        .writes("ServiceAccountService/UpdateServiceAccount", request)
        .await;
    let request = json!({"parent": NAME});
    let made = writer
        .writes("ServiceAccountService/CreateServiceAccountToken", request)
        .await;
    let request = json!({"name": made["serviceAccountToken"]["name"]});
    let rotated = writer
        .writes("ServiceAccountService/RotateServiceAccountToken", request)
        .await;
    let request = json!({"name": rotated["serviceAccountToken"]["name"]});
    writer
        .writes("ServiceAccountService/RevokeServiceAccountToken", request)
        .await;
    let request = json!({"name": NAME});
    writer
        .writes("ServiceAccountService/DeleteServiceAccount", request)
        .await;
}

async fn roles_are_given_and_taken(writer: &mut Writer) {
    let role = json!({"key": "reader", "permissions": ["flag.read"]});
    writer
        .writes("MemberService/CreateRole", json!({"role": role}))
        .await;
    let role = json!({"name": "roles/reader", "permissions": ["flag.read", "segment.read"]});
    writer
        .writes("MemberService/UpdateRole", json!({"role": role}))
        .await;
    writer
        .writes(
            "MemberService/CreateGroup",
            json!({"group": {"key": "crew"}}),
        )
        .await;
    let group = json!({"name": "groups/crew", "description": "all hands"});
    writer
        .writes("MemberService/UpdateGroup", json!({"group": group}))
        .await;
    let members = json!({"name": "groups/crew", "members": [writer.member]});
    writer
        .writes("MemberService/AddGroupMembers", members.clone())
        .await;
    let binding = json!({"subject": "groups/crew", "role": "roles/reader", "scope": STAGING});
    let request = json!({"roleBinding": binding});
    let made = writer
        .writes("MemberService/CreateRoleBinding", request)
        .await;
    let request = json!({"name": made["roleBinding"]["name"]});
    writer
        .writes("MemberService/DeleteRoleBinding", request)
        .await;
    writer
        .writes("MemberService/RemoveGroupMembers", members)
        .await;
    writer
        .writes("MemberService/DeleteGroup", json!({"name": "groups/crew"}))
        .await;
    writer
        .writes("MemberService/DeleteRole", json!({"name": "roles/reader"}))
        .await;
}

async fn people_come_and_go(writer: &mut Writer) {
    let invitation = json!({"email": "ben@example.com", "role": "roles/viewer"});
    let request = json!({"invitation": invitation});
    let invited = writer.writes("MemberService/InviteMember", request).await;
    let request = json!({"name": invited["invitation"]["name"]});
    writer
        .writes("MemberService/RevokeInvitation", request)
        .await;

    let owner = writer.server.admin();
    let (ben, member) = owner.person("ben@example.com", "viewer", "").await;
    ben.enroll(writer.server.database()).await;
    let name = json!({"name": member.name});
    writer.calls("MemberService/GetMember", name.clone()).await;
    let request = json!({"member": {"name": member.name, "displayName": "Ben"}});
    writer.writes("MemberService/UpdateMember", request).await;
    writer
        .writes("MemberService/CreatePasswordReset", name.clone())
        .await;
    writer
        .writes("MemberService/ResetSecondFactor", name.clone())
        .await;
    writer
        .writes("MemberService/DeactivateMember", name.clone())
        .await;
    writer
        .writes("MemberService/ReactivateMember", name.clone())
        .await;
    writer
        .calls("MemberService/DeactivateMember", name.clone())
        .await;
    writer.writes("MemberService/DeleteMember", name).await;
}

async fn tokens_are_made_and_end(writer: &mut Writer) {
    let token = json!({"displayName": "a script", "scopes": {"permissions": ["flag.read"]}});
    let request = json!({"personalToken": token});
    let method = "PersonalTokenService/CreatePersonalToken";
    let made = writer.writes_as(By::Ada, method, request).await;
    let request = json!({"name": made["personalToken"]["name"]});
    let method = "PersonalTokenService/RotatePersonalToken";
    let rotated = writer.writes_as(By::Ada, method, request.clone()).await;
    writer
        .writes("PersonalTokenService/RevokeMemberToken", request)
        .await;
    let request = json!({"name": rotated["personalToken"]["name"]});
    let method = "PersonalTokenService/RevokePersonalToken";
    writer.writes_as(By::Ada, method, request).await;
}

async fn providers_come_and_go(writer: &mut Writer) {
    const NAME: &str = "identityProviders/sso";
    let provider = json!({
        "key": "sso",
        "issuer": "https://login.example.com",
        "clientId": "burgee",
        "clientSecret": "a secret of the provider",
        "emailDomains": ["example.com"],
    });
    let request = json!({"identityProvider": provider});
    writer
        .writes("IdentityProviderService/CreateIdentityProvider", request)
        .await;
    let request = json!({"identityProvider": {"name": NAME, "displayName": "The staff's"}});
    writer
        .writes("IdentityProviderService/UpdateIdentityProvider", request)
        .await;
    let identity = writer.server.database().identity(&writer.member).await;
    let request = json!({"name": identity});
    writer
        .writes("IdentityProviderService/DeleteIdentity", request)
        .await;
    let request = json!({"name": NAME});
    writer
        .writes("IdentityProviderService/DeleteIdentityProvider", request)
        .await;
}

async fn places_go(writer: &mut Writer) {
    let request = json!({"name": format!("{SHOP}/flags/banner")});
    writer
        .calls("FlagService/ArchiveFlag", request.clone())
        .await;
    writer.writes("FlagService/DeleteFlag", request).await;
    writer
        .writes(
            "EnvironmentService/DeleteEnvironment",
            json!({"name": STAGING}),
        )
        .await;
    writer
        .writes("ProjectService/DeleteProject", json!({"name": SHOP}))
        .await;
}
