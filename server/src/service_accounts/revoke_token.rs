//! RevokeServiceAccountToken.

use burgee_proto::admin::v1::{
    RevokeServiceAccountTokenRequest, RevokeServiceAccountTokenResponse,
};

use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::members::demand_cover_of;
use crate::names::TokenName;
use crate::tokens;

#[tonic::async_trait]
impl Mutation for RevokeServiceAccountTokenRequest {
    mutation_fields!(RevokeServiceAccountTokenResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<RevokeServiceAccountTokenResponse, Error> {
        let name = TokenName::parse_of_account("name", &self.name)?;
        demand_cover_of(change, &name.owner).await?;
        let revoked = tokens::revoke(change, &name).await?;
        Ok(RevokeServiceAccountTokenResponse {
            service_account_token: Some(revoked.show()),
            ..RevokeServiceAccountTokenResponse::default()
        })
    }
}
