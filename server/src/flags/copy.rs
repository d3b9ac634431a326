//! The configurations of a new environment.

use uuid::Uuid;

use super::{create_flag, store};
use crate::change::Change;
use crate::error::Error;
use crate::stored::Slot;

/// Gives every flag of the locked project a configuration in a new environment:
/// a copy of the one it has in `from`, or the one of a new flag.
///
/// # Errors
/// Those of the database.
pub async fn into_environment(
    change: &mut Change,
    to: Uuid,
    from: Option<Uuid>,
) -> Result<(), Error> {
    let project = change.project()?;
    let environments: Vec<Uuid> = from.into_iter().collect();
    let mut flags = store::read(change.connection(), project, None, &environments).await?;
    for entry in flags.values_mut() {
        let copied = from
            .and_then(|from| entry.configs.remove(&from))
            .and_then(|slot| slot.after);
        let first = || {
            entry
                .definition
                .after
                .as_ref()
                .map(create_flag::first_config)
        };
        if let Some(config) = copied.or_else(first) {
            entry.configs.insert(to, Slot::new(config));
        }
    }
    change.flags.0.extend(flags);
    Ok(())
}
