//! What the state of things forbids: FAILED_PRECONDITION, with the reason.

use burgee_proto::admin::v1::{
    ArchiveFlagRequest, DeleteSegmentRequest, Flag, GetSegmentRequest, UpdateFlagRequest,
};
use burgee_tests::builders::{
    in_segment, prerequisite, prerequisites, rule, rules, serve, text, variant,
};
use burgee_tests::errors::{reason, refused, subjects};
use tonic::{Code, Status};

use super::{Desk, ROWS};

#[tokio::test]
async fn what_the_state_of_things_forbids_is_refused_with_the_reason() {
    let mut desk = Desk::open().await;
    let change = rules(vec![rule("r", in_segment("beta"), serve("dark"))]);
    desk.production.configure("theme", change).await;
    let change = prerequisites(vec![prerequisite("banner", &["on"])]);
    desk.production.configure("theme", change).await;
    desk.rows_before = desk.server.database().number(ROWS).await;
    let admin = desk.server.admin();
    let demand = async |what: &str, expected: &str, outcome: Result<(), Status>| {
        let status = refused(outcome, Code::FailedPrecondition);
        assert_eq!(reason(&status), expected, "{what}");
        assert!(
            !subjects(&status).is_empty(),
            "{what}: the subject is named"
        );
        desk.assert_nothing_stored(what).await;
    };

    let request = ArchiveFlagRequest {
        name: desk.shop.flag_name("banner"),
        ..ArchiveFlagRequest::default()
    };
    let outcome = admin.flags().archive_flag(request).await.map(drop);
    demand("archiving a prerequisite", "PREREQUISITE_IN_USE", outcome).await;

    let definition = desk.shop.flag("theme").await;
    let request = UpdateFlagRequest {
        flag: Some(Flag {
            name: desk.shop.flag_name("theme"),
            variants: vec![variant("light", text("light"))],
            ..Flag::default()
        }),
        etag: definition.etag,
        ..UpdateFlagRequest::default()
    };
    let outcome = admin.flags().update_flag(request).await.map(drop);
    demand("removing a variant in use", "VARIANT_IN_USE", outcome).await;

    let name = desk.shop.segment_name("beta");
    let current = admin
        .segments()
        .get_segment(GetSegmentRequest { name: name.clone() })
        .await;
    let request = DeleteSegmentRequest {
        name,
        etag: current.unwrap().into_inner().segment.unwrap().etag,
        ..DeleteSegmentRequest::default()
    };
    let outcome = admin.segments().delete_segment(request).await.map(drop);
    demand("deleting a segment in use", "SEGMENT_IN_USE", outcome).await;
}
