//! Sessions as credentials.

use sqlx::PgPool;

use crate::access::{Principal, Session};
use crate::error::Error;
use crate::members::{BindingPlace, HeldRole, grants_of};
use crate::names::MemberName;

/// Whose session has this hash, if it has not ended.
pub(super) async fn look_up(pool: &PgPool, hash: &[u8; 32]) -> Result<Option<Principal>, Error> {
    // One row for each role that the member has, and at least one.
    let rows = sqlx::query!(
        r#"select s.id as session, m.id as member, m.person_id, m.organization_id,
                  b.role as "role?", r.permissions as "permissions?",
                  p.key as "project?", e.key as "environment?"
           from sessions s
           join members m on m.id = s.member_id
           join organizations o on o.id = m.organization_id
           left join role_bindings b on b.member_id = m.id
           left join roles r on r.organization_id = m.organization_id and r.key = b.role
           left join environments e on e.id = b.environment_id
           left join projects p on p.id = coalesce(b.project_id, e.project_id)
           where s.hash = $1
             and not m.deactivated
             and session_is_live(s, o)"#,
        hash.as_slice(),
    )
    .fetch_all(pool)
    .await?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let held = rows.iter().map(|row| HeldRole {
        role: row.role.clone(),
        permissions: row.permissions.clone(),
        place: BindingPlace {
            project: row.project.clone(),
            environment: row.environment.clone(),
        },
    });
    let grants = grants_of(held);
    let name = MemberName { uid: first.member };
    Ok(Some(Principal {
        organization: first.organization_id,
        actor: name.to_string(),
        subject: Some(name.into()),
        session: Some(Session {
            id: first.session,
            person: first.person_id,
        }),
        grants,
    }))
}
