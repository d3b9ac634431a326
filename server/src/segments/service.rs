//! SegmentService.

use burgee_proto::admin::v1::segment_service_server::SegmentService;
use burgee_proto::admin::v1::{
    AddSegmentKeysRequest, AddSegmentKeysResponse, CreateSegmentRequest, CreateSegmentResponse,
    DeleteSegmentRequest, DeleteSegmentResponse, GetSegmentConfigRequest, GetSegmentConfigResponse,
    GetSegmentRequest, GetSegmentResponse, ListSegmentKeysRequest, ListSegmentKeysResponse,
    ListSegmentsRequest, ListSegmentsResponse, RemoveSegmentKeysRequest, RemoveSegmentKeysResponse,
    UpdateSegmentConfigRequest, UpdateSegmentConfigResponse, UpdateSegmentRequest,
    UpdateSegmentResponse,
};
use tonic::{Request, Response, Status};

use super::list_segments;
use crate::access::authorize;
use crate::app::App;
use crate::change;

/// SegmentService, for everything shared.
pub struct Service {
    /// Everything shared.
    pub app: App,
}

#[tonic::async_trait]
impl SegmentService for Service {
    async fn get_segment(
        &self,
        request: Request<GetSegmentRequest>,
    ) -> Result<Response<GetSegmentResponse>, Status> {
        let authorized = authorize(&request)?;
        let response =
            list_segments::get_segment(&self.app, &authorized, request.into_inner()).await?;
        Ok(Response::new(response))
    }

    async fn list_segments(
        &self,
        request: Request<ListSegmentsRequest>,
    ) -> Result<Response<ListSegmentsResponse>, Status> {
        let authorized = authorize(&request)?;
        let response =
            list_segments::list_segments(&self.app, &authorized, request.into_inner()).await?;
        Ok(Response::new(response))
    }

    async fn create_segment(
        &self,
        request: Request<CreateSegmentRequest>,
    ) -> Result<Response<CreateSegmentResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn update_segment(
        &self,
        request: Request<UpdateSegmentRequest>,
    ) -> Result<Response<UpdateSegmentResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn delete_segment(
        &self,
        request: Request<DeleteSegmentRequest>,
    ) -> Result<Response<DeleteSegmentResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn get_segment_config(
        &self,
        request: Request<GetSegmentConfigRequest>,
    ) -> Result<Response<GetSegmentConfigResponse>, Status> {
        let authorized = authorize(&request)?;
        let response =
            list_segments::get_segment_config(&self.app, &authorized, request.into_inner()).await?;
        Ok(Response::new(response))
    }

    async fn update_segment_config(
        &self,
        request: Request<UpdateSegmentConfigRequest>,
    ) -> Result<Response<UpdateSegmentConfigResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn list_segment_keys(
        &self,
        request: Request<ListSegmentKeysRequest>,
    ) -> Result<Response<ListSegmentKeysResponse>, Status> {
        let authorized = authorize(&request)?;
        let response =
            list_segments::list_segment_keys(&self.app, &authorized, request.into_inner()).await?;
        Ok(Response::new(response))
    }

    async fn add_segment_keys(
        &self,
        request: Request<AddSegmentKeysRequest>,
    ) -> Result<Response<AddSegmentKeysResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn remove_segment_keys(
        &self,
        request: Request<RemoveSegmentKeysRequest>,
    ) -> Result<Response<RemoveSegmentKeysResponse>, Status> {
        change::run(&self.app, request).await
    }
}
