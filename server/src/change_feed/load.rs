//! Reads heads and items, each in one statement: one state of the database.

use std::sync::Arc;
use std::time::SystemTime;

use burgee_hub::{EnvironmentDelta, EnvironmentLoad, Tombstone};
use burgee_proto::sync::v1::Item;
use burgee_proto::types::v1::Position;
use sqlx::PgPool;
use sqlx::types::Uuid;

use super::SeenHead;
use crate::error::Error;

/// What was found.
pub(super) enum Read {
    /// There is no such environment.
    Gone,
    /// Everything.
    Whole(EnvironmentLoad),
    /// What is new since the position that was asked for.
    Delta(EnvironmentDelta),
}

/// Reads where environments stand.
pub(super) async fn heads(pool: &PgPool, environments: &[Uuid]) -> Result<Vec<SeenHead>, Error> {
    let rows = sqlx::query!(
        r#"select w.id as "id!", h.revision as "revision?", d.epoch
           from unnest($1::uuid[]) as w(id)
           cross join deployment d
           left join environment_heads h on h.environment_id = w.id"#,
        environments,
    )
    .fetch_all(pool)
    .await?;
    let heads = rows.into_iter().map(|row| SeenHead {
        environment: row.id.to_string(),
        position: row.revision.map(|revision| position(row.epoch, revision)),
    });
    Ok(heads.collect())
}

/// Reads what is new since `held`, or everything where that is not known any
/// more.
pub(super) async fn read(
    pool: &PgPool,
    environment: Uuid,
    held: Option<Position>,
) -> Result<Read, Error> {
    let since = held.map_or(0, |held| held.revision.cast_signed());
    let epoch = held.map_or(0, |held| held.epoch.cast_signed());
    // Below the floor, or of another epoch: everything, in the same statement.
    let rows = sqlx::query!(
        r#"select h.revision, h.floor, h.committed_at, d.epoch,
                  (d.epoch <> $3 or h.floor > $2) as "whole!",
                  i.kind as "kind?", i.key as "key?", i.revision as "item_revision?",
                  i.level as "level?", i.body as "body?"
           from environment_heads h
           cross join deployment d
           left join environment_items i
               on i.environment_id = h.environment_id
               and (i.revision > $2 or d.epoch <> $3 or h.floor > $2)
           where h.environment_id = $1"#,
        environment,
        since,
        epoch,
    )
    .fetch_all(pool)
    .await?;
    let Some(head) = rows.first() else {
        return Ok(Read::Gone);
    };
    let position = position(head.epoch, head.revision);
    let floor = head.floor.cast_unsigned();
    let committed_at = Some(SystemTime::from(head.committed_at));
    let whole = head.whole;
    let (mut items, mut tombstones) = (Vec::new(), Vec::new());
    for row in rows {
        let (Some(kind), Some(key), Some(revision), Some(level)) =
            (row.kind, row.key, row.item_revision, row.level)
        else {
            continue; // Nothing but the head.
        };
        let (kind, revision) = (i32::from(kind), revision.cast_unsigned());
        match row.body {
            Some(body) => items.push(Arc::new(Item {
                kind,
                key,
                revision,
                level: u32::try_from(level).map_err(Error::internal)?,
                body: body.into(),
            })),
            None => tombstones.push(Tombstone {
                kind,
                key,
                revision,
            }),
        }
    }
    let environment = environment.to_string();
    Ok(match held {
        Some(from) if !whole => Read::Delta(EnvironmentDelta {
            environment,
            from,
            position,
            upserted: items,
            removed: tombstones,
            committed_at,
        }),
        _ => Read::Whole(EnvironmentLoad {
            environment,
            position,
            floor,
            items,
            tombstones,
            committed_at,
        }),
    })
}

fn position(epoch: i64, revision: i64) -> Position {
    Position {
        epoch: epoch.cast_unsigned(),
        revision: revision.cast_unsigned(),
    }
}
