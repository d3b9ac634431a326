//! ServiceAccountService.

use burgee_proto::admin::v1::service_account_service_server::ServiceAccountService;
use burgee_proto::admin::v1::{
    CreateServiceAccountRequest, CreateServiceAccountResponse, CreateServiceAccountTokenRequest,
    CreateServiceAccountTokenResponse, DeleteServiceAccountRequest, DeleteServiceAccountResponse,
    GetServiceAccountRequest, GetServiceAccountResponse, ListServiceAccountTokensRequest,
    ListServiceAccountTokensResponse, ListServiceAccountsRequest, ListServiceAccountsResponse,
    RevokeServiceAccountTokenRequest, RevokeServiceAccountTokenResponse,
    RotateServiceAccountTokenRequest, RotateServiceAccountTokenResponse,
    UpdateServiceAccountRequest, UpdateServiceAccountResponse,
};
use tonic::{Request, Response, Status};

use super::list_service_accounts as list;
use crate::access::authorize;
use crate::app::App;
use crate::change;

/// ServiceAccountService, for everything shared.
pub struct Service {
    /// Everything shared.
    pub app: App,
}

#[tonic::async_trait]
impl ServiceAccountService for Service {
    async fn get_service_account(
        &self,
        request: Request<GetServiceAccountRequest>,
    ) -> Result<Response<GetServiceAccountResponse>, Status> {
        let authorized = authorize(&request)?;
        let request = request.into_inner();
        let response = list::get_service_account(&self.app, &authorized, request).await?;
        Ok(Response::new(response))
    }

    async fn list_service_accounts(
        &self,
        request: Request<ListServiceAccountsRequest>,
    ) -> Result<Response<ListServiceAccountsResponse>, Status> {
        let authorized = authorize(&request)?;
        let request = request.into_inner();
        let response = list::list_service_accounts(&self.app, &authorized, request).await?;
        Ok(Response::new(response))
    }

    async fn create_service_account(
        &self,
        request: Request<CreateServiceAccountRequest>,
    ) -> Result<Response<CreateServiceAccountResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn update_service_account(
        &self,
        request: Request<UpdateServiceAccountRequest>,
    ) -> Result<Response<UpdateServiceAccountResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn delete_service_account(
        &self,
        request: Request<DeleteServiceAccountRequest>,
    ) -> Result<Response<DeleteServiceAccountResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn list_service_account_tokens(
        &self,
        request: Request<ListServiceAccountTokensRequest>,
    ) -> Result<Response<ListServiceAccountTokensResponse>, Status> {
        let authorized = authorize(&request)?;
        let response = list::list_tokens(&self.app, &authorized, request.into_inner()).await?;
        Ok(Response::new(response))
    }

    async fn create_service_account_token(
        &self,
        request: Request<CreateServiceAccountTokenRequest>,
    ) -> Result<Response<CreateServiceAccountTokenResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn rotate_service_account_token(
        &self,
        request: Request<RotateServiceAccountTokenRequest>,
    ) -> Result<Response<RotateServiceAccountTokenResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn revoke_service_account_token(
        &self,
        request: Request<RevokeServiceAccountTokenRequest>,
    ) -> Result<Response<RevokeServiceAccountTokenResponse>, Status> {
        change::run(&self.app, request).await
    }
}
