//! AuthService.

use burgee_proto::admin::v1::auth_service_server::AuthService;
use burgee_proto::admin::v1::{
    AcceptInvitationRequest, AcceptInvitationResponse, ListSessionsRequest, ListSessionsResponse,
    RevokeSessionRequest, RevokeSessionResponse, ScopePermissions, SignInRequest, SignInResponse,
    SignOutRequest, SignOutResponse, WhoAmIRequest, WhoAmIResponse,
};
use tonic::{Request, Response, Status};

use super::{accept_invitation, own_sessions, sign_in};
use crate::access::{Authorized, Origin, authorize};
use crate::app::App;
use crate::error::Error;
use crate::members::{Binding, Wanted, bindings, member};
use crate::names::SubjectName;

/// AuthService, for everything shared.
pub struct Service {
    /// Everything shared.
    pub app: App,
}

#[tonic::async_trait]
impl AuthService for Service {
    async fn who_am_i(
        &self,
        request: Request<WhoAmIRequest>,
    ) -> Result<Response<WhoAmIResponse>, Status> {
        let authorized = authorize(&request)?;
        Ok(Response::new(who_am_i(&self.app, &authorized).await?))
    }

    async fn sign_in(
        &self,
        request: Request<SignInRequest>,
    ) -> Result<Response<SignInResponse>, Status> {
        let origin = origin_of(&request);
        let response = sign_in::sign_in(&self.app, &origin, request.into_inner()).await?;
        Ok(Response::new(response))
    }

    async fn accept_invitation(
        &self,
        request: Request<AcceptInvitationRequest>,
    ) -> Result<Response<AcceptInvitationResponse>, Status> {
        let (origin, app) = (origin_of(&request), &self.app);
        let request = request.into_inner();
        let response = accept_invitation::accept_invitation(app, &origin, request).await?;
        Ok(Response::new(response))
    }

    async fn sign_out(
        &self,
        request: Request<SignOutRequest>,
    ) -> Result<Response<SignOutResponse>, Status> {
        let authorized = authorize(&request)?;
        let response = own_sessions::sign_out(&self.app, &authorized).await?;
        Ok(Response::new(response))
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

async fn who_am_i(app: &App, authorized: &Authorized) -> Result<WhoAmIResponse, Error> {
    let principal = authorized.principal();
    let mut connection = app.pools.read.acquire().await?;
    let organization = sqlx::query_scalar!(
        "select key from organizations where id = $1",
        principal.organization,
    )
    .fetch_one(&mut *connection)
    .await?;
    let wanted = Wanted {
        subject: principal.subject.as_ref(),
        ..Wanted::default()
    };
    let held = bindings(&mut connection, principal.organization, wanted).await?;
    let member = match principal.subject {
        Some(SubjectName::Member(name)) => {
            let found = member::find(&mut connection, principal.organization, name).await?;
            Some(member::show(&found))
        }
        _ => None,
    };
    let given = principal.grants.given().into_iter();
    let permissions = given.map(|(scope, permissions)| ScopePermissions {
        scope,
        permissions: permissions.iter().map(|it| it.name().to_owned()).collect(),
    });
    Ok(WhoAmIResponse {
        subject: principal.actor.clone(),
        organization,
        role_bindings: held.iter().map(Binding::show).collect(),
        permissions: permissions.collect(),
        member,
    })
}
