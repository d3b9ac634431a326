//! Segments: the definition, shared by a project's environments, and the
//! content that each environment has of it.
//!
//! The same rooms as flags have. Keys on the lists are rows of their own, so
//! that adding one to 200,000 writes one row and ships one part.

pub mod content_rules;
pub mod copy;
pub mod create_segment;
pub mod delete_segment;
pub mod keys;
pub mod list_segments;
pub mod operation;
pub mod segment_keys;
pub mod service;
pub mod shipped;
pub mod show;
pub mod store;
pub mod update_segment;
pub mod update_segment_config;

use std::collections::{BTreeMap, BTreeSet};

use burgee_proto::admin::v1::{Segment, SegmentConfig};
use uuid::Uuid;

use crate::stored::Slot;

/// How many keys a segment has on both lists.
#[must_use]
pub fn key_count(config: &SegmentConfig) -> usize {
    let count = i64::from(config.included_count) + i64::from(config.excluded_count);
    usize::try_from(count).unwrap_or_default()
}

/// The segments that a change has read, by key, as they will be.
#[derive(Debug, Default)]
pub struct Segments(pub BTreeMap<String, SegmentEntry>);

/// A segment with its contents in the locked environments.
#[derive(Debug)]
pub struct SegmentEntry {
    /// The segment's uid.
    pub id: Uuid,
    /// The definition.
    pub definition: Slot<Segment>,
    /// The contents, by environment: condition and counts, without lists.
    pub configs: BTreeMap<Uuid, Slot<SegmentConfig>>,
    /// The parts that keys were added to or removed from, by environment.
    pub parts: BTreeMap<Uuid, BTreeSet<u8>>,
}
