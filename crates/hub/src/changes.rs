//! Which flags changed since an older position, found out once for all streams
//! that ask.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use burgee_evaluator::Ruleset;
use burgee_proto::types::v1::Position;

/// Older positions that are remembered. Streams that follow ask for one or two;
/// more only come from slow ones.
const POSITIONS_MAX: usize = 64;

/// The keys of flags, in order.
pub(crate) type FlagKeys = Arc<[Arc<str>]>;

/// The changes that led to one position.
#[derive(Default)]
pub(crate) struct Changes {
    since: Mutex<HashMap<Position, FlagKeys>>,
}

impl Changes {
    /// The flags that may evaluate otherwise than at an older position.
    pub(crate) fn since(&self, position: Position, older: &Ruleset, newer: &Ruleset) -> FlagKeys {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = since.get(&position) {
            return known.clone();
        }
        // Under the lock: whoever wants it too waits instead of doing it again.
        let keys: FlagKeys = newer.changed_since(older).into();
        if since.len() < POSITIONS_MAX {
            since.insert(position, keys.clone());
        }
        keys
    }

    /// Every flag: what changed since there was nothing.
    pub(crate) fn all(&self, ruleset: &Ruleset) -> FlagKeys {
        self.since(Position::default(), &Ruleset::default(), ruleset)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use burgee_proto::types::v1 as types;

    use super::*;

    #[test]
    fn what_changed_is_found_out_once_for_all_who_ask() {
        let flag = |key: &str| types::Flag {
            key: key.to_owned(),
            ..types::Flag::default()
        };
        let ruleset = |keys: &[&str]| {
            Ruleset::from_message(&types::Ruleset {
                flags: keys.iter().map(|key| flag(key)).collect(),
                segments: Vec::new(),
            })
        };
        let (older, newer) = (ruleset(&["a"]), ruleset(&["b", "a"]));
        let changes = Changes::default();
        let position = Position {
            epoch: 1,
            revision: 1,
        };
        let first = changes.since(position, &older, &newer);
        assert!(Arc::ptr_eq(
            &first,
            &changes.since(position, &older, &newer)
        ));
        let all = changes.all(&newer);
        assert_eq!(all.iter().map(|key| &**key).collect::<Vec<_>>(), ["a", "b"]);
        assert!(!Arc::ptr_eq(&first, &all));
        for revision in 0..1000 {
            changes.since(Position { epoch: 0, revision }, &older, &newer);
        }
        assert_eq!(changes.since.lock().unwrap().len(), POSITIONS_MAX);
    }
}
