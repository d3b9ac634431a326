//! IdentityProviderService.

use burgee_proto::admin::v1::identity_provider_service_server::IdentityProviderService;
use burgee_proto::admin::v1::{
    CreateIdentityProviderRequest, CreateIdentityProviderResponse, DeleteIdentityProviderRequest,
    DeleteIdentityProviderResponse, DeleteIdentityRequest, DeleteIdentityResponse,
    GetIdentityProviderRequest, GetIdentityProviderResponse, ListIdentitiesRequest,
    ListIdentitiesResponse, ListIdentityProvidersRequest, ListIdentityProvidersResponse,
    UpdateIdentityProviderRequest, UpdateIdentityProviderResponse,
};
use tonic::{Request, Response, Status};

use super::{list_identities, list_identity_providers as list};
use crate::access::authorize;
use crate::app::App;
use crate::change;
use crate::oidc::Oidc;

/// IdentityProviderService, for everything shared.
pub struct Service {
    /// Everything shared.
    pub app: App,
    /// Where providers send people back to.
    pub oidc: Oidc,
}

#[tonic::async_trait]
impl IdentityProviderService for Service {
    async fn get_identity_provider(
        &self,
        request: Request<GetIdentityProviderRequest>,
    ) -> Result<Response<GetIdentityProviderResponse>, Status> {
        let authorized = authorize(&request)?;
        let request = request.into_inner();
        let response = list::get_identity_provider(&self.app, &authorized, request).await?;
        Ok(Response::new(GetIdentityProviderResponse {
            redirect_uri: self.oidc.redirect_uri.to_string(),
            ..response
        }))
    }

    async fn list_identity_providers(
        &self,
        request: Request<ListIdentityProvidersRequest>,
    ) -> Result<Response<ListIdentityProvidersResponse>, Status> {
        let authorized = authorize(&request)?;
        let request = request.into_inner();
        let response = list::list_identity_providers(&self.app, &authorized, request).await?;
        Ok(Response::new(response))
    }

    async fn create_identity_provider(
        &self,
        request: Request<CreateIdentityProviderRequest>,
    ) -> Result<Response<CreateIdentityProviderResponse>, Status> {
        let mut response = change::run(&self.app, request).await?;
        response.get_mut().redirect_uri = self.oidc.redirect_uri.to_string();
        Ok(response)
    }

    async fn update_identity_provider(
        &self,
        request: Request<UpdateIdentityProviderRequest>,
    ) -> Result<Response<UpdateIdentityProviderResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn delete_identity_provider(
        &self,
        request: Request<DeleteIdentityProviderRequest>,
    ) -> Result<Response<DeleteIdentityProviderResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn list_identities(
        &self,
        request: Request<ListIdentitiesRequest>,
    ) -> Result<Response<ListIdentitiesResponse>, Status> {
        let authorized = authorize(&request)?;
        let request = request.into_inner();
        let response = list_identities::list_identities(&self.app, &authorized, request).await?;
        Ok(Response::new(response))
    }

    async fn delete_identity(
        &self,
        request: Request<DeleteIdentityRequest>,
    ) -> Result<Response<DeleteIdentityResponse>, Status> {
        change::run(&self.app, request).await
    }
}
