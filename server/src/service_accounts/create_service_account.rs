//! CreateServiceAccount.

use burgee_proto::admin::v1::{
    CreateServiceAccountRequest, CreateServiceAccountResponse, ServiceAccount,
};
use prost::Message as _;

use super::{check, record, show};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names;
use crate::stored::Stored;

#[tonic::async_trait]
impl Mutation for CreateServiceAccountRequest {
    mutation_fields!(CreateServiceAccountResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<CreateServiceAccountResponse, Error> {
        let given = self.service_account.clone();
        let given = given.ok_or_else(|| Error::invalid("service_account", "give the account"))?;
        let account = ServiceAccount {
            key: given.key,
            display_name: given.display_name,
            description: given.description,
            disabled: given.disabled,
            ..ServiceAccount::default()
        };
        names::check_slug("service_account.key", &account.key)?;
        check(&account)?;
        let stored = Stored::new(account, change.actor(), change.now());
        insert(change, &stored).await?;
        record(change, None, Some(&stored.message))?;
        Ok(CreateServiceAccountResponse {
            service_account: Some(show(&stored)),
            ..CreateServiceAccountResponse::default()
        })
    }
}

async fn insert(change: &mut Change, stored: &Stored<ServiceAccount>) -> Result<(), Error> {
    let organization = change.authorized.organization();
    let inserted = sqlx::query!(
        "insert into service_accounts (id, organization_id, key, disabled, version, body,
                                       created_at, updated_at, changed_by)
         values ($1, $2, $3, $4, $5, $6, $7, $7, $8)",
        stored.id,
        organization,
        stored.message.key,
        stored.message.disabled,
        stored.version,
        stored.message.encode_to_vec(),
        stored.created_at,
        stored.changed_by,
    )
    .execute(change.connection())
    .await;
    let name = format!("serviceAccounts/{}", stored.message.key);
    let taken = Error::taken("service_accounts_key", name);
    inserted.map(drop).map_err(taken)
}
