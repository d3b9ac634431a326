//! ResetSecondFactor: for whoever lost theirs.

use burgee_proto::admin::v1::{ResetSecondFactorRequest, ResetSecondFactorResponse};
use burgee_proto::types::v1::ErrorReason;
use serde_json::json;

use super::{demand_cover_of, member, refuse_elsewhere};
use crate::change::commit::AuditEntry;
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::MemberName;
use crate::{second_factor, sessions, tokens};

/// Without it a password would open other organizations.
const ELSEWHERE: &str = "they belong to another organization too, which it protects as well; \
                         whoever runs this deployment can reset it";
/// A session that was left open must not do it.
const OWN: &str = "your own is taken away by DisableSecondFactor, with a recovery code if need be";
/// There is nothing to take away.
const NONE: &str = "the member has no second factor";

#[tonic::async_trait]
impl Mutation for ResetSecondFactorRequest {
    mutation_fields!(ResetSecondFactorResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<ResetSecondFactorResponse, Error> {
        let name = MemberName::parse("name", &self.name)?;
        let organization = change.authorized.organization();
        member::find(change.connection(), organization, name).await?;
        demand_cover_of(change, &name.into()).await?;
        if change.actor() == name.to_string() {
            return Err(Error::invalid("name", OWN));
        }
        refuse_elsewhere(change, name, ELSEWHERE).await?;
        let person = sqlx::query_scalar!("select person_id from members where id = $1", name.uid)
            .fetch_one(change.connection())
            .await?;
        if !second_factor::remove(change.connection(), person).await? {
            let reason = ErrorReason::SecondFactorNotSet;
            return Err(Error::precondition(reason, name, NONE));
        }
        sessions::end_all(change.connection(), person, None).await?;
        tokens::end_of_person(change.connection(), person).await?;
        change.record_audit(AuditEntry {
            resource: name.to_string(),
            part: "secondFactor".to_owned(),
            detail: Some(json!({"reset": true}).to_string()),
            ..AuditEntry::default()
        });
        let after = member::find(change.connection(), organization, name).await?;
        Ok(ResetSecondFactorResponse {
            member: Some(member::show(&after)),
            ..ResetSecondFactorResponse::default()
        })
    }
}
