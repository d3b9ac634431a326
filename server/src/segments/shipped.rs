//! A segment as an environment ships it: one item, and where its lists are
//! long, up to 256 parts. Shipped while a flag that is shipped uses it.

use std::collections::{BTreeMap, BTreeSet};

use burgee_evaluator::Problem;
use burgee_evaluator::limits::SEGMENT_WHOLE_KEYS_MAX;
use burgee_evaluator::normal_form::normalise_segment;
use burgee_proto::admin::v1::{Segment, SegmentConfig};
use burgee_proto::sync::v1::ItemKind;
use burgee_proto::types::v1;
use prost::Message as _;
use uuid::Uuid;

use super::key_count;
use super::keys::{self, List};
use crate::change::Change;
use crate::change::ship::Wanted;
use crate::error::Error;

/// What of a segment has to be looked at.
#[derive(Debug, Default)]
struct Affected {
    /// Every part, else those of `parts`.
    whole: bool,
    parts: BTreeSet<u8>,
}

/// What the segments of a change ship: those that changed, and those whose use
/// may have begun or ended (`used`).
///
/// # Errors
/// Those of the database; [`Error::Internal`] for what should have been refused
/// before.
pub async fn items(
    change: &mut Change,
    used: BTreeSet<(Uuid, String)>,
    wanted: &mut Wanted,
) -> Result<(), Error> {
    for ((environment, key), affected) in affected(change, used) {
        let shipped = read(change, environment, &key).await?;
        match shipped {
            Some((id, segment, config)) => {
                let list = |excluded| List {
                    environment,
                    segment: id,
                    excluded,
                };
                let mut item = normalised(&segment, &config).map_err(Error::internal)?;
                if key_count(&config) <= SEGMENT_WHOLE_KEYS_MAX {
                    item.included = keys::all(change.connection(), list(false)).await?;
                    item.excluded = keys::all(change.connection(), list(true)).await?;
                    withdraw_parts(change, environment, &key, wanted).await?;
                } else {
                    ship_parts(change, list(false), &key, &affected, wanted).await?;
                }
                wanted.insert(
                    (environment, ItemKind::Segment, key),
                    Some(item.encode_to_vec()),
                );
            }
            None => {
                withdraw_parts(change, environment, &key, wanted).await?;
                wanted.insert((environment, ItemKind::Segment, key), None);
            }
        }
    }
    Ok(())
}

fn affected(change: &Change, used: BTreeSet<(Uuid, String)>) -> BTreeMap<(Uuid, String), Affected> {
    let mut all: BTreeMap<(Uuid, String), Affected> = BTreeMap::new();
    for name in used {
        all.entry(name).or_default().whole = true;
    }
    for (key, entry) in &change.segments.0 {
        for (environment, slot) in &entry.configs {
            if !entry.definition.changed() && !slot.changed() {
                continue;
            }
            let affected = all.entry((*environment, key.clone())).or_default();
            let before = slot
                .before
                .as_ref()
                .map_or(0, |stored| key_count(&stored.message));
            affected.whole |= before <= SEGMENT_WHOLE_KEYS_MAX;
            affected
                .parts
                .extend(entry.parts.get(environment).into_iter().flatten());
        }
    }
    all
}

/// A segment that the environment ships. None: no flag that is shipped uses it,
/// or it does not exist.
async fn read(
    change: &mut Change,
    environment: Uuid,
    key: &str,
) -> Result<Option<(Uuid, Segment, SegmentConfig)>, Error> {
    let row = sqlx::query!(
        "select s.id, s.body, c.body as config_body
         from environments e
         join segments s on s.project_id = e.project_id and s.key = $2
         join segment_configs c on c.segment_id = s.id and c.environment_id = e.id
         where e.id = $1 and exists (
             select from flag_configs fc
             join flags f on f.id = fc.flag_id and f.archived_at is null
             where fc.environment_id = $1 and fc.shipped_segments <> '{}' and $2 = any(fc.shipped_segments)
         )",
        environment,
        key,
    )
    .fetch_optional(change.connection())
    .await?;
    row.map(|row| {
        let segment = Segment::decode(row.body.as_slice())?;
        let config = SegmentConfig::decode(row.config_body.as_slice())?;
        Ok((row.id, segment, config))
    })
    .transpose()
}

/// A definition merged with a configuration, without keys.
pub(super) fn merge(segment: &Segment, config: &SegmentConfig) -> v1::Segment {
    v1::Segment {
        key: segment.key.clone(),
        attribute: segment.attribute.clone(),
        condition: config.condition.clone(),
        ..v1::Segment::default()
    }
}

/// The same with its condition in the form that every evaluator reads; one that
/// has none was refused before.
pub(crate) fn normalised(
    segment: &Segment,
    config: &SegmentConfig,
) -> Result<v1::Segment, Problem> {
    let mut shipped = merge(segment, config);
    normalise_segment(&mut shipped)?;
    Ok(shipped)
}

async fn ship_parts(
    change: &mut Change,
    list: List,
    key: &str,
    affected: &Affected,
    wanted: &mut Wanted,
) -> Result<(), Error> {
    let numbers: Vec<i16> = if affected.whole {
        (0..=255).collect()
    } else {
        affected.parts.iter().map(|part| i16::from(*part)).collect()
    };
    let rows = sqlx::query!(
        "select part, excluded, key from segment_keys
         where environment_id = $1 and segment_id = $2 and part = any($3) order by key",
        list.environment,
        list.segment,
        &numbers,
    )
    .fetch_all(change.connection())
    .await?;
    let mut parts: BTreeMap<i16, v1::SegmentPart> = BTreeMap::new();
    for row in rows {
        let part = parts.entry(row.part).or_default();
        let keys = if row.excluded {
            &mut part.excluded
        } else {
            &mut part.included
        };
        keys.push(row.key);
    }
    for number in numbers {
        let name = (
            list.environment,
            ItemKind::SegmentPart,
            format!("{key}/{number:02x}"),
        );
        wanted.insert(name, parts.get(&number).map(prost::Message::encode_to_vec));
    }
    Ok(())
}

/// Takes back the parts that are shipped now.
async fn withdraw_parts(
    change: &mut Change,
    environment: Uuid,
    key: &str,
    wanted: &mut Wanted,
) -> Result<(), Error> {
    // Keys hold no slash: `0` is the character after it.
    let parts = sqlx::query_scalar!(
        "select key from environment_items
         where environment_id = $1 and kind = $2 and body is not null
           and key >= $3 || '/' and key < $3 || '0'",
        environment,
        ItemKind::SegmentPart as i16,
        key,
    )
    .fetch_all(change.connection())
    .await?;
    for part in parts {
        wanted.insert((environment, ItemKind::SegmentPart, part), None);
    }
    Ok(())
}
