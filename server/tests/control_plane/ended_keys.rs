//! Keys that ended long ago are shipped no more.

use burgee_proto::types::v1::AccessKeyKind;
use burgee_server::api_keys::withdraw_ended_keys;

use crate::plane::{ONE, Plane, TWO};

/// What all environments together have taken as revisions.
const REVISIONS: &str = "select sum(revision)::bigint from environment_heads";

#[tokio::test]
async fn keys_that_ended_long_ago_are_withdrawn_in_bounded_changes_by_one_replica_or_another() {
    /// More than one change withdraws, and fewer than two do.
    const KEYS: usize = 25;
    let plane = Plane::with_environments().await;
    let mut ended = Vec::new();
    for _ in 0..KEYS {
        let made = plane.create(AccessKeyKind::Relay, &[ONE, TWO]).await;
        ended.push(made.unwrap().secret);
    }
    plane
        .run("update api_keys set expires_at = now() - interval '31 days'")
        .await;
    let live = plane.create(AccessKeyKind::Relay, &[ONE, TWO]).await;
    let live = live.unwrap().secret;
    let before = plane.number(REVISIONS).await;

    let (one, other) = tokio::join!(
        withdraw_ended_keys::run(&plane.app),
        withdraw_ended_keys::run(&plane.app)
    );
    one.unwrap();
    other.unwrap();

    for environment in [ONE, TWO] {
        for secret in &ended {
            assert!(plane.shipped(environment, secret).await.is_none());
        }
        assert!(plane.shipped(environment, &live).await.is_some());
    }
    assert_eq!(
        plane.number(REVISIONS).await - before,
        4,
        "two changes of two environments"
    );
    let miscounted = "select count(*) from environment_heads h where (item_count, item_bytes) <> (
        select count(body), coalesce(sum(length(body)), 0) from environment_items i
        where i.environment_id = h.environment_id)";
    assert_eq!(plane.number(miscounted).await, 0);

    let after = plane.number(REVISIONS).await;
    withdraw_ended_keys::run(&plane.app).await.unwrap();
    assert_eq!(plane.number(REVISIONS).await, after);
    plane.stop().await;
}
