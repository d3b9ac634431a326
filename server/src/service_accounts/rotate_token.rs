//! RotateServiceAccountToken: a successor with a new secret, while the old one still works.

use burgee_proto::admin::v1::{
    RotateServiceAccountTokenRequest, RotateServiceAccountTokenResponse,
};
use burgee_proto::types::v1::ErrorReason;

use super::create_token::{make, shown};
use super::tokens;
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::TokenName;
use crate::stored::overlap;

#[tonic::async_trait]
impl Mutation for RotateServiceAccountTokenRequest {
    mutation_fields!(RotateServiceAccountTokenResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<RotateServiceAccountTokenResponse, Error> {
        let name = TokenName::parse("name", &self.name)?;
        let overlap = overlap(self.overlap)?;
        let account = name.account();
        let old = tokens::read(change, &name).await?;
        if !old.is_live(change.now()) {
            let description = "the token has ended; make a new one";
            return Err(Error::precondition(
                ErrorReason::KeyEnded,
                &name,
                description,
            ));
        }
        // It lives as long as the old one was meant to.
        let lifetime = old.expires_at.map(|end| end - old.created_at);
        let end = lifetime.and_then(|lifetime| change.now().checked_add(lifetime));
        let (new, secret) = make(change, &account, (old.display_name.clone(), end)).await?;
        let last = change.now() + overlap;
        let mut rotated = old.clone();
        rotated.expires_at = Some(old.expires_at.map_or(last, |end| end.min(last)));
        sqlx::query!(
            "update service_account_tokens set expires_at = $2 where id = $1",
            rotated.id,
            rotated.expires_at,
        )
        .execute(change.connection())
        .await?;
        tokens::record(change, &account, Some(&old), Some(&rotated))?;
        Ok(RotateServiceAccountTokenResponse {
            service_account_token: Some(new.show(&account)),
            rotated: Some(rotated.show(&account)),
            secret: shown(change, &secret),
            ..RotateServiceAccountTokenResponse::default()
        })
    }

    fn conceal(response: &mut RotateServiceAccountTokenResponse) {
        response.secret.clear();
        response.secret_already_shown = true;
    }
}
