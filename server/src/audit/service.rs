//! AuditService.

use std::pin::Pin;

use burgee_proto::admin::v1::audit_service_server::AuditService;
use burgee_proto::admin::v1::{
    ExportAuditEntriesRequest, ExportAuditEntriesResponse, ListAuditEntriesRequest,
    ListAuditEntriesResponse,
};
use futures_core::Stream;
use tonic::{Request, Response, Status};

use super::{export_audit_entries, list_audit_entries};
use crate::access::authorize;
use crate::app::App;

/// AuditService, for everything shared.
pub struct Service {
    /// Everything shared.
    pub app: App,
}

#[tonic::async_trait]
impl AuditService for Service {
    async fn list_audit_entries(
        &self,
        request: Request<ListAuditEntriesRequest>,
    ) -> Result<Response<ListAuditEntriesResponse>, Status> {
        let authorized = authorize(&request)?;
        let request = request.into_inner();
        let response =
            list_audit_entries::list_audit_entries(&self.app, &authorized, request).await?;
        Ok(Response::new(response))
    }

    type ExportAuditEntriesStream =
        Pin<Box<dyn Stream<Item = Result<ExportAuditEntriesResponse, Status>> + Send>>;

    async fn export_audit_entries(
        &self,
        request: Request<ExportAuditEntriesRequest>,
    ) -> Result<Response<Self::ExportAuditEntriesStream>, Status> {
        let authorized = authorize(&request)?;
        let request = request.into_inner();
        let text =
            export_audit_entries::export_audit_entries(&self.app, &authorized, request).await?;
        Ok(Response::new(Box::pin(text)))
    }
}
