//! Tells upstream when keys were used: a call now and then, beside the streams.

use std::time::Duration;

use burgee_proto::telemetry::v1::ReportKeyUsesRequest;
use burgee_proto::telemetry::v1::telemetry_service_client::TelemetryServiceClient;
use tonic::{Request, Status};

use super::Origin;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Tells the first hop that answers.
///
/// # Errors
/// What the last hop answered: it may be told again.
pub async fn report_key_uses(origin: &Origin, report: ReportKeyUsesRequest) -> Result<(), Status> {
    let mut answer = Err(Status::failed_precondition("no address is configured"));
    for index in 0..origin.connections.addresses() {
        answer = report_to(origin, index, report.clone()).await;
        if answer.is_ok() {
            break;
        }
    }
    answer
}

async fn report_to(
    origin: &Origin,
    index: usize,
    report: ReportKeyUsesRequest,
) -> Result<(), Status> {
    let lease = origin.connections.lease(index).await?;
    let mut request = Request::new(report);
    let key = origin.key.borrow().clone();
    let authorization = key.authorization();
    let authorization =
        authorization.map_err(|invalid| Status::unauthenticated(invalid.to_string()))?;
    request
        .metadata_mut()
        .insert("authorization", authorization);
    let mut client = TelemetryServiceClient::new(lease.channel());
    match tokio::time::timeout(TIMEOUT, client.report_key_uses(request)).await {
        Ok(answer) => answer.map(drop),
        Err(_elapsed) => Err(Status::deadline_exceeded("no answer in time")),
    }
}
