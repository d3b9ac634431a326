//! CreateSegment.

use burgee_proto::admin::v1::{
    CreateSegmentRequest, CreateSegmentResponse, Segment, SegmentChange,
};

use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::{self, ProjectName};

#[tonic::async_trait]
impl Mutation for CreateSegmentRequest {
    mutation_fields!(CreateSegmentResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Project(ProjectName::parse("parent", &self.parent)?))
    }

    async fn apply(&self, change: &mut Change) -> Result<CreateSegmentResponse, Error> {
        let project = ProjectName::parse("parent", &self.parent)?;
        let given = self
            .segment
            .clone()
            .ok_or_else(|| Error::invalid("segment", "give the segment"))?;
        names::check_key("segment.key", &given.key)?;
        let id = change.project()?;
        let taken = sqlx::query_scalar!(
            "select key from segments where project_id = $1 and lower(key) = lower($2)",
            id,
            given.key,
        )
        .fetch_optional(change.connection())
        .await?;
        if let Some(taken) = taken {
            return Err(Error::Exists {
                resource: project.segment(&taken).to_string(),
            });
        }
        let name = project.segment(&given.key);
        let segment = Segment {
            key: given.key,
            display_name: given.display_name,
            description: given.description,
            attribute: given.attribute,
            tags: given.tags,
            ..Segment::default()
        };
        let operation = SegmentChange {
            before: None,
            after: Some(segment),
        };
        change.apply_to_segment(&name, operation).await?;
        Ok(CreateSegmentResponse {
            segment: Some(change.show_segment(&name)?),
            ..CreateSegmentResponse::default()
        })
    }
}
