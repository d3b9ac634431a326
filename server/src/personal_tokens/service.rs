//! PersonalTokenService.

use burgee_proto::admin::v1::personal_token_service_server::PersonalTokenService;
use burgee_proto::admin::v1::{
    CreatePersonalTokenRequest, CreatePersonalTokenResponse, ListMemberTokensRequest,
    ListMemberTokensResponse, ListPersonalTokensRequest, ListPersonalTokensResponse,
    RevokeMemberTokenRequest, RevokeMemberTokenResponse, RevokePersonalTokenRequest,
    RevokePersonalTokenResponse, RotatePersonalTokenRequest, RotatePersonalTokenResponse,
};
use tonic::{Request, Response, Status};

use super::list_tokens;
use crate::access::authorize;
use crate::app::App;
use crate::change;

/// PersonalTokenService, for everything shared.
pub struct Service {
    /// Everything shared.
    pub app: App,
}

#[tonic::async_trait]
impl PersonalTokenService for Service {
    async fn list_personal_tokens(
        &self,
        request: Request<ListPersonalTokensRequest>,
    ) -> Result<Response<ListPersonalTokensResponse>, Status> {
        let authorized = authorize(&request)?;
        let request = request.into_inner();
        let response = list_tokens::list_personal_tokens(&self.app, &authorized, request).await?;
        Ok(Response::new(response))
    }

    async fn create_personal_token(
        &self,
        request: Request<CreatePersonalTokenRequest>,
    ) -> Result<Response<CreatePersonalTokenResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn rotate_personal_token(
        &self,
        request: Request<RotatePersonalTokenRequest>,
    ) -> Result<Response<RotatePersonalTokenResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn revoke_personal_token(
        &self,
        request: Request<RevokePersonalTokenRequest>,
    ) -> Result<Response<RevokePersonalTokenResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn list_member_tokens(
        &self,
        request: Request<ListMemberTokensRequest>,
    ) -> Result<Response<ListMemberTokensResponse>, Status> {
        let authorized = authorize(&request)?;
        let request = request.into_inner();
        let response = list_tokens::list_member_tokens(&self.app, &authorized, request).await?;
        Ok(Response::new(response))
    }

    async fn revoke_member_token(
        &self,
        request: Request<RevokeMemberTokenRequest>,
    ) -> Result<Response<RevokeMemberTokenResponse>, Status> {
        change::run(&self.app, request).await
    }
}
