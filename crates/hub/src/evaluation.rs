//! EvaluationService: flags evaluated for callers that do not do so themselves.

use std::collections::BTreeSet;
use std::sync::Arc;

use burgee_evaluator::{Context, Evaluated, Ruleset};
use burgee_proto::evaluation::v1::evaluation_service_server::EvaluationService;
use burgee_proto::evaluation::v1::{
    EvaluateAllRequest, EvaluateAllResponse, EvaluateRequest, EvaluateResponse, ExplainRequest,
    ExplainResponse, WatchEvaluationsRequest, WatchEvaluationsResponse,
};
use burgee_proto::types::v1::{
    AccessKeyKind, ErrorCode, Evaluation, EvaluationContext, Position, ValueType,
};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use crate::core::Core;
use crate::deadline::deadline;
use crate::refused::Refused;

/// Flags that one call may name.
const FLAG_KEYS_MAX: usize = 5_000;

/// The service.
pub(crate) struct EvaluationApi {
    core: Arc<Core>,
}

/// What a caller may evaluate with.
struct Evaluator {
    ruleset: Arc<Ruleset>,
    position: Position,
    /// A client key's: client-visible flags only, and nothing about rules.
    is_client: bool,
}

impl EvaluationApi {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// The ruleset of the caller's environment, at a position or newer.
    async fn evaluator(
        &self,
        metadata: &MetadataMap,
        min_position: Option<Position>,
    ) -> Result<Evaluator, Refused> {
        let core = &self.core;
        let caller = core.authenticate(metadata).await?;
        caller.may_evaluate(metadata)?;
        let uid = Core::named_environment(&caller, "")?;
        core.check_open(&caller, &uid)?;
        let until = deadline(metadata, core.config.position_wait_default);
        let (state, ruleset) = core.compiled(&uid, min_position, until).await?;
        Ok(Evaluator {
            ruleset,
            position: state.position(),
            is_client: caller.kind() == AccessKeyKind::Client,
        })
    }
}

impl Evaluator {
    fn evaluate(&self, flag_key: &str, context: Option<&Context>, wanted: ValueType) -> Evaluation {
        let evaluated = match context {
            None => Evaluated::error(flag_key, ErrorCode::InvalidContext),
            Some(_) if !self.is_visible(flag_key) => {
                Evaluated::error(flag_key, ErrorCode::FlagNotFound)
            }
            Some(context) => self.ruleset.evaluate(flag_key, context, wanted),
        };
        let shown = if self.is_client {
            Evaluated {
                rule_id: None,
                metadata: None,
                ..evaluated
            }
        } else {
            evaluated
        };
        shown.to_message(self.position)
    }

    fn is_visible(&self, flag_key: &str) -> bool {
        !self.is_client || self.ruleset.is_client_visible(flag_key) == Some(true)
    }

    /// The flags that a call is about, by key.
    fn flag_keys<'a>(&'a self, named: &'a [String]) -> BTreeSet<&'a str> {
        if named.is_empty() {
            let visible = |key: &&str| self.is_visible(key);
            self.ruleset.flag_keys().filter(visible).collect()
        } else {
            named.iter().map(String::as_str).collect()
        }
    }
}

fn flatten(context: Option<EvaluationContext>) -> Option<Context> {
    Context::new(&context.unwrap_or_default()).ok()
}

#[tonic::async_trait]
impl EvaluationService for EvaluationApi {
    async fn evaluate(
        &self,
        mut request: Request<EvaluateRequest>,
    ) -> Result<Response<EvaluateResponse>, Status> {
        let message = std::mem::take(request.get_mut());
        let wanted = message.r#type();
        let evaluator = (self.evaluator(request.metadata(), message.min_position)).await?;
        let context = flatten(message.context);
        let evaluation = evaluator.evaluate(&message.flag_key, context.as_ref(), wanted);
        Ok(Response::new(EvaluateResponse {
            evaluation: Some(evaluation),
        }))
    }

    async fn evaluate_all(
        &self,
        mut request: Request<EvaluateAllRequest>,
    ) -> Result<Response<EvaluateAllResponse>, Status> {
        let message = std::mem::take(request.get_mut());
        let evaluator = (self.evaluator(request.metadata(), message.min_position)).await?;
        if message.flag_keys.len() > FLAG_KEYS_MAX {
            return Err(Refused::InvalidField("flag_keys", "at most 5,000 at once").into());
        }
        let context = flatten(message.context);
        let flags = evaluator.flag_keys(&message.flag_keys).into_iter();
        let evaluate = |key| Evaluation {
            position: None,
            ..evaluator.evaluate(key, context.as_ref(), ValueType::Unspecified)
        };
        Ok(Response::new(EvaluateAllResponse {
            evaluations: flags.map(evaluate).collect(),
            position: Some(evaluator.position),
            ..EvaluateAllResponse::default()
        }))
    }

    type WatchEvaluationsStream = std::pin::Pin<
        Box<dyn futures_core::Stream<Item = Result<WatchEvaluationsResponse, Status>> + Send>,
    >;

    async fn watch_evaluations(
        &self,
        _request: Request<WatchEvaluationsRequest>,
    ) -> Result<Response<Self::WatchEvaluationsStream>, Status> {
        Err(Status::unimplemented("WatchEvaluations"))
    }

    async fn explain(
        &self,
        _request: Request<ExplainRequest>,
    ) -> Result<Response<ExplainResponse>, Status> {
        Err(Status::unimplemented("Explain"))
    }
}
