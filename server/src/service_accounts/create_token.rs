//! CreateServiceAccountToken.

use burgee_proto::admin::v1::{
    CreateServiceAccountTokenRequest, CreateServiceAccountTokenResponse,
};

use super::{demand_cover, read};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::credentials::conceal_secret;
use crate::error::Error;
use crate::members::Subject;
use crate::names::ServiceAccountName;
use crate::stored::time_of;
use crate::texts::Violations;
use crate::tokens::{self, NewToken, Scopes};

#[tonic::async_trait]
impl Mutation for CreateServiceAccountTokenRequest {
    mutation_fields!(CreateServiceAccountTokenResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<CreateServiceAccountTokenResponse, Error> {
        const FIELD: &str = "service_account_token";
        let name = ServiceAccountName::parse("parent", &self.parent)?;
        let given = self.service_account_token.clone().unwrap_or_default();
        let mut violations = Violations::default();
        violations.display_name(format!("{FIELD}.display_name"), &given.display_name);
        violations.finish()?;
        let field = format!("{FIELD}.expire_time");
        let end = given.expire_time.as_ref();
        let end = end.map(|end| time_of(&field, end)).transpose()?;
        if end.is_some_and(|end| end <= change.now()) {
            return Err(Error::invalid(field, "give a time to come"));
        }
        let account = read(change, &name).await?;
        demand_cover(change, &name).await?;
        let scopes = match &given.scopes {
            Some(scopes) => Some(Scopes::find(change, &format!("{FIELD}.scopes"), scopes).await?),
            None => None,
        };
        let new = NewToken {
            display_name: given.display_name,
            expires_at: end,
            scopes,
        };
        let owner = Subject {
            id: account.id,
            active: !account.message.disabled,
        };
        let (token, secret) = tokens::make(change, (owner, name.into()), new).await?;
        Ok(CreateServiceAccountTokenResponse {
            service_account_token: Some(token.show()),
            secret: change.shown(&secret),
            ..CreateServiceAccountTokenResponse::default()
        })
    }

    conceal_secret!(CreateServiceAccountTokenResponse);
}
