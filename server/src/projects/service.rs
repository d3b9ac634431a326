//! ProjectService.

use burgee_proto::admin::v1::project_service_server::ProjectService;
use burgee_proto::admin::v1::{
    CreateProjectRequest, CreateProjectResponse, DeleteProjectRequest, DeleteProjectResponse,
    GetProjectRequest, GetProjectResponse, ListProjectsRequest, ListProjectsResponse,
    UpdateProjectRequest, UpdateProjectResponse,
};
use tonic::{Request, Response, Status};

use super::list_projects;
use crate::access::authorize;
use crate::app::App;
use crate::change;

/// ProjectService, for everything shared.
pub struct Service {
    /// Everything shared.
    pub app: App,
}

#[tonic::async_trait]
impl ProjectService for Service {
    async fn get_project(
        &self,
        request: Request<GetProjectRequest>,
    ) -> Result<Response<GetProjectResponse>, Status> {
        let authorized = authorize(&request)?;
        let response =
            list_projects::get_project(&self.app, &authorized, request.into_inner()).await?;
        Ok(Response::new(response))
    }

    async fn list_projects(
        &self,
        request: Request<ListProjectsRequest>,
    ) -> Result<Response<ListProjectsResponse>, Status> {
        let authorized = authorize(&request)?;
        let response =
            list_projects::list_projects(&self.app, &authorized, request.into_inner()).await?;
        Ok(Response::new(response))
    }

    async fn create_project(
        &self,
        request: Request<CreateProjectRequest>,
    ) -> Result<Response<CreateProjectResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn update_project(
        &self,
        request: Request<UpdateProjectRequest>,
    ) -> Result<Response<UpdateProjectResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn delete_project(
        &self,
        request: Request<DeleteProjectRequest>,
    ) -> Result<Response<DeleteProjectResponse>, Status> {
        change::run(&self.app, request).await
    }
}
