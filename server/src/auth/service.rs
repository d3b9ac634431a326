//! AuthService.

use burgee_proto::admin::v1::auth_service_server::AuthService;
use burgee_proto::admin::v1::{ScopePermissions, WhoAmIRequest, WhoAmIResponse};
use tonic::{Request, Response, Status};

use crate::access::{Authorized, authorize};
use crate::app::App;
use crate::error::Error;
use crate::members::{Binding, Wanted, bindings};

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
        account: Some(&principal.account),
        ..Wanted::default()
    };
    let held = bindings(&mut connection, principal.organization, wanted).await?;
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
    })
}
