//! Names and keys that are malformed, or taken.

use burgee_proto::admin::v1::{
    CreateEnvironmentRequest, CreateFlagRequest, CreateProjectRequest, CreateSegmentRequest,
    Environment, GetFlagRequest, Project, Segment, SetFlagEnabledRequest,
};
use burgee_tests::builders::{boolean_flag, segment};
use burgee_tests::errors::{reason, refused};
use tonic::Code;

use super::Desk;

#[tokio::test]
async fn malformed_names_and_keys_are_refused() {
    let desk = Desk::open().await;
    let admin = desk.server.admin();
    for name in [
        "",
        "theme",
        "projects/shop/flags/",
        "projects/Shop!/flags/theme",
        "flags/theme",
    ] {
        let request = GetFlagRequest {
            name: name.to_owned(),
        };
        desk.invalid(name, "name", admin.flags().get_flag(request).await)
            .await;
        let request = SetFlagEnabledRequest {
            name: name.to_owned(),
            ..SetFlagEnabledRequest::default()
        };
        desk.invalid(name, "name", admin.flags().set_flag_enabled(request).await)
            .await;
    }
    let long = "x".repeat(300);
    for key in [
        "",
        "-dash",
        ".dot",
        "two words",
        "späti",
        "a/b",
        long.as_str(),
    ] {
        desk.bad_flag(key, "flag.key", boolean_flag(key)).await;
        let request = CreateSegmentRequest {
            parent: desk.shop.name(),
            segment: Some(segment(key)),
            ..CreateSegmentRequest::default()
        };
        let outcome = admin.segments().create_segment(request).await;
        desk.invalid(key, "segment.key", outcome).await;
    }
    for key in ["", "Upper", "under_score", "-dash", "a.b", long.as_str()] {
        let request = CreateProjectRequest {
            project: Some(Project {
                key: key.to_owned(),
                ..Project::default()
            }),
            ..CreateProjectRequest::default()
        };
        let outcome = admin.projects().create_project(request).await;
        desk.invalid(key, "project.key", outcome).await;
        let request = CreateEnvironmentRequest {
            parent: desk.shop.name(),
            environment: Some(Environment {
                key: key.to_owned(),
                ..Environment::default()
            }),
            ..CreateEnvironmentRequest::default()
        };
        let outcome = admin.environments().create_environment(request).await;
        desk.invalid(key, "environment.key", outcome).await;
    }
    let request = CreateFlagRequest {
        parent: desk.shop.name(),
        ..CreateFlagRequest::default()
    };
    desk.invalid("no flag", "flag", admin.flags().create_flag(request).await)
        .await;
}

#[tokio::test]
async fn a_key_that_differs_by_case_alone_is_taken() {
    let desk = Desk::open().await;
    let request = CreateFlagRequest {
        parent: desk.shop.name(),
        flag: Some(boolean_flag("Theme")),
        ..CreateFlagRequest::default()
    };
    let outcome = desk.server.admin().flags().create_flag(request).await;
    let status = refused(outcome, Code::AlreadyExists);
    assert_eq!(reason(&status), "RESOURCE_EXISTS");
    desk.assert_nothing_stored("a key that is taken").await;
    let request = CreateSegmentRequest {
        parent: desk.shop.name(),
        segment: Some(Segment {
            key: "BETA".to_owned(),
            ..Segment::default()
        }),
        ..CreateSegmentRequest::default()
    };
    let outcome = desk.server.admin().segments().create_segment(request).await;
    refused(outcome, Code::AlreadyExists);
    desk.assert_nothing_stored("a segment's key that is taken")
        .await;
}
