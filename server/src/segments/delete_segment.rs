//! DeleteSegment.

use burgee_proto::admin::v1::{DeleteSegmentRequest, DeleteSegmentResponse, SegmentChange};

use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::SegmentName;

#[tonic::async_trait]
impl Mutation for DeleteSegmentRequest {
    mutation_fields!(DeleteSegmentResponse, etag);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Project(
            SegmentName::parse("name", &self.name)?.project(),
        ))
    }

    async fn apply(&self, change: &mut Change) -> Result<DeleteSegmentResponse, Error> {
        let name = SegmentName::parse("name", &self.name)?;
        let etag = change.common.etag.clone();
        let entry = change.load_segment(&name.segment, &name).await?;
        let stored = entry
            .definition
            .before
            .as_ref()
            .ok_or_else(|| Error::not_found(&name))?;
        stored.demand_etag(&name, &etag)?;
        let operation = SegmentChange {
            before: Some(stored.message.clone()),
            after: None,
        };
        change.apply_to_segment(&name, operation).await?;
        Ok(DeleteSegmentResponse {
            segment: Some(change.show_segment(&name)?),
            ..DeleteSegmentResponse::default()
        })
    }
}
