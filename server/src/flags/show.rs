//! Flags as they are shown: content, with what the row knows filled in.

use burgee_proto::admin::v1::{Flag, FlagConfig};

use super::FlagEntry;
use crate::change::Change;
use crate::error::Error;
use crate::names::{FlagConfigName, FlagName};
use crate::stored::{Stored, timestamp};

/// A stored definition.
#[must_use]
pub fn flag(name: &FlagName, stored: &Stored<Flag>) -> Flag {
    Flag {
        name: name.to_string(),
        uid: stored.id.to_string(),
        etag: stored.etag(),
        create_time: Some(timestamp(stored.created_at)),
        update_time: Some(timestamp(stored.updated_at)),
        ..stored.message.clone()
    }
}

/// A stored configuration.
#[must_use]
pub fn config(name: &FlagConfigName, stored: &Stored<FlagConfig>) -> FlagConfig {
    FlagConfig {
        name: name.to_string(),
        uid: stored.id.to_string(),
        etag: stored.etag(),
        update_time: Some(timestamp(stored.updated_at)),
        ..stored.message.clone()
    }
}

impl Change {
    /// The definition as the answer shows it.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the change did not read it.
    pub fn show_flag(&self, name: &FlagName) -> Result<Flag, Error> {
        let entry = self.flags.0.get(&name.flag);
        entry
            .and_then(|entry| self.after(entry.id, &entry.definition))
            .map(|stored| flag(name, &stored))
            .ok_or_else(|| Error::not_found(name))
    }

    /// The configuration as the answer shows it.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the change did not read it.
    pub fn show_config(&self, name: &FlagConfigName) -> Result<FlagConfig, Error> {
        let environment = self.environment(&name.environment())?;
        let show = |entry: &FlagEntry| {
            let slot = entry.configs.get(&environment)?;
            self.after(entry.id, slot)
                .map(|stored| config(name, &stored))
        };
        self.flags
            .0
            .get(&name.flag)
            .and_then(show)
            .ok_or_else(|| Error::not_found(name))
    }
}
