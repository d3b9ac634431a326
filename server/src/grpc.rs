//! The services on the one port, and what every call passes on its way to them.
//!
//! ```text
//! browsers ─ guards ─┬─ only calls ─ cookies ─ gRPC-web ─ authentication ─ services
//!                    └─ /healthz
//! ```

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use burgee_hub::{CROSS_ORIGIN_PATHS, Hub, explain};
use burgee_proto::admin::v1::api_key_service_server::ApiKeyServiceServer;
use burgee_proto::admin::v1::audit_service_server::AuditServiceServer;
use burgee_proto::admin::v1::auth_service_server::AuthServiceServer;
use burgee_proto::admin::v1::environment_service_server::EnvironmentServiceServer;
use burgee_proto::admin::v1::flag_service_server::FlagServiceServer;
use burgee_proto::admin::v1::identity_provider_service_server::IdentityProviderServiceServer;
use burgee_proto::admin::v1::member_service_server::MemberServiceServer;
use burgee_proto::admin::v1::organization_service_server::OrganizationServiceServer;
use burgee_proto::admin::v1::personal_token_service_server::PersonalTokenServiceServer;
use burgee_proto::admin::v1::project_service_server::ProjectServiceServer;
use burgee_proto::admin::v1::segment_service_server::SegmentServiceServer;
use burgee_proto::admin::v1::service_account_service_server::ServiceAccountServiceServer;
use burgee_runtime::browsers::{self, AllowedOrigins};
use burgee_runtime::calls::{CallLimits, Shapes, guard, only_calls, unknown_path};
use tonic::service::Routes;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_web::GrpcWebLayer;

use crate::app::App;
use crate::audit::denials::Denials;
use crate::auth::{self, Principals};
use crate::failure::Failure;
use crate::oidc::Oidc;
use crate::{
    api_keys, audit, environments, flags, http, identity_providers, members, organizations,
    personal_tokens, projects, segments, service_accounts,
};

/// The largest request, in bytes.
const REQUEST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The largest request of gRPC's own services, which need no credential, in bytes.
const OPEN_REQUEST_BYTES_MAX: usize = 4 * 1024;

/// Every service by its full name, for the health of each.
pub const SERVICES: &[&str] = &[
    "burgee.admin.v1.ProjectService",
    "burgee.admin.v1.EnvironmentService",
    "burgee.admin.v1.FlagService",
    "burgee.admin.v1.SegmentService",
    "burgee.admin.v1.ApiKeyService",
    "burgee.admin.v1.OrganizationService",
    "burgee.admin.v1.AuthService",
    "burgee.admin.v1.IdentityProviderService",
    "burgee.admin.v1.MemberService",
    "burgee.admin.v1.ServiceAccountService",
    "burgee.admin.v1.PersonalTokenService",
    "burgee.admin.v1.AuditService",
    "burgee.sync.v1.SyncService",
    "burgee.evaluation.v1.EvaluationService",
    "burgee.telemetry.v1.TelemetryService",
];

/// Everything that is served.
///
/// # Errors
/// [`Failure::Reflection`].
pub fn router(
    (app, oidc): (&App, &Oidc),
    hub: &Hub,
    tokens: Principals,
    denials: Denials,
    health: HealthServer<impl Health>,
    origins: &AllowedOrigins,
) -> Result<Router, Failure> {
    let health = health.max_decoding_message_size(OPEN_REQUEST_BYTES_MAX);
    let services = reflected(administered((app, oidc), hub).add_service(health))?;
    let services = services
        .into_axum_router()
        // The innermost layer first.
        .layer(from_fn_with_state((tokens, denials), auth::authenticate))
        .layer(GrpcWebLayer::new())
        .layer(from_fn(auth::admit_cookies))
        .layer(from_fn(only_calls));
    let all = services.merge(http::router()).fallback(unknown_path);
    let shapes = Shapes::read(burgee_proto::FILE_DESCRIPTOR_SET)
        .map_err(tonic_reflection::server::Error::from)?;
    let guarded = guard(all, &CallLimits::default(), shapes, explain);
    Ok(browsers::admit(guarded, origins, CROSS_ORIGIN_PATHS))
}

fn administered((app, oidc): (&App, &Oidc), hub: &Hub) -> Routes {
    macro_rules! limited {
        ($server:ident, $module:ident $(, $field:ident)?) => {
            $server::new($module::service::Service {
                app: app.clone(),
                $($field: $field.clone(),)?
            })
            .max_decoding_message_size(REQUEST_BYTES_MAX)
        };
    }
    hub.routes()
        .add_service(limited!(ProjectServiceServer, projects))
        .add_service(limited!(EnvironmentServiceServer, environments))
        .add_service(limited!(FlagServiceServer, flags, hub))
        .add_service(limited!(SegmentServiceServer, segments))
        .add_service(limited!(ApiKeyServiceServer, api_keys))
        .add_service(limited!(OrganizationServiceServer, organizations))
        .add_service(limited!(AuthServiceServer, auth, oidc))
        .add_service(limited!(
            IdentityProviderServiceServer,
            identity_providers,
            oidc
        ))
        .add_service(limited!(MemberServiceServer, members))
        .add_service(limited!(ServiceAccountServiceServer, service_accounts))
        .add_service(limited!(PersonalTokenServiceServer, personal_tokens))
        .add_service(limited!(AuditServiceServer, audit))
}

/// Adds reflection, in both versions that tools ask for.
fn reflected(routes: Routes) -> Result<Routes, Failure> {
    let descriptors = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(burgee_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // Without it grpcurl shows the details of errors as base64.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let v1 = descriptors().build_v1()?;
    let v1alpha = descriptors().build_v1alpha()?;
    Ok(routes
        .add_service(v1.max_decoding_message_size(OPEN_REQUEST_BYTES_MAX))
        .add_service(v1alpha.max_decoding_message_size(OPEN_REQUEST_BYTES_MAX)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::descriptors::Descriptors;

    #[test]
    fn every_service_of_the_contract_has_a_health() {
        let descriptors = Descriptors::load().unwrap();
        let methods: Vec<String> = descriptors.methods().collect();
        let contract: BTreeSet<&str> = methods
            .iter()
            .filter_map(|method| method.split('/').nth(1))
            .collect();
        assert_eq!(contract, SERVICES.iter().copied().collect());
    }
}
