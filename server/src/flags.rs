//! Flags: the definition, shared by a project's environments, and the
//! configuration that each environment has of it.
//!
//! The service takes requests; a file for each use case turns one into
//! operations; [`operation`] applies them to what was read; [`store`] reads and
//! writes rows; [`shipped`] makes the items.

pub mod archive;
pub mod config_rules;
pub mod copy;
pub mod create_flag;
pub mod definition_rules;
pub mod delete_flag;
pub mod list_flags;
mod list_order;
pub mod operation;
pub mod references;
pub mod rerandomize_rollout;
pub mod service;
pub mod set_flag_enabled;
pub mod set_rollout;
pub mod shipped;
pub mod show;
pub mod store;
pub mod target_keys;
pub mod try_out;
pub mod update_flag;
pub mod update_flag_config;

use std::collections::BTreeMap;

use burgee_proto::admin::v1::{Flag, FlagConfig};
use uuid::Uuid;

use crate::stored::Slot;

/// The flags that a change has read, by key, as they will be.
#[derive(Debug, Default)]
pub struct Flags(pub BTreeMap<String, FlagEntry>);

/// A flag with its configurations in the locked environments.
#[derive(Debug)]
pub struct FlagEntry {
    /// The flag's uid.
    pub id: Uuid,
    /// The definition.
    pub definition: Slot<Flag>,
    /// The configurations, by environment.
    pub configs: BTreeMap<Uuid, Slot<FlagConfig>>,
    /// The items that are shipped now, by environment. None: not read.
    pub shipped: Option<BTreeMap<Uuid, Vec<u8>>>,
}
