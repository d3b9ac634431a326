//! RevokeInvitation.

use burgee_proto::admin::v1::{RevokeInvitationRequest, RevokeInvitationResponse};

use super::invitation;
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::InvitationName;

#[tonic::async_trait]
impl Mutation for RevokeInvitationRequest {
    mutation_fields!(RevokeInvitationResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<RevokeInvitationResponse, Error> {
        let name = InvitationName::parse("name", &self.name)?;
        let invitation = invitation::read(change, name).await?;
        invitation::revoke(change, &invitation).await?;
        Ok(RevokeInvitationResponse {
            invitation: Some(invitation.show()),
            ..RevokeInvitationResponse::default()
        })
    }
}
