//! OrganizationService.

use burgee_proto::admin::v1::organization_service_server::OrganizationService;
use burgee_proto::admin::v1::{
    GetOrganizationRequest, GetOrganizationResponse, UpdateOrganizationRequest,
    UpdateOrganizationResponse,
};
use tonic::{Request, Response, Status};

use super::get_organization;
use crate::access::authorize;
use crate::app::App;
use crate::change;

/// OrganizationService, for everything shared.
pub struct Service {
    /// Everything shared.
    pub app: App,
}

#[tonic::async_trait]
impl OrganizationService for Service {
    async fn get_organization(
        &self,
        request: Request<GetOrganizationRequest>,
    ) -> Result<Response<GetOrganizationResponse>, Status> {
        let authorized = authorize(&request)?;
        let response = get_organization(&self.app, &authorized, request.into_inner()).await?;
        Ok(Response::new(response))
    }

    async fn update_organization(
        &self,
        request: Request<UpdateOrganizationRequest>,
    ) -> Result<Response<UpdateOrganizationResponse>, Status> {
        change::run(&self.app, request).await
    }
}
