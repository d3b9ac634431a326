//! Telling the audit log of what no change tells of: who signed in, and who could not.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::access::Origin;
use crate::error::Error;

/// Something that happened.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    /// In which organization.
    pub organization: Uuid,
    /// Who did it, or in whose name it was tried.
    pub actor: &'a str,
    /// How: `/package.Service/Method`.
    pub method: &'a str,
    /// What it was about.
    pub resource: &'a str,
    /// Which part of it.
    pub part: &'a str,
    /// From where.
    pub origin: &'a Origin,
    /// It was tried, and refused.
    pub denied: bool,
    /// What else there is to say. Never a secret.
    pub detail: serde_json::Value,
}

/// Adds it to the log.
///
/// # Errors
/// Those of the database.
pub async fn append(connection: &mut PgConnection, event: Event<'_>) -> Result<(), Error> {
    sqlx::query!(
        "insert into audit_entries (organization_id, actor, method, request_id, resource, part,
                                    reason, detail, address, user_agent, denied)
         values ($1, $2, $3, '', $4, $5, '', $6::text::json, $7, $8, $9)",
        event.organization,
        event.actor,
        event.method,
        event.resource,
        event.part,
        event.detail.to_string(),
        event.origin.address_text(),
        &*event.origin.user_agent,
        i32::from(event.denied),
    )
    .execute(connection)
    .await?;
    Ok(())
}
