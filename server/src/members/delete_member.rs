//! DeleteMember: for good, with all that is known of the person.

use burgee_proto::admin::v1::{DeleteMemberRequest, DeleteMemberResponse};
use burgee_proto::types::v1::ErrorReason;

use super::{demand_cover_of, member};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::MemberName;

#[tonic::async_trait]
impl Mutation for DeleteMemberRequest {
    mutation_fields!(DeleteMemberResponse, etag);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<DeleteMemberResponse, Error> {
        let name = MemberName::parse("name", &self.name)?;
        let organization = change.authorized.organization();
        let stored = member::find(change.connection(), organization, name).await?;
        demand_cover_of(change, &name.into()).await?;
        stored.demand_etag(name, &change.common.etag)?;
        if !stored.message.deactivated {
            let description = "the member is let in; deactivate them first";
            let reason = ErrorReason::MemberActive;
            return Err(Error::precondition(reason, name, description));
        }
        delete(change, name, &stored.message.email).await?;
        member::record(change, Some(&stored), None)?;
        Ok(DeleteMemberResponse {
            member: Some(member::show(&stored)),
            ..DeleteMemberResponse::default()
        })
    }
}

/// Deletes the member, with all that lets them in; the person, unless another organization has
/// them; and what invited them.
async fn delete(change: &mut Change, name: MemberName, email: &str) -> Result<(), Error> {
    let organization = change.authorized.organization();
    // Locked first, as by whoever begins a session; and another organization may be about to let
    // them in.
    let person = sqlx::query_scalar!(
        "select p.id from people p join members m on m.person_id = p.id
         where m.id = $1 for update of p",
        name.uid,
    )
    .fetch_one(change.connection())
    .await?;
    sqlx::query!("delete from members where id = $1", name.uid)
        .execute(change.connection())
        .await?;
    sqlx::query!(
        "delete from people p
         where id = $1 and not exists (select from members m where m.person_id = p.id)",
        person,
    )
    .execute(change.connection())
    .await?;
    sqlx::query!(
        "delete from invitations where organization_id = $1 and email = $2",
        organization,
        email,
    )
    .execute(change.connection())
    .await?;
    Ok(())
}
