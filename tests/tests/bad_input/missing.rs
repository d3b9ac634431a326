//! What does not exist: NOT_FOUND.

use burgee_proto::admin::v1::{
    ApiKey, CreateApiKeyRequest, CreateFlagRequest, GetApiKeyRequest, GetEnvironmentRequest,
    GetFlagConfigRequest, GetFlagRequest, GetProjectRequest, GetSegmentConfigRequest,
    GetSegmentRequest, ListFlagsRequest, SetFlagEnabledRequest,
};
use burgee_proto::types::v1::AccessKeyKind;
use burgee_tests::builders::boolean_flag;

use super::Desk;

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let desk = Desk::open().await;
    let admin = desk.server.admin();
    let name = "projects/nowhere".to_owned();
    let outcome = admin
        .projects()
        .get_project(GetProjectRequest { name })
        .await;
    desk.missing("a project", outcome).await;
    let name = "projects/shop/environments/nowhere".to_owned();
    let outcome = admin
        .environments()
        .get_environment(GetEnvironmentRequest { name })
        .await;
    desk.missing("an environment", outcome).await;
    let name = desk.shop.flag_name("nothing");
    let outcome = admin.flags().get_flag(GetFlagRequest { name }).await;
    desk.missing("a flag", outcome).await;
    let name = desk.production.flag_name("nothing");
    let outcome = admin
        .flags()
        .get_flag_config(GetFlagConfigRequest { name })
        .await;
    desk.missing("a flag's configuration", outcome).await;
    let name = desk.shop.segment_name("nobody");
    let outcome = admin
        .segments()
        .get_segment(GetSegmentRequest { name })
        .await;
    desk.missing("a segment", outcome).await;
    let name = desk.production.segment_name("nobody");
    let outcome = admin
        .segments()
        .get_segment_config(GetSegmentConfigRequest { name })
        .await;
    desk.missing("a segment's content", outcome).await;
    let name = format!("apiKeys/{}", uuid::Uuid::now_v7());
    let outcome = admin
        .api_keys()
        .get_api_key(GetApiKeyRequest { name })
        .await;
    desk.missing("an API key", outcome).await;

    let request = desk.production.set_enabled_request("nothing", true);
    let outcome = admin.flags().set_flag_enabled(request).await;
    desk.missing("a flag to turn on", outcome).await;
    let request = SetFlagEnabledRequest {
        name: "projects/shop/environments/nowhere/flags/theme".to_owned(),
        enabled: true,
        ..SetFlagEnabledRequest::default()
    };
    let outcome = admin.flags().set_flag_enabled(request).await;
    desk.missing("an environment to turn a flag on in", outcome)
        .await;
    let request = CreateFlagRequest {
        parent: "projects/nowhere".to_owned(),
        flag: Some(boolean_flag("new")),
        ..CreateFlagRequest::default()
    };
    desk.missing(
        "a project for a flag",
        admin.flags().create_flag(request).await,
    )
    .await;
    let request = ListFlagsRequest {
        parent: "projects/nowhere".to_owned(),
        ..ListFlagsRequest::default()
    };
    desk.missing("a project to list", admin.flags().list_flags(request).await)
        .await;
    let request = CreateApiKeyRequest {
        api_key: Some(ApiKey {
            kind: AccessKeyKind::Server.into(),
            environments: vec!["projects/shop/environments/nowhere".to_owned()],
            ..ApiKey::default()
        }),
        ..CreateApiKeyRequest::default()
    };
    desk.missing(
        "an environment for a key",
        admin.api_keys().create_api_key(request).await,
    )
    .await;
}
