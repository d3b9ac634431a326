//! Who can have roles: service accounts and members alike.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Error;
use crate::names::SubjectName;

/// A service account or a member, as far as roles are concerned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject {
    /// The uid of the account or the member.
    pub(super) id: Uuid,
    /// Whether it is let in at all.
    pub(super) active: bool,
}

/// Finds a subject of an organization.
pub(super) async fn find_subject(
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
           ) as subjects"#,
        organization,
        name.account(),
        name.member(),
    )
    .fetch_optional(connection)
    .await?;
    Ok(found)
}
