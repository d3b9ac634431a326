//! Sessions as credentials.

use sqlx::PgConnection;

use crate::access::{Principal, Session};
use crate::error::Error;
use crate::members::grants_of;
use crate::names::MemberName;

/// Whose session has this hash, if it has not ended.
pub(super) async fn find(
    connection: &mut PgConnection,
    hash: &[u8; 32],
) -> Result<Option<Principal>, Error> {
    let found = sqlx::query!(
        r#"select s.id as session, s.second_factor, m.id as member, m.person_id, m.organization_id,
                s.identity_id,
                o.require_second_factor
                and s.identity_id is null
                and not (s.second_factor and exists (
                    select from second_factors f
                    where f.person_id = m.person_id and f.confirmed_at is not null))
                    as "lacks_second_factor!"
         from sessions s
         join members m on m.id = s.member_id
         join organizations o on o.id = m.organization_id
         where s.hash = $1
           and not m.deactivated
           and session_is_live(s, o)"#,
        hash.as_slice(),
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(found) = found else {
        return Ok(None);
    };
    let grants = grants_of(connection, found.member).await?;
    let name = MemberName { uid: found.member };
    Ok(Some(Principal {
        organization: found.organization_id,
        actor: name.to_string(),
        subject: Some(name.into()),
        session: Some(Session {
            id: found.session,
            person: found.person_id,
            second_factor: found.second_factor,
            lacks_second_factor: found.lacks_second_factor,
            bound_to: found.identity_id.map(|_| found.organization_id),
        }),
        token: None,
        grants,
    }))
}
