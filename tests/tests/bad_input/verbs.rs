//! The small verbs, masks, etags and pages.

use burgee_proto::admin::v1::{
    AddSegmentKeysRequest, AddTargetKeysRequest, FlagConfig, ListFlagsRequest, SegmentList,
    SetRolloutRequest, UpdateFlagConfigRequest,
};
use burgee_tests::builders::{WHOLE, split_parts};
use prost_types::FieldMask;
use tonic::Code;

use super::Desk;

#[tokio::test]
async fn the_small_verbs_check_what_they_bring() {
    let desk = Desk::open().await;
    let mut flags = desk.server.admin().flags();
    let rollout = |rule_id: &str, parts: &[(&str, i32)]| SetRolloutRequest {
        name: desk.production.flag_name("theme"),
        rule_id: rule_id.to_owned(),
        parts: split_parts(parts),
        ..SetRolloutRequest::default()
    };
    let outcome = flags.set_rollout(rollout("", &[("light", 99_999)])).await;
    desk.invalid("weights that do not sum", "parts", outcome)
        .await;
    let outcome = flags.set_rollout(rollout("", &[("neon", WHOLE)])).await;
    desk.invalid("a part that is none", "parts[0]", outcome)
        .await;
    let outcome = flags
        .set_rollout(rollout("nothing", &[("light", WHOLE)]))
        .await;
    let status = outcome.map(drop).expect_err("a rule that is none");
    let codes = [
        Code::InvalidArgument,
        Code::NotFound,
        Code::FailedPrecondition,
    ];
    assert!(codes.contains(&status.code()), "{status:?}");
    desk.assert_nothing_stored("a rule that is none").await;

    let add = |variant: &str, keys: &[&str]| AddTargetKeysRequest {
        name: desk.production.flag_name("theme"),
        variant: variant.to_owned(),
        keys: keys.iter().map(|&key| key.to_owned()).collect(),
        ..AddTargetKeysRequest::default()
    };
    let outcome = flags.add_target_keys(add("neon", &["alice"])).await;
    desk.invalid("targets of what is none", "variant", outcome)
        .await;
    let outcome = flags.add_target_keys(add("dark", &[""])).await;
    desk.invalid("an empty target key", "keys[0]", outcome)
        .await;
    let outcome = flags
        .add_target_keys(add("dark", &[&"x".repeat(257)]))
        .await;
    desk.invalid("a long target key", "keys[0]", outcome).await;

    let mut segments = desk.server.admin().segments();
    let add = |list: SegmentList, key: &str| AddSegmentKeysRequest {
        name: desk.production.segment_name("beta"),
        list: list.into(),
        keys: vec![key.to_owned()],
        ..AddSegmentKeysRequest::default()
    };
    let outcome = segments
        .add_segment_keys(add(SegmentList::Unspecified, "alice"))
        .await;
    desk.invalid("no list", "list", outcome).await;
    let outcome = segments
        .add_segment_keys(add(SegmentList::Included, ""))
        .await;
    desk.invalid("an empty segment key", "keys[0]", outcome)
        .await;
}

#[tokio::test]
async fn masks_etags_and_pages_are_checked() {
    let desk = Desk::open().await;
    let mut flags = desk.server.admin().flags();
    let masked = |path: &str, etag: String| UpdateFlagConfigRequest {
        flag_config: Some(FlagConfig {
            name: desk.production.flag_name("theme"),
            ..FlagConfig::default()
        }),
        update_mask: Some(FieldMask {
            paths: vec![path.to_owned()],
        }),
        etag,
        ..UpdateFlagConfigRequest::default()
    };
    let etag = desk.production.config("theme").await.etag;
    for path in ["enabled", "nothing", "fallthrough.split.nothing", "etag"] {
        let outcome = flags.update_flag_config(masked(path, etag.clone())).await;
        desk.invalid(path, "update_mask", outcome).await;
    }
    let outcome = flags
        .update_flag_config(masked("rules", String::new()))
        .await;
    desk.invalid("no etag", "etag", outcome).await;
    let outcome = flags
        .update_flag_config(masked("rules", "stale".to_owned()))
        .await;
    let status = outcome.map(drop).expect_err("a strange etag");
    let codes = [Code::Aborted, Code::InvalidArgument];
    assert!(codes.contains(&status.code()), "{status:?}");
    desk.assert_nothing_stored("a strange etag").await;

    let list = |page_size: i32, page_token: &str, order_by: &str| ListFlagsRequest {
        parent: desk.shop.name(),
        page_size,
        page_token: page_token.to_owned(),
        order_by: order_by.to_owned(),
        ..ListFlagsRequest::default()
    };
    let outcome = flags.list_flags(list(-1, "", "")).await;
    desk.invalid("a negative page", "page_size", outcome).await;
    let outcome = flags.list_flags(list(0, "not a token", "")).await;
    desk.invalid("a token that is none", "page_token", outcome)
        .await;
    let outcome = flags.list_flags(list(0, "", "colour")).await;
    desk.invalid("an order that is none", "order_by", outcome)
        .await;
}
