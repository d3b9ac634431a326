//! FlagService.

use burgee_hub::Hub;
use burgee_proto::admin::v1::flag_service_server::FlagService;
use burgee_proto::admin::v1::{
    AddTargetKeysRequest, AddTargetKeysResponse, ArchiveFlagRequest, ArchiveFlagResponse,
    CreateFlagRequest, CreateFlagResponse, DeleteFlagRequest, DeleteFlagResponse,
    EvaluateFlagsRequest, EvaluateFlagsResponse, ExplainFlagRequest, ExplainFlagResponse,
    GetFlagConfigRequest, GetFlagConfigResponse, GetFlagRequest, GetFlagResponse, ListFlagsRequest,
    ListFlagsResponse, RemoveTargetKeysRequest, RemoveTargetKeysResponse,
    RerandomizeRolloutRequest, RerandomizeRolloutResponse, RestoreFlagRequest, RestoreFlagResponse,
    SetFlagEnabledRequest, SetFlagEnabledResponse, SetRolloutRequest, SetRolloutResponse,
    UpdateFlagConfigRequest, UpdateFlagConfigResponse, UpdateFlagRequest, UpdateFlagResponse,
};
use tonic::{Request, Response, Status};

use super::{list_flags, try_out};
use crate::access::authorize;
use crate::app::App;
use crate::change;

/// FlagService, for everything shared.
pub struct Service {
    /// Everything shared.
    pub app: App,
    /// What the data plane evaluates with.
    pub hub: Hub,
}

#[tonic::async_trait]
impl FlagService for Service {
    async fn get_flag(
        &self,
        request: Request<GetFlagRequest>,
    ) -> Result<Response<GetFlagResponse>, Status> {
        let authorized = authorize(&request)?;
        let response = list_flags::get_flag(&self.app, &authorized, request.into_inner()).await?;
        Ok(Response::new(response))
    }

    async fn list_flags(
        &self,
        request: Request<ListFlagsRequest>,
    ) -> Result<Response<ListFlagsResponse>, Status> {
        let authorized = authorize(&request)?;
        let response = list_flags::list_flags(&self.app, &authorized, request.into_inner()).await?;
        Ok(Response::new(response))
    }

    async fn create_flag(
        &self,
        request: Request<CreateFlagRequest>,
    ) -> Result<Response<CreateFlagResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn update_flag(
        &self,
        request: Request<UpdateFlagRequest>,
    ) -> Result<Response<UpdateFlagResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn delete_flag(
        &self,
        request: Request<DeleteFlagRequest>,
    ) -> Result<Response<DeleteFlagResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn archive_flag(
        &self,
        request: Request<ArchiveFlagRequest>,
    ) -> Result<Response<ArchiveFlagResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn restore_flag(
        &self,
        request: Request<RestoreFlagRequest>,
    ) -> Result<Response<RestoreFlagResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn get_flag_config(
        &self,
        request: Request<GetFlagConfigRequest>,
    ) -> Result<Response<GetFlagConfigResponse>, Status> {
        let authorized = authorize(&request)?;
        let response =
            list_flags::get_flag_config(&self.app, &authorized, request.into_inner()).await?;
        Ok(Response::new(response))
    }

    async fn update_flag_config(
        &self,
        request: Request<UpdateFlagConfigRequest>,
    ) -> Result<Response<UpdateFlagConfigResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn set_flag_enabled(
        &self,
        request: Request<SetFlagEnabledRequest>,
    ) -> Result<Response<SetFlagEnabledResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn set_rollout(
        &self,
        request: Request<SetRolloutRequest>,
    ) -> Result<Response<SetRolloutResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn add_target_keys(
        &self,
        request: Request<AddTargetKeysRequest>,
    ) -> Result<Response<AddTargetKeysResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn remove_target_keys(
        &self,
        request: Request<RemoveTargetKeysRequest>,
    ) -> Result<Response<RemoveTargetKeysResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn rerandomize_rollout(
        &self,
        request: Request<RerandomizeRolloutRequest>,
    ) -> Result<Response<RerandomizeRolloutResponse>, Status> {
        change::run(&self.app, request).await
    }

    async fn evaluate_flags(
        &self,
        request: Request<EvaluateFlagsRequest>,
    ) -> Result<Response<EvaluateFlagsResponse>, Status> {
        let authorized = authorize(&request)?;
        let (app, hub) = (&self.app, &self.hub);
        let response = try_out::evaluate_flags(app, hub, &authorized, request.into_inner()).await?;
        Ok(Response::new(response))
    }

    async fn explain_flag(
        &self,
        request: Request<ExplainFlagRequest>,
    ) -> Result<Response<ExplainFlagResponse>, Status> {
        let authorized = authorize(&request)?;
        let (app, hub) = (&self.app, &self.hub);
        let response = try_out::explain_flag(app, hub, &authorized, request.into_inner()).await?;
        Ok(Response::new(response))
    }
}
