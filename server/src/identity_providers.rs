//! Identity providers, with which an organization's members sign in, and whom they know.
//!
//! Changed through [`Change`] under the organization's lock, as all that says who may do what.
//! How somebody signs in with one is told in [`crate::oidc`]; what their sign-in changes, in
//! [`crate::members::arrival`].

pub mod create_identity_provider;
pub mod delete_identity;
pub mod delete_identity_provider;
pub mod list_identities;
pub mod list_identity_providers;
mod rules;
mod secret;
pub mod service;
pub mod update_identity_provider;

use burgee_proto::admin::v1::IdentityProvider;
use burgee_proto::types::v1::ErrorReason;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::access::Grants;
use crate::change::Change;
use crate::change::commit::AuditEntry;
use crate::error::Error;
use crate::members::mapped_roles::Mapper;
use crate::names::{IdentityProviderName, RoleName};
use crate::stored::{Row, Stored, timestamp};

pub use secret::{CLIENT_SECRET, open};

/// Which provider to read.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// The one of this name.
    Named(&'a IdentityProviderName),
    /// The one of this uid.
    Uid(Uuid),
}

/// Finds a provider of an organization.
///
/// # Errors
/// Those of the database.
pub async fn find(
    connection: &mut PgConnection,
    organization: Uuid,
    which: Which<'_>,
) -> Result<Option<Stored<IdentityProvider>>, Error> {
    let (key, uid) = match which {
        Which::Named(name) => (Some(&name.provider), None),
        Which::Uid(uid) => (None, Some(uid)),
    };
    let row = sqlx::query_as!(
        Row,
        "select id, version, body, changed_by, created_at, updated_at
         from identity_providers
         where organization_id = $1 and ($2::text is null or key = $2)
           and ($3::uuid is null or id = $3)",
        organization,
        key,
        uid,
    )
    .fetch_optional(connection)
    .await?;
    row.map(Row::decode).transpose()
}

/// The name of a provider.
#[must_use]
pub fn name_of(provider: &IdentityProvider) -> IdentityProviderName {
    IdentityProviderName {
        provider: provider.key.clone(),
    }
}

/// Who gives roles, as bindings know it.
#[must_use]
pub fn mapper(provider: &Stored<IdentityProvider>) -> Mapper {
    Mapper {
        id: provider.id,
        name: name_of(&provider.message),
    }
}

/// Reads a provider of the caller's organization, under its lock.
async fn read(
    change: &mut Change,
    name: &IdentityProviderName,
) -> Result<Stored<IdentityProvider>, Error> {
    let organization = change.authorized.organization();
    let found = find(change.connection(), organization, Which::Named(name)).await?;
    found.ok_or_else(|| Error::not_found(name))
}

/// Whoever sets up a provider decides who gets in, and as whom: with less than everything they
/// could gain what others have.
fn demand_everything(change: &Change) -> Result<(), Error> {
    change.authorized.demand_cover(&Grants::everything())
}

/// A stored provider as answers show it.
fn show(stored: &Stored<IdentityProvider>) -> IdentityProvider {
    IdentityProvider {
        name: name_of(&stored.message).to_string(),
        uid: stored.id.to_string(),
        etag: stored.etag(),
        create_time: Some(timestamp(stored.created_at)),
        update_time: Some(timestamp(stored.updated_at)),
        ..stored.message.clone()
    }
}

/// Refuses to do away with a role that the groups of a provider give.
///
/// # Errors
/// [`ErrorReason::RoleInUse`].
pub async fn refuse_mapped(change: &mut Change, role: &RoleName) -> Result<(), Error> {
    let organization = change.authorized.organization();
    let rows = sqlx::query_as!(
        Row,
        "select id, version, body, changed_by, created_at, updated_at
         from identity_providers where organization_id = $1 order by key",
        organization,
    )
    .fetch_all(change.connection())
    .await?;
    let name = role.to_string();
    for row in rows {
        let provider: IdentityProvider = row.decode()?.message;
        if provider.role_mappings.iter().any(|it| it.role == name) {
            let provider = name_of(&provider);
            let description = format!("a group of {provider} gives the role; change that first");
            let reason = ErrorReason::RoleInUse;
            return Err(Error::precondition(reason, role, description));
        }
    }
    Ok(())
}

/// Ends the sessions that were made with a provider.
async fn end_sessions(change: &mut Change, provider: Uuid) -> Result<(), Error> {
    sqlx::query!(
        "update sessions s set ended_at = clock_timestamp()
         from identities i
         where i.identity_provider_id = $1 and s.identity_id = i.id and s.ended_at is null",
        provider,
    )
    .execute(change.connection())
    .await?;
    Ok(())
}

/// Tells the audit log of a provider. Its secret is in no message; that it was changed is told.
fn record(
    change: &mut Change,
    (before, after): (Option<&IdentityProvider>, Option<&IdentityProvider>),
    secret_changed: bool,
) -> Result<(), Error> {
    let descriptors = change.app.descriptors.clone();
    let json = |provider: &IdentityProvider| descriptors.json(provider);
    let name = before.or(after).map(|it| name_of(it).to_string());
    change.record_audit(AuditEntry {
        resource: name.unwrap_or_default(),
        part: "identityProvider".to_owned(),
        before: before.map(json).transpose()?,
        after: after.map(json).transpose()?,
        detail: secret_changed.then(|| json!({"clientSecret": "changed"}).to_string()),
        ..AuditEntry::default()
    });
    Ok(())
}
