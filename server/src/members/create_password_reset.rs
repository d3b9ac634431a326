//! CreatePasswordReset: a link for whoever forgot their password.

use burgee_hub::credential::{self, Kind};
use burgee_proto::admin::v1::{CreatePasswordResetRequest, CreatePasswordResetResponse};
use burgee_proto::types::v1::ErrorReason;
use serde_json::json;
use time::Duration;
use uuid::Uuid;

use super::{demand_cover_of, member, refuse_elsewhere};
use crate::change::commit::AuditEntry;
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::credentials::conceal_secret;
use crate::error::Error;
use crate::names::MemberName;
use crate::random;
use crate::stored::timestamp;

/// How long the link can be used.
const LIFETIME: Duration = Duration::hours(24);
/// Whoever has the link could sign in wherever the person can.
const ELSEWHERE: &str = "they belong to another organization too, which the password opens as \
                         well; they must change it themselves";

#[tonic::async_trait]
impl Mutation for CreatePasswordResetRequest {
    mutation_fields!(CreatePasswordResetResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<CreatePasswordResetResponse, Error> {
        let name = MemberName::parse("name", &self.name)?;
        let organization = change.authorized.organization();
        let stored = member::find(change.connection(), organization, name).await?;
        demand_cover_of(change, &name.into()).await?;
        if stored.message.managed {
            let description = "an identity provider brought them: they have no password to set";
            let reason = ErrorReason::MemberManaged;
            return Err(Error::precondition(reason, name, description));
        }
        refuse_elsewhere(change, name, ELSEWHERE).await?;
        let secret = credential::generate(Kind::Link, random::bytes()?);
        let hash = secret.hash();
        let (now, actor) = (change.now(), change.actor().to_owned());
        sqlx::query!(
            "insert into password_resets (id, member_id, hash, created_at, created_by, expires_at)
             values ($1, $2, $3, $4, $5, $6)",
            Uuid::now_v7(),
            stored.id,
            hash.as_slice(),
            now,
            actor,
            now + LIFETIME,
        )
        .execute(change.connection())
        .await?;
        change.record_audit(AuditEntry {
            resource: name.to_string(),
            part: "password".to_owned(),
            detail: Some(json!({"reset": "link"}).to_string()),
            ..AuditEntry::default()
        });
        Ok(CreatePasswordResetResponse {
            member: Some(member::show(&stored)),
            secret: change.shown(&secret),
            expire_time: Some(timestamp(now + LIFETIME)),
            ..CreatePasswordResetResponse::default()
        })
    }

    conceal_secret!(CreatePasswordResetResponse);
}
