//! Results on their way to a receiver, a message at a time.

use std::sync::Arc;

use burgee_evaluator::{Digest, Ruleset};
use burgee_proto::types::v1::Evaluation;
use prost::Message as _;

use crate::changes::FlagKeys;
use crate::encoding::FIELD_OVERHEAD_BYTES;
use crate::results::{Question, is_same, message, toggle};

/// A message holds results of at most so many bytes, unless one alone has more.
/// The contract allows 1 MiB; but tonic keeps the buffer of a stream's last
/// message for as long as the stream lives, and of these streams there are
/// many, idle most of the time.
const PART_BYTES_MAX: usize = 16 * 1024;

/// What leads a receiver from the results of one ruleset to those of another.
pub(super) struct Series {
    /// What the receiver holds results of. `None`: nothing.
    older: Option<Arc<Ruleset>>,
    newer: Arc<Ruleset>,
    flag_keys: FlagKeys,
    /// How many of them were looked at.
    looked_at: usize,
    /// Did not fit into the last part.
    carried: Option<Change>,
}

/// What a receiver does to what it holds.
enum Change {
    Updated(Evaluation),
    Removed(String),
}

/// What fits into a message.
#[derive(Default)]
pub(super) struct Part {
    /// Results that are new or differ.
    pub(super) updated: Vec<Evaluation>,
    /// Keys of flags without a result any more.
    pub(super) removed: Vec<String>,
    /// Another part follows.
    pub(super) more: bool,
}

impl Series {
    /// From the results of nothing, or of an older ruleset. `flag_keys` holds
    /// every flag whose result may differ, in order.
    pub(super) fn new(
        older: Option<Arc<Ruleset>>,
        newer: Arc<Ruleset>,
        flag_keys: FlagKeys,
    ) -> Self {
        Self {
            older,
            newer,
            flag_keys,
            looked_at: 0,
            carried: None,
        }
    }

    /// Whether the receiver holds nothing yet.
    pub(super) fn is_whole(&self) -> bool {
        self.older.is_none()
    }

    /// The next part. The digest becomes that of the results once they are all
    /// taken.
    pub(super) fn next(&mut self, question: &Question, digest: &mut Digest) -> Part {
        let mut part = Part::default();
        let mut bytes = 0;
        while let Some(change) = self.next_change(question, digest) {
            let more_bytes = change.bytes();
            if !part.is_empty() && bytes + more_bytes > PART_BYTES_MAX {
                self.carried = Some(change);
                part.more = true;
                return part;
            }
            bytes += more_bytes;
            part.add(change);
        }
        part
    }

    fn next_change(&mut self, question: &Question, digest: &mut Digest) -> Option<Change> {
        if let Some(change) = self.carried.take() {
            return Some(change);
        }
        while let Some(key) = self.flag_keys.get(self.looked_at) {
            self.looked_at += 1;
            let older = self.older.as_deref();
            let older = older.and_then(|older| question.result(older, key));
            let newer = question.result(&self.newer, key);
            match (&older, &newer) {
                (None, None) => continue,
                (Some(older), Some(newer)) if is_same(older, newer) => continue,
                _ => {}
            }
            if let Some(older) = older {
                toggle(digest, &message(&older));
            }
            let Some(newer) = newer else {
                return Some(Change::Removed(key.to_string()));
            };
            let newer = message(&newer);
            toggle(digest, &newer);
            return Some(Change::Updated(newer));
        }
        None
    }
}

impl Change {
    /// What it takes in a message.
    fn bytes(&self) -> usize {
        FIELD_OVERHEAD_BYTES
            + match self {
                Self::Updated(evaluation) => evaluation.encoded_len(),
                Self::Removed(key) => key.len(),
            }
    }
}

impl Part {
    /// Nothing came out otherwise.
    pub(super) fn is_empty(&self) -> bool {
        self.updated.is_empty() && self.removed.is_empty()
    }

    fn add(&mut self, change: Change) {
        match change {
            Change::Updated(evaluation) => self.updated.push(evaluation),
            Change::Removed(key) => self.removed.push(key),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use burgee_proto::types::v1 as types;

    use super::*;
    use crate::results::Viewer;

    fn ruleset(variant: &str) -> Arc<Ruleset> {
        let flag = |key: &str| types::Flag {
            key: key.to_owned(),
            r#type: types::FlagType::Boolean.into(),
            variants: vec![types::Variant {
                key: variant.to_owned(),
                value: Some(true.into()),
                ..types::Variant::default()
            }],
            off_variant: variant.to_owned(),
            ..types::Flag::default()
        };
        Arc::new(Ruleset::from_message(&types::Ruleset {
            flags: ["a", "b", "c"].map(flag).into(),
            segments: Vec::new(),
        }))
    }

    #[test]
    fn flags_that_a_change_does_not_touch_are_not_evaluated() {
        let question = Question::new(Viewer::new(None, false), Vec::new()).unwrap();
        let (older, newer) = (ruleset("before"), ruleset("after"));
        // Every flag came out otherwise, and would be sent if it were looked at.
        let touched: FlagKeys = [Arc::from("a"), Arc::from("c")].into();
        let mut digest = Digest::new();
        let part = Series::new(Some(older), newer, touched).next(&question, &mut digest);
        let keys: Vec<_> = part.updated.iter().map(|it| &*it.flag_key).collect();
        assert_eq!(
            (keys, part.removed.len(), part.more),
            (vec!["a", "c"], 0, false)
        );
    }
}
