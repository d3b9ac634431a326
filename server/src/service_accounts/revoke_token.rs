//! RevokeServiceAccountToken.

use burgee_proto::admin::v1::{
    RevokeServiceAccountTokenRequest, RevokeServiceAccountTokenResponse,
};

use super::{demand_cover, tokens};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::TokenName;

#[tonic::async_trait]
impl Mutation for RevokeServiceAccountTokenRequest {
    mutation_fields!(RevokeServiceAccountTokenResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<RevokeServiceAccountTokenResponse, Error> {
        let name = TokenName::parse("name", &self.name)?;
        let account = name.account();
        let token = tokens::read(change, &name).await?;
        demand_cover(change, &account).await?;
        let mut revoked = token.clone();
        // Ending what has ended is no fault.
        if token.revoked_at.is_none() {
            revoked.revoked_at = Some(change.now());
            sqlx::query!(
                "update service_account_tokens set revoked_at = $2 where id = $1",
                revoked.id,
                revoked.revoked_at,
            )
            .execute(change.connection())
            .await?;
            tokens::record(change, &account, Some(&token), Some(&revoked))?;
        }
        Ok(RevokeServiceAccountTokenResponse {
            service_account_token: Some(revoked.show(&account)),
            ..RevokeServiceAccountTokenResponse::default()
        })
    }
}
