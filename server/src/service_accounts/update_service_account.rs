//! UpdateServiceAccount.

use burgee_proto::admin::v1::{UpdateServiceAccountRequest, UpdateServiceAccountResponse};
use prost::Message as _;

use super::{check, demand_cover, read, record, show};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::members;
use crate::names::ServiceAccountName;
use crate::stored::Stored;

const CHANGEABLE: &[&str] = &["display_name", "description", "disabled"];

#[tonic::async_trait]
impl Mutation for UpdateServiceAccountRequest {
    mutation_fields!(UpdateServiceAccountResponse, etag in service_account);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<UpdateServiceAccountResponse, Error> {
        let update = self.service_account.clone().unwrap_or_default();
        let name = ServiceAccountName::parse("service_account.name", &update.name)?;
        let stored = read(change, &name).await?;
        let held = demand_cover(change, &name).await?;
        stored.demand_etag(&name, &change.common.etag)?;
        let mask = self.update_mask.as_ref();
        let merged = change
            .app
            .descriptors
            .merge(&stored.message, &update, mask, CHANGEABLE)?;
        check(&merged)?;
        let mut after = stored.clone();
        if merged != stored.message {
            after = stored.next(merged, change.actor(), change.now());
            write(change, &after).await?;
            members::keep_an_owner(change, &name, &held).await?;
            record(change, Some(&stored.message), Some(&after.message))?;
        }
        Ok(UpdateServiceAccountResponse {
            service_account: Some(show(&after)),
            ..UpdateServiceAccountResponse::default()
        })
    }
}

async fn write(
    change: &mut Change,
    after: &Stored<burgee_proto::admin::v1::ServiceAccount>,
) -> Result<(), Error> {
    sqlx::query!(
        "update service_accounts
         set disabled = $2, version = $3, body = $4, updated_at = $5, changed_by = $6
         where id = $1",
        after.id,
        after.message.disabled,
        after.version,
        after.message.encode_to_vec(),
        after.updated_at,
        after.changed_by,
    )
    .execute(change.connection())
    .await?;
    Ok(())
}
