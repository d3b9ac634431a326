//! What an organization says of itself, and of the sessions in it. Who belongs to it is told by
//! [`crate::members`]; making one is the operator's, in [`crate::deployment`].

pub mod service;
pub mod update_organization;

use burgee_proto::admin::v1::{GetOrganizationRequest, GetOrganizationResponse, Organization};
use prost_types::Duration;
use sqlx::PgConnection;
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use crate::access::Authorized;
use crate::app::App;
use crate::error::Error;
use crate::names::OrganizationName;
use crate::stored::{Stored, timestamp};

struct Row {
    id: Uuid,
    key: String,
    display_name: String,
    session_idle_seconds: i32,
    session_lifetime_seconds: i32,
    require_second_factor: bool,
    version: i64,
    changed_by: String,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

impl From<Row> for Stored<Organization> {
    fn from(row: Row) -> Self {
        let seconds = |seconds: i32| Duration {
            seconds: seconds.into(),
            nanos: 0,
        };
        Self {
            id: row.id,
            environment: None,
            version: row.version,
            changed_by: row.changed_by,
            created_at: row.created_at,
            updated_at: row.updated_at,
            message: Organization {
                key: row.key,
                display_name: row.display_name,
                session_idle_timeout: Some(seconds(row.session_idle_seconds)),
                session_lifetime: Some(seconds(row.session_lifetime_seconds)),
                require_second_factor: row.require_second_factor,
                ..Organization::default()
            },
        }
    }
}

/// Gives the caller's organization.
///
/// # Errors
/// [`Error::NotFound`] for another one, whether it exists or not.
pub async fn get_organization(
    app: &App,
    authorized: &Authorized,
    request: GetOrganizationRequest,
) -> Result<GetOrganizationResponse, Error> {
    let name = match request.name.as_str() {
        "" => None,
        name => Some(OrganizationName::parse("name", name)?),
    };
    let mut connection = app.pools.read.acquire().await?;
    let stored = read(&mut connection, authorized.organization(), name.as_ref()).await?;
    Ok(GetOrganizationResponse {
        organization: Some(show(&stored)),
    })
}

/// Reads an organization, which must be the one that is named, if one is.
async fn read(
    connection: &mut PgConnection,
    organization: Uuid,
    name: Option<&OrganizationName>,
) -> Result<Stored<Organization>, Error> {
    let row = sqlx::query_as!(
        Row,
        "select id, key, display_name, session_idle_seconds, session_lifetime_seconds,
                require_second_factor, version, changed_by, created_at, updated_at
         from organizations where id = $1",
        organization,
    )
    .fetch_one(connection)
    .await?;
    match name {
        Some(name) if name.organization != row.key => Err(Error::not_found(name)),
        _ => Ok(row.into()),
    }
}

fn name_of(organization: &Organization) -> OrganizationName {
    OrganizationName {
        organization: organization.key.clone(),
    }
}

fn show(stored: &Stored<Organization>) -> Organization {
    Organization {
        name: name_of(&stored.message).to_string(),
        uid: stored.id.to_string(),
        etag: stored.etag(),
        create_time: Some(timestamp(stored.created_at)),
        update_time: Some(timestamp(stored.updated_at)),
        ..stored.message.clone()
    }
}
