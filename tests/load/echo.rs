//! The least that a gRPC server can do: it answers every evaluation with the
//! same words, without looking at anything.

use std::net::Ipv4Addr;

use burgee_proto::evaluation::v1::evaluation_service_server::{
    EvaluationService, EvaluationServiceServer,
};
use burgee_proto::evaluation::v1::{
    EvaluateAllRequest, EvaluateAllResponse, EvaluateRequest, EvaluateResponse, ExplainRequest,
    ExplainResponse, WatchEvaluationsRequest, WatchEvaluationsResponse,
};
use burgee_proto::types::v1::{Evaluation, Position, Reason};
use burgee_tests::builders::boolean;
use tokio::net::TcpListener;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// What it prints when it takes calls.
pub(crate) const READY: &str = "echo listening on ";

/// Serves until it is killed.
pub(crate) async fn serve() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    println!("{READY}http://{}", listener.local_addr().unwrap());
    let incoming = TcpListenerStream::new(listener).map(|stream| {
        let stream = stream?;
        stream.set_nodelay(true)?;
        Ok::<_, std::io::Error>(stream)
    });
    tonic::transport::Server::builder()
        .add_service(EvaluationServiceServer::new(Echo))
        .serve_with_incoming(incoming)
        .await
        .unwrap();
}

struct Echo;

#[tonic::async_trait]
impl EvaluationService for Echo {
    async fn evaluate(
        &self,
        request: Request<EvaluateRequest>,
    ) -> Result<Response<EvaluateResponse>, Status> {
        let evaluation = Evaluation {
            flag_key: request.into_inner().flag_key,
            value: Some(boolean(true)),
            variant: "on".to_owned(),
            reason: Reason::Rule.into(),
            rule_id: "pro".to_owned(),
            position: Some(Position {
                epoch: 1_700_000_000_000,
                revision: 100,
            }),
            ..Evaluation::default()
        };
        Ok(Response::new(EvaluateResponse {
            evaluation: Some(evaluation),
        }))
    }

    async fn evaluate_all(
        &self,
        _request: Request<EvaluateAllRequest>,
    ) -> Result<Response<EvaluateAllResponse>, Status> {
        Err(Status::unimplemented("an echo of single evaluations"))
    }

    type WatchEvaluationsStream = tokio_stream::Empty<Result<WatchEvaluationsResponse, Status>>;

    async fn watch_evaluations(
        &self,
        _request: Request<WatchEvaluationsRequest>,
    ) -> Result<Response<Self::WatchEvaluationsStream>, Status> {
        Err(Status::unimplemented("an echo of single evaluations"))
    }

    async fn explain(
        &self,
        _request: Request<ExplainRequest>,
    ) -> Result<Response<ExplainResponse>, Status> {
        Err(Status::unimplemented("an echo of single evaluations"))
    }
}
