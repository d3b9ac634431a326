//! SyncService: rulesets for whoever evaluates locally.

use std::sync::Arc;

use burgee_proto::sync::v1::encoded::sync_service_server::SyncService;
use burgee_proto::sync::v1::{
    GetRulesetRequest, WatchEnvironmentsRequest, WatchEnvironmentsResponse, WatchRulesetRequest,
};
use burgee_proto::types::v1::{AccessKeyKind, Position};
use bytes::Bytes;
use tonic::{Request, Response, Status};

use crate::authentication::Scope;
use crate::core::Core;
use crate::deadline::deadline;
use crate::environments_stream;
use crate::follower::{self, Opening};
use crate::refused::Refused;
use crate::ruleset_stream::RulesetTopic;
use crate::streams::BoxStream;

/// The service.
pub(crate) struct SyncApi {
    core: Arc<Core>,
}

/// What both ruleset methods ask for.
struct RulesetQuery {
    environment: String,
    resume_token: Bytes,
    min_position: Option<Position>,
    finite: bool,
}

impl SyncApi {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    async fn ruleset<R>(
        &self,
        request: &Request<R>,
        query: RulesetQuery,
    ) -> Result<BoxStream<Bytes>, Refused> {
        let core = &self.core;
        let until = deadline(request.metadata(), core.config.position_wait_default);
        core.check_draining()?;
        let caller = core
            .authenticate(request.metadata(), request.extensions())
            .await?;
        caller.may_sync()?;
        let uid = Core::named_environment(&caller, &query.environment)?;
        let attached = core.enter(&caller, &uid).await?;
        core.wait_for(attached.environment(), query.min_position, until)
            .await?;
        let with_access_keys = caller.kind() == AccessKeyKind::Relay;
        let opening = Opening {
            registration: core.register_in(&attached, &caller, request.extensions())?,
            attached,
            topic: RulesetTopic::new(query.resume_token, with_access_keys),
            finite: query.finite,
        };
        Ok(Box::pin(follower::open(core.clone(), opening)))
    }

    async fn environments(
        &self,
        request: &Request<WatchEnvironmentsRequest>,
    ) -> Result<BoxStream<WatchEnvironmentsResponse>, Refused> {
        let core = &self.core;
        core.check_draining()?;
        let caller = core
            .authenticate(request.metadata(), request.extensions())
            .await?;
        caller.may_follow_environments()?;
        let keys_changed = core.keys.subscribe();
        if !core.is_current() {
            return Err(Refused::NotCurrent(
                "which environments exist is not known now",
            ));
        }
        let current = match core.scope(&caller.hash).await {
            Scope::Open(environments) => environments,
            Scope::Ended => return Err(Refused::CredentialInvalid),
            Scope::Unknown => return Err(Refused::NotCurrent("the key cannot be checked now")),
        };
        let registration = core.register(&caller, None, request.extensions())?;
        let stream = environments_stream::open(core.clone(), registration, keys_changed, current);
        Ok(Box::pin(stream))
    }
}

#[tonic::async_trait]
impl SyncService for SyncApi {
    type WatchRulesetStream = BoxStream<Bytes>;

    async fn watch_ruleset(
        &self,
        mut request: Request<WatchRulesetRequest>,
    ) -> Result<Response<Self::WatchRulesetStream>, Status> {
        let message = std::mem::take(request.get_mut());
        let query = RulesetQuery {
            environment: message.environment,
            resume_token: message.resume_token,
            min_position: None,
            finite: false,
        };
        Ok(Response::new(self.ruleset(&request, query).await?))
    }

    type GetRulesetStream = BoxStream<Bytes>;

    async fn get_ruleset(
        &self,
        mut request: Request<GetRulesetRequest>,
    ) -> Result<Response<Self::GetRulesetStream>, Status> {
        let message = std::mem::take(request.get_mut());
        let query = RulesetQuery {
            environment: message.environment,
            resume_token: message.resume_token,
            min_position: message.min_position,
            finite: true,
        };
        Ok(Response::new(self.ruleset(&request, query).await?))
    }

    type WatchEnvironmentsStream = BoxStream<WatchEnvironmentsResponse>;

    async fn watch_environments(
        &self,
        request: Request<WatchEnvironmentsRequest>,
    ) -> Result<Response<Self::WatchEnvironmentsStream>, Status> {
        Ok(Response::new(self.environments(&request).await?))
    }
}
