//! Service accounts, by which scripts and machines use the control plane, and their tokens.
//!
//! Changed through [`Change`] under the organization's lock, as all that says who may do what.

pub mod create_service_account;
pub mod create_token;
pub mod delete_service_account;
pub mod list_service_accounts;
pub mod revoke_token;
pub mod rotate_token;
pub mod service;
pub mod update_service_account;

use burgee_proto::admin::v1::ServiceAccount;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::change::Change;
use crate::error::Error;
use crate::members;
use crate::names::ServiceAccountName;
use crate::stored::{Row, Stored, timestamp};
use crate::texts::Violations;

/// Finds an account of an organization.
///
/// # Errors
/// Those of the database.
pub async fn find(
    connection: &mut PgConnection,
    organization: Uuid,
    name: &ServiceAccountName,
) -> Result<Option<Stored<ServiceAccount>>, Error> {
    let row = sqlx::query_as!(
        Row,
        "select id, version, body, changed_by, created_at, updated_at
         from service_accounts where organization_id = $1 and key = $2",
        organization,
        name.account,
    )
    .fetch_optional(connection)
    .await?;
    row.map(Row::decode).transpose()
}

/// Reads an account of the caller's organization, under its lock.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn read(
    change: &mut Change,
    name: &ServiceAccountName,
) -> Result<Stored<ServiceAccount>, Error> {
    let organization = change.authorized.organization();
    let found = find(change.connection(), organization, name).await?;
    found.ok_or_else(|| Error::not_found(name))
}

/// Refuses to touch an account that may do more than the caller: with its token one would gain
/// what it has. Gives what it has.
///
/// # Errors
/// [`Error::PermissionDenied`].
pub async fn demand_cover(
    change: &mut Change,
    name: &ServiceAccountName,
) -> Result<Vec<members::Binding>, Error> {
    members::demand_cover_of(change, &name.clone().into()).await
}

/// A stored account as answers show it.
fn show(stored: &Stored<ServiceAccount>) -> ServiceAccount {
    let name = ServiceAccountName {
        account: stored.message.key.clone(),
    };
    ServiceAccount {
        name: name.to_string(),
        uid: stored.id.to_string(),
        etag: stored.etag(),
        create_time: Some(timestamp(stored.created_at)),
        update_time: Some(timestamp(stored.updated_at)),
        ..stored.message.clone()
    }
}

fn check(account: &ServiceAccount) -> Result<(), Error> {
    let mut violations = Violations::default();
    violations.display_name("service_account.display_name", &account.display_name);
    violations.description("service_account.description", &account.description);
    violations.finish()
}

/// Tells the audit log of an account.
fn record(
    change: &mut Change,
    before: Option<&ServiceAccount>,
    after: Option<&ServiceAccount>,
) -> Result<(), Error> {
    let key = before.or(after).map(|account| account.key.clone());
    let name = ServiceAccountName {
        account: key.unwrap_or_default(),
    };
    change.record_resource(name, "serviceAccount", (before, after))
}
