//! EvaluationService: flags evaluated for callers that do not do so themselves.

use std::sync::Arc;

use burgee_evaluator::Digest;
use burgee_proto::evaluation::v1::evaluation_service_server::EvaluationService;
use burgee_proto::evaluation::v1::{
    EvaluateAllRequest, EvaluateAllResponse, EvaluateRequest, EvaluateResponse, ExplainRequest,
    ExplainResponse, WatchEvaluationsRequest, WatchEvaluationsResponse,
};
use burgee_proto::types::v1::{AccessKeyKind, EvaluationContext, Position};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use crate::authentication::Caller;
use crate::core::Core;
use crate::deadline::deadline;
use crate::environment::Compiled;
use crate::evaluations_stream::{EvaluationsTopic, resume_token};
use crate::follower::{self, Opening};
use crate::refused::Refused;
use crate::results::{Question, Viewer, toggle};
use crate::streams::BoxStream;

/// The service.
pub(crate) struct EvaluationApi {
    core: Arc<Core>,
}

/// A caller who may evaluate, and where.
struct Admitted {
    caller: Caller,
    environment: Arc<str>,
}

impl EvaluationApi {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    async fn admit<T>(&self, request: &Request<T>) -> Result<Admitted, Refused> {
        let metadata = request.metadata();
        let caller = self
            .core
            .authenticate(metadata, request.extensions())
            .await?;
        caller.may_evaluate(metadata)?;
        let environment = Core::named_environment(&caller, "")?;
        self.core.check_open(&caller, &environment)?;
        Ok(Admitted {
            caller,
            environment,
        })
    }

    /// The ruleset of the caller's environment, at a position or newer.
    async fn compiled(
        &self,
        admitted: &Admitted,
        metadata: &MetadataMap,
        min_position: Option<Position>,
    ) -> Result<Compiled, Refused> {
        let core = &self.core;
        let until = deadline(metadata, core.config.position_wait_default);
        core.compiled(&admitted.environment, min_position, until)
            .await
    }
}

impl Admitted {
    /// The caller, asking for somebody.
    fn viewer(&self, context: Option<EvaluationContext>) -> Viewer {
        Viewer::new(context, self.caller.kind() == AccessKeyKind::Client)
    }
}

#[tonic::async_trait]
impl EvaluationService for EvaluationApi {
    async fn evaluate(
        &self,
        mut request: Request<EvaluateRequest>,
    ) -> Result<Response<EvaluateResponse>, Status> {
        let message = std::mem::take(request.get_mut());
        let wanted = message.r#type();
        let admitted = self.admit(&request).await?;
        let compiled = self.compiled(&admitted, request.metadata(), message.min_position);
        let (state, ruleset) = compiled.await?;
        let viewer = admitted.viewer(message.context);
        let evaluated = viewer.evaluate(&ruleset, &message.flag_key, wanted);
        Ok(Response::new(EvaluateResponse {
            evaluation: Some(evaluated.to_message(state.position())),
        }))
    }

    async fn evaluate_all(
        &self,
        mut request: Request<EvaluateAllRequest>,
    ) -> Result<Response<EvaluateAllResponse>, Status> {
        let message = std::mem::take(request.get_mut());
        let admitted = self.admit(&request).await?;
        let compiled = self.compiled(&admitted, request.metadata(), message.min_position);
        let (state, ruleset) = compiled.await?;
        let question = Question::new(admitted.viewer(message.context), message.flag_keys)?;
        let flag_keys = question.flag_keys(&state, &ruleset);
        let mut digest = Digest::new();
        let results = question.results(&ruleset, &flag_keys);
        let mut evaluations: Vec<_> = results
            .inspect(|evaluation| toggle(&mut digest, evaluation))
            .collect();
        let etag = digest.to_string();
        let not_modified = etag == message.etag;
        if not_modified {
            evaluations.clear();
        }
        let (position, context_hash) = (state.position(), question.viewer().fingerprint());
        Ok(Response::new(EvaluateAllResponse {
            evaluations,
            position: Some(position),
            etag,
            not_modified,
            resume_token: resume_token(&admitted.environment, position, context_hash, digest),
        }))
    }

    type WatchEvaluationsStream = BoxStream<WatchEvaluationsResponse>;

    async fn watch_evaluations(
        &self,
        mut request: Request<WatchEvaluationsRequest>,
    ) -> Result<Response<Self::WatchEvaluationsStream>, Status> {
        let message = std::mem::take(request.get_mut());
        let core = &self.core;
        core.check_draining()?;
        let admitted = self.admit(&request).await?;
        let question = Question::new(admitted.viewer(message.context), message.flag_keys)?;
        let attached = core.enter(&admitted.caller, &admitted.environment).await?;
        let environment = attached.environment().clone();
        let opening = Opening {
            registration: core.register_in(&attached, &admitted.caller, request.extensions())?,
            attached,
            topic: EvaluationsTopic::new(environment, question, &message.resume_token),
            finite: false,
        };
        let stream = follower::open(core.clone(), opening);
        Ok(Response::new(Box::pin(stream)))
    }

    async fn explain(
        &self,
        mut request: Request<ExplainRequest>,
    ) -> Result<Response<ExplainResponse>, Status> {
        let message = std::mem::take(request.get_mut());
        let wanted = message.r#type();
        let admitted = self.admit(&request).await?;
        admitted.caller.may_explain()?;
        let compiled = self.compiled(&admitted, request.metadata(), message.min_position);
        let (state, ruleset) = compiled.await?;
        let viewer = admitted.viewer(message.context);
        let position = state.position();
        let explanation = viewer.explain(&ruleset, &message.flag_key, wanted, position);
        Ok(Response::new(ExplainResponse {
            explanation: Some(explanation),
        }))
    }
}
