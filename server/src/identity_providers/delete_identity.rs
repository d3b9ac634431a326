//! DeleteIdentity.

use burgee_proto::admin::v1::{DeleteIdentityRequest, DeleteIdentityResponse};
use uuid::Uuid;

use super::list_identities::{Row, Wanted, list, show};
use super::{demand_everything, mapper, read};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::members::mapped_roles;
use crate::names::{IdentityName, MemberName};

#[tonic::async_trait]
impl Mutation for DeleteIdentityRequest {
    mutation_fields!(DeleteIdentityResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<DeleteIdentityResponse, Error> {
        let name = IdentityName::parse("name", &self.name)?;
        let provider = read(change, &name.provider()).await?;
        let identity = find(change, provider.id, &name).await?;
        demand_everything(change)?;
        let member = MemberName {
            uid: identity.member_id,
        };
        mapped_roles::withdraw(change, &mapper(&provider), Some(member), &[]).await?;
        // The sessions that were made with it go with it.
        sqlx::query!("delete from identities where id = $1", identity.id)
            .execute(change.connection())
            .await?;
        let shown = show(&identity, &name.provider());
        // Told of the member, so that what the log holds of a person can be blanked.
        change.record_resource(member, "identity", (Some(&shown), None))?;
        Ok(DeleteIdentityResponse {
            identity: Some(shown),
            ..DeleteIdentityResponse::default()
        })
    }
}

async fn find(change: &mut Change, provider: Uuid, name: &IdentityName) -> Result<Row, Error> {
    let wanted = Wanted {
        id: Some(name.uid),
        after: None,
        rows: 1,
    };
    let mut found = list(change.connection(), provider, wanted).await?;
    found.pop().ok_or_else(|| Error::not_found(name))
}
