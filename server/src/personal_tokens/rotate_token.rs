//! RotatePersonalToken: a successor with a new secret, while the old one still works.

use burgee_proto::admin::v1::{RotatePersonalTokenRequest, RotatePersonalTokenResponse};

use super::own_token;
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::credentials::{conceal_secret, overlap};
use crate::error::Error;
use crate::tokens;

#[tonic::async_trait]
impl Mutation for RotatePersonalTokenRequest {
    mutation_fields!(RotatePersonalTokenResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<RotatePersonalTokenResponse, Error> {
        let name = own_token(&change.authorized, &self.name)?;
        let overlap = overlap(self.overlap)?;
        let (new, secret, replaced) = tokens::rotate(change, &name, overlap).await?;
        Ok(RotatePersonalTokenResponse {
            personal_token: Some(new.show_personal()),
            replaced: Some(replaced.show_personal()),
            secret: change.shown(&secret),
            ..RotatePersonalTokenResponse::default()
        })
    }

    conceal_secret!(RotatePersonalTokenResponse);
}
