//! The contents of a new environment.

use uuid::Uuid;

use crate::change::Change;
use crate::error::Error;

/// Gives every segment of the locked project a content in a new environment: a
/// copy of the one it has in `from`, or an empty one.
///
/// # Errors
/// Those of the database.
pub async fn into_environment(
    change: &mut Change,
    to: Uuid,
    from: Option<Uuid>,
) -> Result<(), Error> {
    let (project, now, actor) = (change.project()?, change.now(), change.actor().to_owned());
    sqlx::query!(
        "insert into segment_configs (environment_id, segment_id, included_count, excluded_count,
                                      version, body, updated_at, changed_by)
         select $1, s.id, coalesce(c.included_count, 0), coalesce(c.excluded_count, 0), 1,
                coalesce(c.body, ''), $4, $5
         from segments s
         left join segment_configs c on c.segment_id = s.id and c.environment_id = $2
         where s.project_id = $3",
        to,
        from,
        project,
        now,
        actor,
    )
    .execute(change.connection())
    .await?;
    sqlx::query!(
        "insert into segment_keys (environment_id, segment_id, excluded, key, part)
         select $1, segment_id, excluded, key, part from segment_keys where environment_id = $2",
        to,
        from,
    )
    .execute(change.connection())
    .await?;
    Ok(())
}
