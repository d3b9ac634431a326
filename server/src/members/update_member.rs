//! UpdateMember.

use burgee_proto::admin::v1::{UpdateMemberRequest, UpdateMemberResponse};

use super::{demand_cover_of, member};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::MemberName;
use crate::texts::Violations;

const CHANGEABLE: &[&str] = &["display_name"];

#[tonic::async_trait]
impl Mutation for UpdateMemberRequest {
    mutation_fields!(UpdateMemberResponse, etag in member);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<UpdateMemberResponse, Error> {
        let update = self.member.clone().unwrap_or_default();
        let name = MemberName::parse("member.name", &update.name)?;
        let organization = change.authorized.organization();
        let stored = member::find(change.connection(), organization, name).await?;
        demand_cover_of(change, &name.into()).await?;
        stored.demand_etag(name, &change.common.etag)?;
        let mask = self.update_mask.as_ref();
        let descriptors = &change.app.descriptors;
        let merged = descriptors.merge(&stored.message, &update, mask, CHANGEABLE)?;
        let mut violations = Violations::default();
        violations.display_name("member.display_name", &merged.display_name);
        violations.finish()?;
        let after = member::update(change, stored, merged).await?;
        Ok(UpdateMemberResponse {
            member: Some(member::show(&after)),
            ..UpdateMemberResponse::default()
        })
    }
}
