//! Who can have roles: service accounts, members and groups alike.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Error;
use crate::names::SubjectName;

/// A service account, a member or a group, as far as roles are concerned.
#[derive(Debug, Clone, Copy)]
pub struct Subject {
    /// Its uid.
    pub id: Uuid,
    /// Whether it is let in at all. Of a group its members alone are.
    pub active: bool,
}

/// Finds a subject of an organization.
///
/// # Errors
/// Those of the database.
pub async fn find_subject(
    connection: &mut PgConnection,
    organization: Uuid,
    name: &SubjectName,
) -> Result<Option<Subject>, Error> {
    let found = sqlx::query_as!(
        Subject,
        r#"select id as "id!", active as "active!" from (
               select id, not disabled as active from service_accounts
               where organization_id = $1 and key = $2
               union all
               select id, not deactivated from members
               where organization_id = $1 and id = $3
               union all
               select id, true from groups
               where organization_id = $1 and key = $4
           ) as subjects"#,
        organization,
        name.account(),
        name.member(),
        name.group(),
    )
    .fetch_optional(connection)
    .await?;
    Ok(found)
}
