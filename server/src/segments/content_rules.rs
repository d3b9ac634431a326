//! Whether a segment's content is sound.

use burgee_evaluator::Problem;
use burgee_evaluator::limits::SEGMENT_WHOLE_KEYS_MAX;
use burgee_proto::admin::v1::{Segment, SegmentConfig};
use burgee_proto::types::v1;
use uuid::Uuid;

use super::keys::{self, List};
use super::{key_count, shipped};
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
    let (definition, config) = (definition.clone(), config.clone());
    let list = |excluded| List {
        environment,
        segment: entry.id,
        excluded,
    };
    let (included, excluded) = (list(false), list(true));
    let [included, excluded] = if key_count(&config) <= SEGMENT_WHOLE_KEYS_MAX {
        let connection = change.connection();
        [
            keys::all(connection, included).await?,
            keys::all(connection, excluded).await?,
        ]
    } else {
        [Vec::new(), Vec::new()]
    };
    admitted(&definition, &config, included, excluded)
        .map(drop)
        .map_err(|problem| Error::invalid(problem.field, problem.message))
}

/// The segment as it would ship, ready for it.
///
/// # Errors
/// The first thing that forbids it, with its path in the segment.
pub fn admitted(
    definition: &Segment,
    config: &SegmentConfig,
    included: Vec<String>,
    excluded: Vec<String>,
) -> Result<v1::Segment, Problem> {
    let mut segment = v1::Segment {
        included,
        excluded,
        ..shipped::merge(definition, config)
    };
    burgee_evaluator::admit_segment(&mut segment)?;
    Ok(segment)
}
