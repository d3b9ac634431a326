//! What was deleted stays answered.

use burgee_proto::admin::v1::{CreateProjectRequest, DeleteProjectRequest, Project};
use burgee_server::error::Error;

use crate::plane::Plane;

#[tokio::test]
async fn a_deletion_asked_for_again_has_the_first_answer() {
    let plane = Plane::new().await;
    let project = Project {
        key: "shop".to_owned(),
        ..Project::default()
    };
    let create = CreateProjectRequest {
        project: Some(project),
        ..CreateProjectRequest::default()
    };
    let created = plane.perform(create).await.unwrap().project.unwrap();
    let delete = DeleteProjectRequest {
        name: created.name,
        etag: created.etag,
        request_id: "once".to_owned(),
        ..DeleteProjectRequest::default()
    };
    let first = plane.perform(delete.clone()).await.unwrap();
    assert_eq!(plane.perform(delete.clone()).await.unwrap(), first);
    let other = DeleteProjectRequest {
        request_id: "twice".to_owned(),
        ..delete
    };
    assert!(matches!(
        plane.perform(other).await,
        Err(Error::NotFound { .. })
    ));
    plane.stop().await;
}
