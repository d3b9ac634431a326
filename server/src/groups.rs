//! Groups: members who have roles together.
//!
//! What a group's bindings give, [`crate::members::held`] counts among what each of its members
//! has. Changed through [`Change`] under the organization's lock, as all that says who may do
//! what.

pub mod create_group;
pub mod delete_group;
pub mod group_members;
pub mod list_groups;
pub mod update_group;

use burgee_proto::admin::v1::Group;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::change::Change;
use crate::error::Error;
use crate::names::GroupName;
use crate::stored::{Row, Stored, timestamp};
use crate::texts::Violations;

/// Finds a group of an organization.
///
/// # Errors
/// Those of the database.
pub async fn find(
    connection: &mut PgConnection,
    organization: Uuid,
    name: &GroupName,
) -> Result<Option<Stored<Group>>, Error> {
    let row = sqlx::query_as!(
        Row,
        "select id, version, body, changed_by, created_at, updated_at
         from groups where organization_id = $1 and key = $2",
        organization,
        name.group,
    )
    .fetch_optional(connection)
    .await?;
    row.map(Row::decode).transpose()
}

/// Reads a group of the caller's organization, under its lock.
async fn read(change: &mut Change, name: &GroupName) -> Result<Stored<Group>, Error> {
    let organization = change.authorized.organization();
    let found = find(change.connection(), organization, name).await?;
    found.ok_or_else(|| Error::not_found(name))
}

fn name_of(group: &Group) -> GroupName {
    GroupName {
        group: group.key.clone(),
    }
}

/// A stored group as answers show it.
fn show(stored: &Stored<Group>) -> Group {
    Group {
        name: name_of(&stored.message).to_string(),
        uid: stored.id.to_string(),
        etag: stored.etag(),
        create_time: Some(timestamp(stored.created_at)),
        update_time: Some(timestamp(stored.updated_at)),
        ..stored.message.clone()
    }
}

fn check(group: &Group) -> Result<(), Error> {
    let mut violations = Violations::default();
    violations.display_name("group.display_name", &group.display_name);
    violations.description("group.description", &group.description);
    violations.finish()
}

/// Tells the audit log of a group.
fn record(change: &mut Change, before: Option<&Group>, after: Option<&Group>) -> Result<(), Error> {
    let key = before.or(after).map(|group| group.key.clone());
    let name = GroupName {
        group: key.unwrap_or_default(),
    };
    change.record_resource(name, "group", (before, after))
}
