//! EnvironmentService.

use burgee_proto::admin::v1::environment_service_server::EnvironmentService;
use burgee_proto::admin::v1::{
    CreateEnvironmentRequest, CreateEnvironmentResponse, DeleteEnvironmentRequest,
    DeleteEnvironmentResponse, GetEnvironmentRequest, GetEnvironmentResponse,
    ListEnvironmentsRequest, ListEnvironmentsResponse, UpdateEnvironmentRequest,
    UpdateEnvironmentResponse,
};
use tonic::{Request, Response, Status};

use super::list_environments;
use crate::access::authorize;
use crate::app::App;
use crate::change;

/// EnvironmentService, for everything shared.
pub struct Service {
    /// Everything shared.
    pub app: App,
}

#[tonic::async_trait]
impl EnvironmentService for Service {
    async fn get_environment(
        &self,
        request: Request<GetEnvironmentRequest>,
    ) -> Result<Response<GetEnvironmentResponse>, Status> {
        let authorized = authorize(&request)?;
        let response =
            list_environments::get_environment(&self.app, &authorized, request.into_inner())
                .await?;
        Ok(Response::new(response))
    }

    async fn list_environments(
        &self,
        request: Request<ListEnvironmentsRequest>,
    ) -> Result<Response<ListEnvironmentsResponse>, Status> {
        let authorized = authorize(&request)?;
        let response =
            list_environments::list_environments(&self.app, &authorized, request.into_inner())
                .await?;
        Ok(Response::new(response))
    }

    async fn create_environment(
        &self,
        request: Request<CreateEnvironmentRequest>,
    ) -> Result<Response<CreateEnvironmentResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn update_environment(
        &self,
        request: Request<UpdateEnvironmentRequest>,
    ) -> Result<Response<UpdateEnvironmentResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn delete_environment(
        &self,
        request: Request<DeleteEnvironmentRequest>,
    ) -> Result<Response<DeleteEnvironmentResponse>, Status> {
        change::run(&self.app, request).await
    }
}
