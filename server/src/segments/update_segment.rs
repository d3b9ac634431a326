//! UpdateSegment.

use burgee_proto::admin::v1::{SegmentChange, UpdateSegmentRequest, UpdateSegmentResponse};

use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::SegmentName;

const CHANGEABLE: &[&str] = &["display_name", "description", "attribute", "tags"];

fn name(request: &UpdateSegmentRequest) -> Result<SegmentName, Error> {
    let name = request.segment.as_ref().map_or("", |segment| &segment.name);
    SegmentName::parse("segment.name", name)
}

#[tonic::async_trait]
impl Mutation for UpdateSegmentRequest {
    mutation_fields!(UpdateSegmentResponse, etag in segment);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Project(name(self)?.project()))
    }

    async fn apply(&self, change: &mut Change) -> Result<UpdateSegmentResponse, Error> {
        let name = name(self)?;
        let etag = change.common.etag.clone();
        let entry = change.load_segment(&name.segment, &name).await?;
        let stored = entry
            .definition
            .before
            .as_ref()
            .ok_or_else(|| Error::not_found(&name))?;
        stored.demand_etag(&name, &etag)?;
        let before = stored.message.clone();
        let update = self.segment.clone().unwrap_or_default();
        let mask = self.update_mask.as_ref();
        let after = change
            .app
            .descriptors
            .merge(&before, &update, mask, CHANGEABLE)?;
        let operation = SegmentChange {
            before: Some(before),
            after: Some(after),
        };
        change.apply_to_segment(&name, operation).await?;
        Ok(UpdateSegmentResponse {
            segment: Some(change.show_segment(&name)?),
            ..UpdateSegmentResponse::default()
        })
    }
}
