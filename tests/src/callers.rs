//! Typed clients with a credential, as a script or an SDK calls.

use std::time::Duration;

use burgee_proto::admin::v1::api_key_service_client::ApiKeyServiceClient;
use burgee_proto::admin::v1::audit_service_client::AuditServiceClient;
use burgee_proto::admin::v1::auth_service_client::AuthServiceClient;
use burgee_proto::admin::v1::environment_service_client::EnvironmentServiceClient;
use burgee_proto::admin::v1::flag_service_client::FlagServiceClient;
use burgee_proto::admin::v1::identity_provider_service_client::IdentityProviderServiceClient;
use burgee_proto::admin::v1::member_service_client::MemberServiceClient;
use burgee_proto::admin::v1::organization_service_client::OrganizationServiceClient;
use burgee_proto::admin::v1::personal_token_service_client::PersonalTokenServiceClient;
use burgee_proto::admin::v1::project_service_client::ProjectServiceClient;
use burgee_proto::admin::v1::segment_service_client::SegmentServiceClient;
use burgee_proto::admin::v1::service_account_service_client::ServiceAccountServiceClient;
use burgee_proto::evaluation::v1::evaluation_service_client::EvaluationServiceClient;
use burgee_proto::evaluation::v1::{EvaluateAllRequest, EvaluateRequest};
use burgee_proto::sync::v1::sync_service_client::SyncServiceClient;
use burgee_proto::telemetry::v1::telemetry_service_client::TelemetryServiceClient;
use burgee_proto::types::v1::{Evaluation, EvaluationContext, Position};
use bytes::{Buf as _, Bytes};
use prost::Message as _;
use prost_reflect::DynamicMessage;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::builders::context;

/// No call of a test takes longer; one that would, fails.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// What every client here speaks through.
pub type Authenticated = InterceptedService<Channel, Bearer>;

/// A connection that is made when it is first used, and again when it broke.
///
/// # Panics
///
/// When `address` is no URL.
#[must_use]
pub fn channel(address: &str) -> Channel {
    endpoint(address).connect_lazy()
}

/// As [`channel`], before it is connected.
///
/// # Panics
///
/// When `address` is no URL.
#[must_use]
pub fn endpoint(address: &str) -> Endpoint {
    Endpoint::from_shared(address.to_owned())
        .unwrap()
        .connect_timeout(Duration::from_secs(5))
        .tcp_nodelay(true)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
}

/// Encodes a message that is known at run time alone, and leaves the answer as it is.
#[derive(Clone, Copy, Debug, Default)]
struct Undecoded;

impl Codec for Undecoded {
    type Encode = DynamicMessage;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Undecoded {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: DynamicMessage, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(into).unwrap();
        Ok(())
    }
}

impl Decoder for Undecoded {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = from.remaining();
        Ok(Some(from.copy_to_bytes(length)))
    }
}

/// Puts `authorization: Bearer …` on each call.
#[derive(Clone, Debug)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    /// With this credential.
    ///
    /// # Panics
    ///
    /// When it is no ASCII text.
    #[must_use]
    pub fn new(credential: &str) -> Self {
        Self(Some(format!("Bearer {credential}").parse().unwrap()))
    }

    /// Without any.
    #[must_use]
    pub const fn anonymous() -> Self {
        Self(None)
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// Whoever calls with one credential at one address.
#[derive(Clone, Debug)]
pub struct Caller {
    address: String,
    service: Authenticated,
    channel: Channel,
    bearer: Bearer,
}

impl Caller {
    /// Calls `address` (such as `http://127.0.0.1:4000`) with `credential`.
    #[must_use]
    pub fn new(address: &str, credential: &str) -> Self {
        Self::with_bearer(address, Bearer::new(credential))
    }

    /// Calls `address` without a credential.
    #[must_use]
    pub fn anonymous(address: &str) -> Self {
        Self::with_bearer(address, Bearer::anonymous())
    }

    fn with_bearer(address: &str, bearer: Bearer) -> Self {
        let channel = channel(address);
        Self {
            address: address.to_owned(),
            service: InterceptedService::new(channel.clone(), bearer.clone()),
            channel,
            bearer,
        }
    }

    /// Whom it calls.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The connection and the credential, for calls by method name.
    #[must_use]
    pub fn raw(&self) -> (Channel, Bearer) {
        (self.channel.clone(), self.bearer.clone())
    }

    /// Calls a method, given as `/package.Service/Method`; gives the answer undecoded.
    ///
    /// # Errors
    ///
    /// What the call was refused with.
    pub async fn call(&self, path: &str, request: DynamicMessage) -> Result<Bytes, Status> {
        let mut client = tonic::client::Grpc::new(self.service.clone());
        client
            .ready()
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let path = path.parse().unwrap();
        let response = client.unary(Request::new(request), path, Undecoded).await?;
        Ok(response.into_inner())
    }

    /// Projects.
    #[must_use]
    pub fn projects(&self) -> ProjectServiceClient<Authenticated> {
        ProjectServiceClient::new(self.service.clone())
    }

    /// Environments.
    #[must_use]
    pub fn environments(&self) -> EnvironmentServiceClient<Authenticated> {
        EnvironmentServiceClient::new(self.service.clone())
    }

    /// Flags.
    #[must_use]
    pub fn flags(&self) -> FlagServiceClient<Authenticated> {
        FlagServiceClient::new(self.service.clone())
    }

    /// Segments.
    #[must_use]
    pub fn segments(&self) -> SegmentServiceClient<Authenticated> {
        SegmentServiceClient::new(self.service.clone())
    }

    /// API keys.
    #[must_use]
    pub fn api_keys(&self) -> ApiKeyServiceClient<Authenticated> {
        ApiKeyServiceClient::new(self.service.clone())
    }

    /// Their organization.
    #[must_use]
    pub fn organizations(&self) -> OrganizationServiceClient<Authenticated> {
        OrganizationServiceClient::new(self.service.clone())
    }

    /// Whoever they are themselves.
    #[must_use]
    pub fn auth(&self) -> AuthServiceClient<Authenticated> {
        AuthServiceClient::new(self.service.clone())
    }

    /// Roles, and who has which.
    #[must_use]
    pub fn members(&self) -> MemberServiceClient<Authenticated> {
        MemberServiceClient::new(self.service.clone())
    }

    /// Identity providers.
    #[must_use]
    pub fn identity_providers(&self) -> IdentityProviderServiceClient<Authenticated> {
        IdentityProviderServiceClient::new(self.service.clone())
    }

    /// Service accounts.
    #[must_use]
    pub fn service_accounts(&self) -> ServiceAccountServiceClient<Authenticated> {
        ServiceAccountServiceClient::new(self.service.clone())
    }

    /// Personal tokens.
    #[must_use]
    pub fn personal_tokens(&self) -> PersonalTokenServiceClient<Authenticated> {
        PersonalTokenServiceClient::new(self.service.clone())
    }

    /// The audit log.
    #[must_use]
    pub fn audit(&self) -> AuditServiceClient<Authenticated> {
        AuditServiceClient::new(self.service.clone())
    }

    /// Rulesets.
    #[must_use]
    pub fn sync(&self) -> SyncServiceClient<Authenticated> {
        SyncServiceClient::new(self.service.clone())
    }

    /// What relays tell.
    #[must_use]
    pub fn telemetry(&self) -> TelemetryServiceClient<Authenticated> {
        TelemetryServiceClient::new(self.service.clone())
    }

    /// Evaluations.
    #[must_use]
    pub fn evaluation(&self) -> EvaluationServiceClient<Authenticated> {
        EvaluationServiceClient::new(self.service.clone())
    }

    /// Evaluates one flag.
    ///
    /// # Errors
    ///
    /// What the call was refused with.
    pub async fn evaluate(
        &self,
        flag_key: &str,
        context: EvaluationContext,
    ) -> Result<Evaluation, Status> {
        let request = EvaluateRequest {
            flag_key: flag_key.to_owned(),
            context: Some(context),
            ..EvaluateRequest::default()
        };
        self.evaluate_with(request).await
    }

    /// Evaluates one flag for Alice, who has no attributes.
    ///
    /// # Errors
    ///
    /// What the call was refused with.
    pub async fn evaluate_for_alice(&self, flag_key: &str) -> Result<Evaluation, Status> {
        self.evaluate(flag_key, context("alice", &[])).await
    }

    /// Evaluates as `request` says.
    ///
    /// # Errors
    ///
    /// What the call was refused with.
    pub async fn evaluate_with(&self, request: EvaluateRequest) -> Result<Evaluation, Status> {
        let response = self.evaluation().evaluate(request).await?;
        Ok(response.into_inner().evaluation.unwrap())
    }

    /// Where the ruleset stands that this key's environment is evaluated with.
    ///
    /// # Errors
    ///
    /// What the call was refused with.
    pub async fn position(&self) -> Result<Position, Status> {
        let response = self
            .evaluation()
            .evaluate_all(EvaluateAllRequest::default())
            .await?;
        Ok(response.into_inner().position.unwrap())
    }
}
