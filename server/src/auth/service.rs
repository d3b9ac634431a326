//! AuthService.

use burgee_proto::admin::v1::auth_service_server::AuthService;
use burgee_proto::admin::v1::{
    AcceptInvitationRequest, AcceptInvitationResponse, BeginOidcSignInRequest,
    BeginOidcSignInResponse, ChangePasswordRequest, ChangePasswordResponse,
    CompleteOidcSignInRequest, CompleteOidcSignInResponse, ConfirmSecondFactorRequest,
    ConfirmSecondFactorResponse, DisableSecondFactorRequest, DisableSecondFactorResponse,
    EnrollSecondFactorRequest, EnrollSecondFactorResponse, ListSessionsRequest,
    ListSessionsResponse, ListSignInOptionsRequest, ListSignInOptionsResponse,
    RegenerateRecoveryCodesRequest, RegenerateRecoveryCodesResponse, ResetPasswordRequest,
    ResetPasswordResponse, RevokeSessionRequest, RevokeSessionResponse, SignInRequest,
    SignInResponse, SignOutRequest, SignOutResponse, SwitchOrganizationRequest,
    SwitchOrganizationResponse, WhoAmIRequest, WhoAmIResponse,
};
use tonic::{Request, Response, Status};

use super::cookie::{Cookie, Jar, flow_secret};
use super::{
    accept_invitation, begin_oidc_sign_in, change_password, complete_oidc_sign_in,
    enroll_second_factor, list_sign_in_options, own_second_factor, own_sessions, reset_password,
    sign_in, switch_organization, who_am_i,
};
use crate::access::{Origin, authorize};
use crate::app::App;
use crate::oidc::Oidc;

/// AuthService, for everything shared.
pub struct Service {
    /// Everything shared.
    pub app: App,
    /// What signing in with identity providers needs.
    pub oidc: Oidc,
}

#[tonic::async_trait]
impl AuthService for Service {
    async fn who_am_i(
        &self,
        request: Request<WhoAmIRequest>,
    ) -> Result<Response<WhoAmIResponse>, Status> {
        let authorized = authorize(&request)?;
        let response = who_am_i::who_am_i(&self.app, &authorized).await?;
        Ok(Response::new(response))
    }

    async fn sign_in(
        &self,
        request: Request<SignInRequest>,
    ) -> Result<Response<SignInResponse>, Status> {
        let origin = origin_of(&request);
        let jar = Jar::of(&request, request.get_ref().set_cookie)?;
        let mut response = sign_in::sign_in(&self.app, &origin, request.into_inner()).await?;
        let cookie = jar.keep(response.session.as_ref(), &mut response.secret)?;
        Ok(cookie.set_on(Response::new(response)))
    }

    async fn accept_invitation(
        &self,
        request: Request<AcceptInvitationRequest>,
    ) -> Result<Response<AcceptInvitationResponse>, Status> {
        let (origin, app) = (origin_of(&request), &self.app);
        let jar = Jar::of(&request, request.get_ref().set_cookie)?;
        let request = request.into_inner();
        let mut response = accept_invitation::accept_invitation(app, &origin, request).await?;
        let cookie = jar.keep(response.session.as_ref(), &mut response.secret)?;
        Ok(cookie.set_on(Response::new(response)))
    }

    async fn reset_password(
        &self,
        request: Request<ResetPasswordRequest>,
    ) -> Result<Response<ResetPasswordResponse>, Status> {
        let (origin, app) = (origin_of(&request), &self.app);
        let request = request.into_inner();
        let response = reset_password::reset_password(app, &origin, request).await?;
        Ok(Response::new(response))
    }

    async fn change_password(
        &self,
        request: Request<ChangePasswordRequest>,
    ) -> Result<Response<ChangePasswordResponse>, Status> {
        let authorized = authorize(&request)?;
        let request = request.into_inner();
        let response = change_password::change_password(&self.app, &authorized, request).await?;
        Ok(Response::new(response))
    }

    async fn switch_organization(
        &self,
        request: Request<SwitchOrganizationRequest>,
    ) -> Result<Response<SwitchOrganizationResponse>, Status> {
        let authorized = authorize(&request)?;
        let jar = Jar::of(&request, request.get_ref().set_cookie)?;
        let (request, app) = (request.into_inner(), &self.app);
        let mut response =
            switch_organization::switch_organization(app, &authorized, request).await?;
        let cookie = jar.keep(response.session.as_ref(), &mut response.secret)?;
        Ok(cookie.set_on(Response::new(response)))
    }

    async fn enroll_second_factor(
        &self,
        request: Request<EnrollSecondFactorRequest>,
    ) -> Result<Response<EnrollSecondFactorResponse>, Status> {
        let authorized = authorize(&request)?;
        let request = request.into_inner();
        let response = enroll_second_factor::enroll(&self.app, &authorized, request).await?;
        Ok(Response::new(response))
    }

    async fn confirm_second_factor(
        &self,
        request: Request<ConfirmSecondFactorRequest>,
    ) -> Result<Response<ConfirmSecondFactorResponse>, Status> {
        let authorized = authorize(&request)?;
        let request = request.into_inner();
        let response = enroll_second_factor::confirm(&self.app, &authorized, request).await?;
        Ok(Response::new(response))
    }

    async fn disable_second_factor(
        &self,
        request: Request<DisableSecondFactorRequest>,
    ) -> Result<Response<DisableSecondFactorResponse>, Status> {
        let authorized = authorize(&request)?;
        let request = request.into_inner();
        let response = own_second_factor::disable(&self.app, &authorized, request).await?;
        Ok(Response::new(response))
    }

    async fn regenerate_recovery_codes(
        &self,
        request: Request<RegenerateRecoveryCodesRequest>,
    ) -> Result<Response<RegenerateRecoveryCodesResponse>, Status> {
        let authorized = authorize(&request)?;
        let (request, app) = (request.into_inner(), &self.app);
        let response =
            own_second_factor::regenerate_recovery_codes(app, &authorized, request).await?;
        Ok(Response::new(response))
    }

    async fn list_sign_in_options(
        &self,
        request: Request<ListSignInOptionsRequest>,
    ) -> Result<Response<ListSignInOptionsResponse>, Status> {
        let request = request.into_inner();
        let response = list_sign_in_options::list_sign_in_options(&self.app, request).await?;
        Ok(Response::new(response))
    }

    async fn begin_oidc_sign_in(
        &self,
        request: Request<BeginOidcSignInRequest>,
    ) -> Result<Response<BeginOidcSignInResponse>, Status> {
        let (origin, app) = (origin_of(&request), &self.app);
        let jar = Jar::of(&request, request.get_ref().set_cookie)?;
        let (request, oidc) = (request.into_inner(), &self.oidc);
        let mut response =
            begin_oidc_sign_in::begin_oidc_sign_in(app, oidc, &origin, request).await?;
        let cookie = jar.keep_flow(&mut response.flow_secret)?;
        Ok(cookie.set_on(Response::new(response)))
    }

    async fn complete_oidc_sign_in(
        &self,
        request: Request<CompleteOidcSignInRequest>,
    ) -> Result<Response<CompleteOidcSignInResponse>, Status> {
        let (origin, app) = (origin_of(&request), &self.app);
        let jar = Jar::of(&request, request.get_ref().set_cookie)?;
        let (flow, used) = flow_secret(&request)?;
        let request = CompleteOidcSignInRequest {
            flow_secret: flow,
            ..request.into_inner()
        };
        let oidc = &self.oidc;
        let mut response =
            complete_oidc_sign_in::complete_oidc_sign_in(app, oidc, &origin, request).await?;
        let cookie = jar.keep(response.session.as_ref(), &mut response.secret)?;
        Ok(cookie.and(used).set_on(Response::new(response)))
    }

    async fn sign_out(
        &self,
        request: Request<SignOutRequest>,
    ) -> Result<Response<SignOutResponse>, Status> {
        let authorized = authorize(&request)?;
        let response = own_sessions::sign_out(&self.app, &authorized).await?;
        Ok(Cookie::forgotten(&request)?.set_on(Response::new(response)))
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let authorized = authorize(&request)?;
        let response = own_sessions::list_sessions(&self.app, &authorized).await?;
        Ok(Response::new(response))
    }

    async fn revoke_session(
        &self,
        request: Request<RevokeSessionRequest>,
    ) -> Result<Response<RevokeSessionResponse>, Status> {
        let authorized = authorize(&request)?;
        let request = request.into_inner();
        let response = own_sessions::revoke_session(&self.app, &authorized, request).await?;
        Ok(Response::new(response))
    }
}

/// From where somebody calls who is not known yet, as the authentication layer found it.
fn origin_of<T>(request: &Request<T>) -> Origin {
    let origin = request.extensions().get::<Origin>();
    origin.cloned().unwrap_or_default()
}
