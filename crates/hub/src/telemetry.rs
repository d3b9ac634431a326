//! TelemetryService: what relays below tell.

use std::sync::Arc;
use std::time::SystemTime;

use burgee_proto::telemetry::v1::telemetry_service_server::TelemetryService;
use burgee_proto::telemetry::v1::{KeyUse, ReportKeyUsesRequest, ReportKeyUsesResponse};
use tonic::{Request, Response, Status};

use crate::core::Core;
use crate::keys::KeyHash;
use crate::refused::Refused;

/// The most environments of one report.
pub const ENVIRONMENTS_MAX: usize = 1_000;
/// The most uses of one report.
pub const USES_MAX: usize = 10_000;

/// The service.
pub(crate) struct TelemetryApi {
    core: Arc<Core>,
}

impl TelemetryApi {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    async fn report(&self, request: Request<ReportKeyUsesRequest>) -> Result<(), Refused> {
        let core = &self.core;
        let caller = core
            .authenticate(request.metadata(), request.extensions())
            .await?;
        caller.may_report_key_uses()?;
        let told = request.into_inner().environments;
        let uses: usize = told.iter().map(|environment| environment.uses.len()).sum();
        if told.len() > ENVIRONMENTS_MAX || uses > USES_MAX {
            return Err(Refused::InvalidField(
                "environments",
                "at most 1,000 environments, with 10,000 uses in all",
            ));
        }
        let now = SystemTime::now();
        for environment in told {
            let uid = Arc::from(environment.environment);
            // Held, it vouches for its keys.
            match core.enter(&caller, &uid).await {
                Ok(_attached) => self.note(&uid, &environment.uses, now),
                // It is gone, or the key does not open it any more.
                Err(Refused::EnvironmentNotFound(_)) => {}
                Err(refused) => return Err(refused),
            }
        }
        Ok(())
    }

    fn note(&self, uid: &str, uses: &[KeyUse], now: SystemTime) {
        for told in uses {
            let hash = KeyHash::try_from(&*told.key_hash).ok();
            let key = hash.and_then(|hash| self.core.keys.get(&hash));
            let used_at = told
                .last_used_time
                .and_then(|at| SystemTime::try_from(at).ok());
            if let (Some(key), Some(used_at)) = (key, used_at)
                && key.is_vouched_by(uid)
            {
                key.last_use().note(used_at.min(now));
            }
        }
    }
}

#[tonic::async_trait]
impl TelemetryService for TelemetryApi {
    async fn report_key_uses(
        &self,
        request: Request<ReportKeyUsesRequest>,
    ) -> Result<Response<ReportKeyUsesResponse>, Status> {
        self.report(request).await?;
        Ok(Response::new(ReportKeyUsesResponse {}))
    }
}
