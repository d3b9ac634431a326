//! RevokePersonalToken and RevokeMemberToken.

use burgee_proto::admin::v1::{
    RevokeMemberTokenRequest, RevokeMemberTokenResponse, RevokePersonalTokenRequest,
    RevokePersonalTokenResponse,
};

use super::own_token;
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::members::demand_cover_of;
use crate::names::TokenName;
use crate::tokens;

#[tonic::async_trait]
impl Mutation for RevokePersonalTokenRequest {
    mutation_fields!(RevokePersonalTokenResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<RevokePersonalTokenResponse, Error> {
        let name = own_token(&change.authorized, &self.name)?;
        let revoked = tokens::revoke(change, &name).await?;
        Ok(RevokePersonalTokenResponse {
            personal_token: Some(revoked.show_personal()),
            ..RevokePersonalTokenResponse::default()
        })
    }
}

#[tonic::async_trait]
impl Mutation for RevokeMemberTokenRequest {
    mutation_fields!(RevokeMemberTokenResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<RevokeMemberTokenResponse, Error> {
        let name = TokenName::parse_of_member("name", &self.name)?;
        demand_cover_of(change, &name.owner).await?;
        let revoked = tokens::revoke(change, &name).await?;
        Ok(RevokeMemberTokenResponse {
            personal_token: Some(revoked.show_personal()),
            ..RevokeMemberTokenResponse::default()
        })
    }
}
