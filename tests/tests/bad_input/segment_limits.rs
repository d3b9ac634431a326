//! As `limits`, for what segments contain.

use burgee_proto::admin::v1::{
    AddSegmentKeysRequest, AddSegmentKeysResponse, GetSegmentConfigRequest, SegmentConfig,
    SegmentList, UpdateSegmentConfigRequest,
};
use burgee_proto::types::v1::Condition;
use burgee_tests::builders::equals;
use tonic::{Response, Status};

use super::Desk;
use super::limits::{ITEM_BYTES_MAX, all, nested, values};

/// Keys of a segment, on both lists.
const SEGMENT_KEYS_MAX: usize = 200_000;
/// In how many steps a test comes to them.
const STEPS: usize = 4;

async fn add(desk: &Desk, keys: Vec<String>) -> Result<Response<AddSegmentKeysResponse>, Status> {
    let request = AddSegmentKeysRequest {
        name: desk.production.segment_name("beta"),
        list: SegmentList::Included.into(),
        keys,
        ..AddSegmentKeysRequest::default()
    };
    let mut segments = desk.server.admin().segments();
    segments.add_segment_keys(request).await
}

async fn update(desk: &Desk, change: SegmentConfig) -> Result<(), Status> {
    let mut segments = desk.server.admin().segments();
    let name = desk.production.segment_name("beta");
    let current = segments
        .get_segment_config(GetSegmentConfigRequest { name: name.clone() })
        .await;
    let request = UpdateSegmentConfigRequest {
        etag: current.unwrap().into_inner().segment_config.unwrap().etag,
        segment_config: Some(SegmentConfig { name, ..change }),
        ..UpdateSegmentConfigRequest::default()
    };
    segments.update_segment_config(request).await.map(drop)
}

#[tokio::test]
async fn limits_of_a_segments_keys() {
    let mut desk = Desk::open().await;
    let keys = |from: usize, to: usize| (from..to).map(|n| format!("u{n:06}")).collect();
    let outcome = add(&desk, keys(0, 10_001)).await;
    desk.invalid("too many at once", "keys", outcome).await;
    let outcome = add(&desk, vec!["k".to_owned(), "k".repeat(257)]).await;
    desk.invalid("a long key", "keys[1]", outcome).await;
    add(&desk, vec!["k".repeat(256)]).await.unwrap();
    add(&desk, keys(0, 10_000)).await.unwrap();

    let half = SEGMENT_KEYS_MAX / 2;
    let lists = |included: usize, excluded: usize| SegmentConfig {
        included: keys(0, included),
        excluded: keys(half, half + excluded),
        ..SegmentConfig::default()
    };
    desk.accepted().await;
    let name = desk.production.segment_name("beta");
    let limit = ("segment_keys", SEGMENT_KEYS_MAX);
    let outcome = update(&desk, lists(half, half + 1)).await;
    desk.over(limit, &name, outcome.map(Response::new)).await;
    // As many as there may be, in steps: no call is to be slower than a change may be.
    for step in 1..=STEPS {
        let some = half * step / STEPS;
        update(&desk, lists(some, some)).await.unwrap();
    }
    desk.accepted().await;
    let outcome = add(&desk, vec!["one-more".to_owned()]).await;
    desk.over(limit, &name, outcome).await;
    // One that is there already is none more.
    add(&desk, keys(0, 1)).await.unwrap();
}

#[tokio::test]
async fn limits_of_a_segments_condition() {
    let mut desk = Desk::open().await;
    let edges = [
        ("all.conditions[63]", all(63), all(64)),
        ("not.condition", nested(8), nested(9)),
        ("clause.values", values(1_000), values(1_001)),
    ];
    let with = |condition: Condition| SegmentConfig {
        condition: Some(condition),
        ..SegmentConfig::default()
    };
    for (field, at_limit, above) in edges {
        let outcome = update(&desk, with(above)).await.map(Response::new);
        desk.invalid(field, field, outcome).await;
        update(&desk, with(at_limit)).await.unwrap();
        desk.accepted().await;
    }
    // Nobody uses it yet: what could not be shipped is refused all the same, with
    // the keys that would ship beside it.
    let padded = |bytes: usize| with(equals("plan", &["pro", &"x".repeat(bytes)]));
    let large = update(&desk, padded(ITEM_BYTES_MAX)).await;
    desk.invalid(
        "a long condition",
        "segment_config",
        large.map(Response::new),
    )
    .await;
    update(&desk, padded(ITEM_BYTES_MAX - 1_024)).await.unwrap();
    desk.accepted().await;
    let long: Vec<String> = (0..10).map(|n| format!("{n:0>256}")).collect();
    let outcome = add(&desk, long.clone()).await;
    desk.invalid("keys that make it too long", "keys", outcome)
        .await;
    update(&desk, padded(1)).await.unwrap();
    add(&desk, long).await.unwrap();
}
