//! RotateServiceAccountToken: a successor with a new secret, while the old one still works.

use burgee_proto::admin::v1::{
    RotateServiceAccountTokenRequest, RotateServiceAccountTokenResponse,
};

use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::credentials::{conceal_secret, overlap};
use crate::error::Error;
use crate::members::demand_cover_of;
use crate::names::TokenName;
use crate::tokens;

#[tonic::async_trait]
impl Mutation for RotateServiceAccountTokenRequest {
    mutation_fields!(RotateServiceAccountTokenResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<RotateServiceAccountTokenResponse, Error> {
        let name = TokenName::parse_of_account("name", &self.name)?;
        let overlap = overlap(self.overlap)?;
        demand_cover_of(change, &name.owner).await?;
        let (new, secret, replaced) = tokens::rotate(change, &name, overlap).await?;
        Ok(RotateServiceAccountTokenResponse {
            service_account_token: Some(new.show()),
            replaced: Some(replaced.show()),
            secret: change.shown(&secret),
            ..RotateServiceAccountTokenResponse::default()
        })
    }

    conceal_secret!(RotateServiceAccountTokenResponse);
}
