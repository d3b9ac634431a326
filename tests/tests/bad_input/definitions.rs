//! Flags, segments and API keys that make no sense.

use burgee_proto::admin::v1::{
    ApiKey, CreateApiKeyRequest, Flag, GetSegmentConfigRequest, SegmentConfig,
};
use burgee_proto::types::v1::{AccessKeyKind, Condition, FlagType};
use burgee_tests::builders::{boolean, boolean_flag, in_segment, number, text, variant};

use super::Desk;

#[tokio::test]
async fn a_flag_that_makes_no_sense_is_refused() {
    let desk = Desk::open().await;
    let flag = |variants| Flag {
        key: "new".to_owned(),
        r#type: FlagType::String.into(),
        variants,
        ..Flag::default()
    };
    desk.bad_flag(
        "no type",
        "flag.type",
        Flag {
            key: "new".to_owned(),
            ..Flag::default()
        },
    )
    .await;
    let wrong = flag(vec![variant("a", text("a")), variant("b", number(1.0))]);
    desk.bad_flag("a value of another type", "flag.variants[1].value", wrong)
        .await;
    let wrong = flag(vec![variant("a", text("a")), variant("a", text("b"))]);
    desk.bad_flag("a variant twice", "flag.variants", wrong)
        .await;
    let wrong = flag(vec![variant("", text("a"))]);
    desk.bad_flag("a variant without a key", "flag.variants[0].key", wrong)
        .await;
    let many = (0..101)
        .map(|n| variant(&format!("v{n}"), text("v")))
        .collect();
    desk.bad_flag("too many variants", "flag.variants", flag(many))
        .await;
    let wrong = Flag {
        variants: vec![variant("on", boolean(true)), variant("off", text("no"))],
        ..boolean_flag("new")
    };
    desk.bad_flag("a boolean that is text", "flag.variants[1].value", wrong)
        .await;
    let large = flag(vec![variant("a", text(&"x".repeat(70 * 1024)))]);
    desk.bad_flag("a value over its limit", "flag.variants[0].value", large)
        .await;
    let wrong = Flag {
        display_name: "x".repeat(257),
        ..boolean_flag("new")
    };
    desk.bad_flag("a long display name", "flag.display_name", wrong)
        .await;
}

#[tokio::test]
async fn a_segment_that_makes_no_sense_is_refused() {
    let desk = Desk::open().await;
    let mut segments = desk.server.admin().segments();
    let name = desk.production.segment_name("beta");
    let current = segments
        .get_segment_config(GetSegmentConfigRequest { name: name.clone() })
        .await;
    let etag = current.unwrap().into_inner().segment_config.unwrap().etag;
    let update = |condition| burgee_proto::admin::v1::UpdateSegmentConfigRequest {
        segment_config: Some(SegmentConfig {
            name: name.clone(),
            condition: Some(condition),
            ..SegmentConfig::default()
        }),
        etag: etag.clone(),
        ..Default::default()
    };
    let nested = update(in_segment("beta"));
    let outcome = segments.update_segment_config(nested).await;
    desk.invalid("a segment in a segment", "condition", outcome)
        .await;
    let empty = update(Condition { kind: None });
    let outcome = segments.update_segment_config(empty).await;
    desk.invalid("an empty condition", "condition", outcome)
        .await;
}

#[tokio::test]
async fn keys_that_make_no_sense_are_refused() {
    let desk = Desk::open().await;
    let create = |kind: AccessKeyKind, environments: &[&str]| CreateApiKeyRequest {
        api_key: Some(ApiKey {
            kind: kind.into(),
            environments: environments.iter().map(|&name| name.to_owned()).collect(),
            ..ApiKey::default()
        }),
        ..CreateApiKeyRequest::default()
    };
    let mut keys = desk.server.admin().api_keys();
    let production = desk.production.name.as_str();
    let outcome = keys
        .create_api_key(create(AccessKeyKind::Unspecified, &[production]))
        .await;
    desk.invalid("no kind", "api_key.kind", outcome).await;
    let outcome = keys
        .create_api_key(create(AccessKeyKind::Server, &[]))
        .await;
    desk.invalid("no environment", "api_key.environments", outcome)
        .await;
    let twice = create(
        AccessKeyKind::Server,
        &[production, "projects/shop/environments/b"],
    );
    let outcome = keys.create_api_key(twice).await;
    desk.invalid(
        "a server key of two environments",
        "api_key.environments",
        outcome,
    )
    .await;
    let outcome = keys
        .create_api_key(create(AccessKeyKind::Relay, &["production"]))
        .await;
    desk.invalid("a malformed environment", "api_key.environments", outcome)
        .await;
}
