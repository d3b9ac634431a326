//! Whether a segment's content is sound.

use burgee_evaluator::limits::SEGMENT_WHOLE_KEYS_MAX;
use burgee_proto::types::v1;
use uuid::Uuid;

use super::key_count;
use super::keys::{self, List};
use crate::change::Change;
use crate::error::Error;
use crate::names::SegmentConfigName;

/// Checks what a change made of a segment's content in one environment, used or
/// not: it must be possible to ship it. Keys alone always are, one by one within
/// their limits.
///
/// # Errors
/// [`Error::Invalid`] naming the field; those of the database.
pub async fn check(
    change: &mut Change,
    name: &SegmentConfigName,
    environment: Uuid,
) -> Result<(), Error> {
    let Some(entry) = change.segments.0.get(&name.segment) else {
        return Ok(());
    };
    let slot = entry.configs.get(&environment);
    let config = slot.and_then(|slot| slot.after.as_ref());
    let (Some(definition), Some(config)) = (entry.definition.after.as_ref(), config) else {
        return Ok(());
    };
    if config.condition.is_none() {
        return Ok(());
    }
    let mut shipped = v1::Segment {
        key: definition.key.clone(),
        attribute: definition.attribute.clone(),
        condition: config.condition.clone(),
        ..v1::Segment::default()
    };
    let list = |excluded| List {
        environment,
        segment: entry.id,
        excluded,
    };
    let (included, excluded) = (list(false), list(true));
    if key_count(config) <= SEGMENT_WHOLE_KEYS_MAX {
        shipped.included = keys::all(change.connection(), included).await?;
        shipped.excluded = keys::all(change.connection(), excluded).await?;
    }
    burgee_evaluator::admit_segment(&mut shipped)
        .map_err(|problem| Error::invalid(problem.field, problem.message))
}
