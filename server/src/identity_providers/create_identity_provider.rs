//! CreateIdentityProvider.

use burgee_proto::admin::v1::{
    CreateIdentityProviderRequest, CreateIdentityProviderResponse, IdentityProvider,
};
use prost::Message as _;

use super::secret::NewSecret;
use super::{demand_everything, name_of, record, rules, show};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names;
use crate::stored::Stored;

/// The most providers of an organization.
const PROVIDERS_MAX: i64 = 50;

#[tonic::async_trait]
impl Mutation for CreateIdentityProviderRequest {
    mutation_fields!(CreateIdentityProviderResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<CreateIdentityProviderResponse, Error> {
        demand_everything(change)?;
        let given = self.identity_provider.clone();
        let given =
            given.ok_or_else(|| Error::invalid("identity_provider", "give the provider"))?;
        names::check_slug("identity_provider.key", &given.key)?;
        let mut provider = IdentityProvider {
            // What is the server's to say.
            name: String::new(),
            uid: String::new(),
            etag: String::new(),
            has_client_secret: false,
            create_time: None,
            update_time: None,
            ..given
        };
        rules::normalize(&mut provider);
        rules::check(&provider, &change.app.outbound)?;
        rules::check_roles(change, &provider).await?;
        let mut stored = Stored::new(provider, change.actor(), change.now());
        let secret = NewSecret::take(change, stored.id, &mut stored.message, None)?;
        insert(change, &stored).await?;
        let secret_changed = secret.is_changed();
        secret.write(change, stored.id).await?;
        record(change, (None, Some(&stored.message)), secret_changed)?;
        Ok(CreateIdentityProviderResponse {
            identity_provider: Some(show(&stored)),
            ..CreateIdentityProviderResponse::default()
        })
    }
}

async fn insert(change: &mut Change, stored: &Stored<IdentityProvider>) -> Result<(), Error> {
    let organization = change.authorized.organization();
    let inserted = sqlx::query!(
        "insert into identity_providers (id, organization_id, key, disabled, version, body,
                                         created_at, updated_at, changed_by)
         select $1, $2, $3, $4, $5, $6, $7, $7, $8
         where (select count(*) from identity_providers where organization_id = $2) < $9",
        stored.id,
        organization,
        stored.message.key,
        stored.message.disabled,
        stored.version,
        stored.message.encode_to_vec(),
        stored.created_at,
        stored.changed_by,
        PROVIDERS_MAX,
    )
    .execute(change.connection())
    .await;
    let name = name_of(&stored.message);
    let inserted = inserted.map_err(Error::taken("identity_providers_key", &name))?;
    if inserted.rows_affected() == 0 {
        let description =
            format!("the organization has {PROVIDERS_MAX} identity providers; delete one first");
        return Err(Error::limit(
            "identity_providers",
            PROVIDERS_MAX,
            name,
            description,
        ));
    }
    Ok(())
}
