//! ApiKeyService.

use burgee_proto::admin::v1::api_key_service_server::ApiKeyService;
use burgee_proto::admin::v1::{
    CreateApiKeyRequest, CreateApiKeyResponse, GetApiKeyRequest, GetApiKeyResponse,
    ListApiKeysRequest, ListApiKeysResponse, RevokeApiKeyRequest, RevokeApiKeyResponse,
    RotateApiKeyRequest, RotateApiKeyResponse, UpdateApiKeyRequest, UpdateApiKeyResponse,
};
use tonic::{Request, Response, Status};

use super::list_api_keys;
use crate::access::authorize;
use crate::app::App;
use crate::change;

/// ApiKeyService, for everything shared.
pub struct Service {
    /// Everything shared.
    pub app: App,
}

#[tonic::async_trait]
impl ApiKeyService for Service {
    async fn get_api_key(
        &self,
        request: Request<GetApiKeyRequest>,
    ) -> Result<Response<GetApiKeyResponse>, Status> {
        let authorized = authorize(&request)?;
        let response =
            list_api_keys::get_api_key(&self.app, &authorized, request.into_inner()).await?;
        Ok(Response::new(response))
    }

    async fn list_api_keys(
        &self,
        request: Request<ListApiKeysRequest>,
    ) -> Result<Response<ListApiKeysResponse>, Status> {
        let authorized = authorize(&request)?;
        let response =
            list_api_keys::list_api_keys(&self.app, &authorized, request.into_inner()).await?;
        Ok(Response::new(response))
    }

    async fn create_api_key(
        &self,
        request: Request<CreateApiKeyRequest>,
    ) -> Result<Response<CreateApiKeyResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn update_api_key(
        &self,
        request: Request<UpdateApiKeyRequest>,
    ) -> Result<Response<UpdateApiKeyResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn rotate_api_key(
        &self,
        request: Request<RotateApiKeyRequest>,
    ) -> Result<Response<RotateApiKeyResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn revoke_api_key(
        &self,
        request: Request<RevokeApiKeyRequest>,
    ) -> Result<Response<RevokeApiKeyResponse>, Status> {
        change::run(&self.app, request).await
    }
}
