//! History begins anew with another cluster.

use burgee_server::deployment;

use crate::plane::Plane;

#[tokio::test]
async fn another_cluster_begins_one_new_epoch() {
    const EPOCH: &str = "select epoch from deployment";
    let plane = Plane::new().await;
    let first = plane.number(EPOCH).await;
    deployment::ensure_deployment(&plane.app.pools.write)
        .await
        .unwrap();
    assert_eq!(plane.number(EPOCH).await, first);
    // As after a restore: the clock of the old cluster was ahead, too.
    assert!(!deployment::has_moved(&plane.app.pools.feed).await.unwrap());
    plane
        .run("update deployment set system_identifier = 1, epoch = epoch + 1000000000")
        .await;
    assert!(deployment::has_moved(&plane.app.pools.feed).await.unwrap());
    let pool = &plane.app.pools.write;
    let (one, other) = tokio::join!(
        deployment::ensure_deployment(pool),
        deployment::ensure_deployment(pool)
    );
    one.and(other).unwrap();
    assert_eq!(plane.number(EPOCH).await, first + 1_000_000_001);
    let by_hand = deployment::new_epoch(pool).await.unwrap();
    assert_eq!(by_hand, (first + 1_000_000_002).cast_unsigned());
    deployment::new_epoch_after(pool, first.cast_unsigned(), by_hand)
        .await
        .unwrap();
    assert_eq!(plane.number(EPOCH).await.cast_unsigned(), by_hand);
    deployment::new_epoch_after(pool, by_hand, by_hand)
        .await
        .unwrap();
    assert_eq!(plane.number(EPOCH).await.cast_unsigned(), by_hand + 1);
    // What was delivered may be of an epoch that the database knows nothing of.
    deployment::new_epoch_after(pool, by_hand + 1, by_hand + 5)
        .await
        .unwrap();
    assert_eq!(plane.number(EPOCH).await.cast_unsigned(), by_hand + 6);
    plane.stop().await;
}
