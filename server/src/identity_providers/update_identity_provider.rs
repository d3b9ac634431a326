//! UpdateIdentityProvider.

use burgee_proto::admin::v1::{
    IdentityProvider, UpdateIdentityProviderRequest, UpdateIdentityProviderResponse,
};
use prost::Message as _;

use super::secret::NewSecret;
use super::{demand_everything, end_sessions, mapper, read, record, rules, show};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::members::mapped_roles;
use crate::names::IdentityProviderName;
use crate::stored::Stored;

const CHANGEABLE: &[&str] = &[
    "display_name",
    "issuer",
    "client_id",
    "client_secret",
    "scopes",
    "email_domains",
    "trust_unverified_email",
    "groups_claim",
    "role_mappings",
    "just_in_time",
    "disabled",
];

#[tonic::async_trait]
impl Mutation for UpdateIdentityProviderRequest {
    mutation_fields!(UpdateIdentityProviderResponse, etag in identity_provider);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<UpdateIdentityProviderResponse, Error> {
        let update = self.identity_provider.clone().unwrap_or_default();
        let name = IdentityProviderName::parse("identity_provider.name", &update.name)?;
        let stored = read(change, &name).await?;
        demand_everything(change)?;
        stored.demand_etag(&name, &change.common.etag)?;
        let mask = self.update_mask.as_ref();
        let descriptors = &change.app.descriptors;
        let mut merged = descriptors.merge(&stored.message, &update, mask, CHANGEABLE)?;
        rules::normalize(&mut merged);
        rules::check(&merged, &change.app.outbound)?;
        let secret = NewSecret::take(change, stored.id, &mut merged, mask)?;
        refuse_secret_for_another(&stored.message, &merged, &secret)?;
        let mut after = stored.clone();
        if merged != stored.message || secret.is_changed() {
            rules::check_roles(change, &merged).await?;
            after = stored.next(merged, change.actor(), change.now());
            write(change, &after).await?;
            let secret_changed = secret.is_changed();
            secret.write(change, after.id).await?;
            let parts = (Some(&stored.message), Some(&after.message));
            record(change, parts, secret_changed)?;
            follow(change, &stored.message, &after).await?;
        }
        Ok(UpdateIdentityProviderResponse {
            identity_provider: Some(show(&after)),
            ..UpdateIdentityProviderResponse::default()
        })
    }
}

/// A secret is told to its issuer alone.
fn refuse_secret_for_another(
    before: &IdentityProvider,
    after: &IdentityProvider,
    secret: &NewSecret,
) -> Result<(), Error> {
    let is_moved = before.issuer != after.issuer;
    if is_moved && after.has_client_secret && !secret.is_changed() {
        let description = "give it again: the one that is kept was for the other issuer";
        return Err(Error::invalid(
            "identity_provider.client_secret",
            description,
        ));
    }
    Ok(())
}

/// Takes away what came of what the provider was.
async fn follow(
    change: &mut Change,
    before: &IdentityProvider,
    after: &Stored<IdentityProvider>,
) -> Result<(), Error> {
    let provider = &after.message;
    // Another issuer vouches for nobody whom this one let in.
    let vouches = !provider.disabled && provider.issuer == before.issuer;
    if !vouches {
        end_sessions(change, after.id).await?;
    }
    let staying = match vouches {
        true => provider.role_mappings.as_slice(),
        false => &[],
    };
    mapped_roles::withdraw(change, &mapper(after), None, staying).await
}

async fn write(change: &mut Change, after: &Stored<IdentityProvider>) -> Result<(), Error> {
    sqlx::query!(
        "update identity_providers
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
