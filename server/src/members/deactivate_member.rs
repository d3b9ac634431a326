//! DeactivateMember and ReactivateMember.

use burgee_proto::admin::v1::{
    DeactivateMemberRequest, DeactivateMemberResponse, Member, ReactivateMemberRequest,
    ReactivateMemberResponse,
};

use super::{Binding, demand_cover_of, invitation, keep_an_owner, member};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::MemberName;
use crate::stored::Stored;

#[tonic::async_trait]
impl Mutation for DeactivateMemberRequest {
    mutation_fields!(DeactivateMemberResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<DeactivateMemberResponse, Error> {
        let (name, stored, held) = find(change, &self.name).await?;
        let member = Member {
            deactivated: true,
            ..stored.message.clone()
        };
        let after = member::update(change, stored, member).await?;
        keep_an_owner(change, name, &held).await?;
        // Nothing that let them in does so if they are let in again.
        sqlx::query!(
            "update sessions set ended_at = clock_timestamp()
             where member_id = $1 and ended_at is null",
            after.id,
        )
        .execute(change.connection())
        .await?;
        sqlx::query!(
            "update tokens set revoked_at = clock_timestamp()
             where member_id = $1 and revoked_at is null",
            after.id,
        )
        .execute(change.connection())
        .await?;
        sqlx::query!(
            "update password_resets set ended_at = clock_timestamp()
             where (member_id = $1 or created_by = $2) and ended_at is null",
            after.id,
            name.to_string(),
        )
        .execute(change.connection())
        .await?;
        invitation::revoke_of(change, name, &after.message.email).await?;
        Ok(DeactivateMemberResponse {
            member: Some(member::show(&after)),
            ..DeactivateMemberResponse::default()
        })
    }
}

#[tonic::async_trait]
impl Mutation for ReactivateMemberRequest {
    mutation_fields!(ReactivateMemberResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<ReactivateMemberResponse, Error> {
        let (_, stored, _) = find(change, &self.name).await?;
        let member = Member {
            deactivated: false,
            ..stored.message.clone()
        };
        let after = member::update(change, stored, member).await?;
        Ok(ReactivateMemberResponse {
            member: Some(member::show(&after)),
            ..ReactivateMemberResponse::default()
        })
    }
}

/// Finds a member who may do no more than the caller, and the roles that they have.
async fn find(
    change: &mut Change,
    name: &str,
) -> Result<(MemberName, Stored<Member>, Vec<Binding>), Error> {
    let name = MemberName::parse("name", name)?;
    let organization = change.authorized.organization();
    let stored = member::find(change.connection(), organization, name).await?;
    let held = demand_cover_of(change, &name.into()).await?;
    Ok((name, stored, held))
}
