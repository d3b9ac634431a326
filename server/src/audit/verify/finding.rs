//! What can be wrong with a log, in an operator's words.

use super::Anchor;
use crate::keyring::Purpose;

/// Where the log first differs from what was sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// An entry is not as it was sealed.
    #[error("entry {entry} was altered: its {part} is not what was sealed")]
    Altered {
        /// Its id.
        entry: i64,
        /// What of it: one of the parts that can be blanked, or `content`: the
        /// rest.
        part: &'static str,
    },
    /// An entry holds what another was sealed with.
    #[error("entry {entry} was reordered: it holds what was sealed as entry {sealed_as}")]
    Reordered {
        /// Its id.
        entry: i64,
        /// The id of the other.
        sealed_as: i64,
    },
    /// An entry is gone.
    #[error("entry {entry} was removed")]
    Removed {
        /// Its id.
        entry: i64,
    },
    /// A seal is gone, and perhaps its entry.
    #[error("an entry was removed after entry {after}: the seal at position {position} is gone")]
    SealRemoved {
        /// The place in the chain.
        position: i64,
        /// The entry before it. 0: none.
        after: i64,
    },
    /// A seal is not what its entry, its key and the seals before it make.
    #[error("entry {entry} was altered or reordered, with its seal at position {position}")]
    SealAltered {
        /// The entry that the seal names.
        entry: i64,
        /// The place in the chain.
        position: i64,
    },
    /// An entry appeared behind entries that were sealed later.
    #[error("entry {entry} was inserted: later ones were sealed without it")]
    Inserted {
        /// Its id.
        entry: i64,
    },
    /// A part was blanked, and no entry tells of it.
    #[error("entry {entry} was altered: its {part} was blanked without an entry that tells so")]
    Blanked {
        /// Its id.
        entry: i64,
        /// The part.
        part: &'static str,
    },
    /// A seal was made without a key.
    #[error(
        "the seal at position {position}, of entry {entry}, was made without a key; if that was \
         before there was one, say so with --unkeyed-up-to {position} or later"
    )]
    Unkeyed {
        /// The place in the chain.
        position: i64,
        /// The entry.
        entry: i64,
    },
    /// A seal was made with a key that was not given.
    #[error(
        "the seal at position {position} was made with the key {key_id}, which {} does not hold",
        Purpose::AuditLog.options()
    )]
    KeyUnknown {
        /// The place in the chain.
        position: i64,
        /// The id of the key.
        key_id: String,
    },
    /// A seal that was written down is not there.
    #[error("the log has no seal {0}: its end was removed, or it was sealed anew")]
    AnchorMissing(Anchor),
}
