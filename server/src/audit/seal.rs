//! What a seal is made of: digests of an entry, chained by a code that only the holder of a
//! key can compute.
//!
//! ```text
//! digests = SHA-256 of what stays ‖ SHA-256 of each part that can be blanked, with its salt
//! mac(n)  = HMAC-SHA-256(key, mac(n - 1) ‖ position ‖ entry's id ‖ digests)
//! ```
//!
//! A part that is blanked for a person's privacy leaves its digest, and the chain whole. Its
//! salt is forgotten with it, so that nobody finds a short text again by trying all of them.

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use crate::error::Error;
use crate::keyring::Key;

/// SHA-256, or HMAC with it.
pub(super) type Hash = [u8; 32];
/// Before the first seal.
pub(super) const BEGINNING: Hash = [0; 32];
/// The parts of an entry that can be blanked, in the order of their digests and salts.
pub(super) const PARTS: [&str; 6] = [
    "before",
    "after",
    "detail",
    "reason",
    "address",
    "user_agent",
];
/// How many digests a seal holds.
pub(super) const DIGESTS: usize = PARTS.len() + 1;

/// Tells the digests and codes of this format from all others.
const ENTRY_DOMAIN: &[u8] = b"burgee audit entry 1";
const SEAL_DOMAIN: &[u8] = b"burgee audit seal 1";

/// A row of the log, with all that is sealed.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) id: i64,
    /// An xid8, in decimal.
    pub(super) transaction_id: String,
    pub(super) organization_id: Uuid,
    pub(super) project_id: Option<Uuid>,
    pub(super) environment_id: Option<Uuid>,
    pub(super) change_set_id: Option<Uuid>,
    pub(super) actor: String,
    pub(super) method: String,
    pub(super) request_id: String,
    pub(super) resource: String,
    pub(super) part: String,
    pub(super) denied: i32,
    pub(super) created_at: OffsetDateTime,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    pub(super) detail: Option<String>,
    pub(super) reason: String,
    pub(super) address: String,
    pub(super) user_agent: String,
}

/// The columns of an [`Entry`], from `audit_entries e`.
macro_rules! entries {
    ($connection:expr, $rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            $crate::audit::seal::Entry,
            r#"select e.id, e.transaction_id::text as "transaction_id!", e.organization_id,
                      e.project_id, e.environment_id, e.change_set_id, e.actor, e.method,
                      e.request_id, e.resource, e.part, e.denied, e.created_at,
                      e.before::text, e.after::text, e.detail::text, e.reason, e.address,
                      e.user_agent "# + $rest
            $(, $argument)*
        )
        .fetch_all($connection)
    };
}
pub(super) use entries;

/// What is kept of an entry when it is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Digests(pub(super) [Hash; DIGESTS]);

/// With what a part is digested: 128 bits cannot be tried out.
pub(super) type Salt = [u8; 16];
/// The salts of an entry's parts. None: the part was blanked.
pub(super) type Salts = [Option<Salt>; PARTS.len()];

impl Entry {
    fn parts(&self) -> [Option<&str>; PARTS.len()] {
        [
            self.before.as_deref(),
            self.after.as_deref(),
            self.detail.as_deref(),
            Some(&self.reason),
            Some(&self.address),
            Some(&self.user_agent),
        ]
    }

    /// Digests the entry, each part with its salt.
    pub(super) fn digest(&self, salts: &[Salt; PARTS.len()]) -> Digests {
        let mut digests = [self.fixed_digest(); DIGESTS];
        let rest = digests.iter_mut().skip(1).zip(salts);
        for ((digest, salt), part) in rest.zip(self.parts()) {
            *digest = part_digest(salt, part);
        }
        Digests(digests)
    }

    /// Of all that is never blanked. A column that a later version adds is appended only where
    /// it is not at its default, so that what was sealed before stays what it was.
    pub(super) fn fixed_digest(&self) -> Hash {
        let uuid = |id: &Option<Uuid>| id.map(|id| id.as_bytes().to_vec());
        let text = |text: &str| Some(text.as_bytes().to_vec());
        let microseconds = self.created_at.unix_timestamp_nanos() / 1_000;
        let fields = [
            text(&self.transaction_id),
            Some(self.organization_id.as_bytes().to_vec()),
            uuid(&self.project_id),
            uuid(&self.environment_id),
            uuid(&self.change_set_id),
            text(&self.actor),
            text(&self.method),
            text(&self.request_id),
            text(&self.resource),
            text(&self.part),
            Some(self.denied.to_be_bytes().to_vec()),
            Some(microseconds.to_be_bytes().to_vec()),
        ];
        let mut hash = Sha256::new_with_prefix(ENTRY_DOMAIN);
        for field in fields {
            match field {
                None => hash.update([0]),
                Some(bytes) => {
                    hash.update([1]);
                    hash.update((bytes.len() as u64).to_be_bytes());
                    hash.update(bytes);
                }
            }
        }
        hash.finalize().into()
    }

    /// The first part that is not what was digested. A part without a salt was blanked: it has
    /// to be blank.
    pub(super) fn differing_part(&self, digests: &Digests, salts: &Salts) -> Option<&'static str> {
        let sealed = digests.0.iter().skip(1).zip(salts);
        let mut parts = PARTS.into_iter().zip(self.parts()).zip(sealed);
        let differing = parts.find(|((_, part), (digest, salt))| match salt {
            Some(salt) => part_digest(salt, *part) != **digest,
            None => part.is_some_and(|text| !text.is_empty()),
        });
        differing.map(|((name, _), _)| name)
    }
}

fn part_digest(salt: &Salt, part: Option<&str>) -> Hash {
    let mut hash = Sha256::new_with_prefix(salt);
    hash.update([u8::from(part.is_some())]);
    hash.update(part.unwrap_or_default());
    hash.finalize().into()
}

/// The code of a seal. Without a key it is a plain SHA-256, which anybody can compute.
pub(super) fn mac(
    key: Option<&Key>,
    previous: &Hash,
    position: i64,
    entry: i64,
    digests: &Digests,
) -> Result<Hash, Error> {
    let mut sealed = [
        SEAL_DOMAIN,
        previous,
        &position.to_be_bytes(),
        &entry.to_be_bytes(),
    ]
    .concat();
    sealed.extend(digests.0.as_flattened());
    let Some(key) = key else {
        return Ok(Sha256::digest(sealed).into());
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(key.bytes()).map_err(Error::internal)?;
    mac.update(&sealed);
    Ok(mac.finalize().into_bytes().into())
}

/// How a seal is written down, so that it is known where nobody can take it away.
pub(super) fn anchor(position: i64, mac: &Hash) -> String {
    format!("{position}:{}", HEXLOWER.encode(mac))
}

#[cfg(test)]
mod tests {
    use std::array;

    use super::*;
    use crate::keyring::Purpose;

    fn entry() -> Entry {
        Entry {
            id: 7,
            transaction_id: "1234".to_owned(),
            organization_id: Uuid::from_u128(1),
            project_id: Some(Uuid::from_u128(2)),
            environment_id: None,
            change_set_id: None,
            actor: "serviceAccounts/ci".to_owned(),
            method: "/burgee.admin.v1.FlagService/SetFlagEnabled".to_owned(),
            request_id: String::new(),
            resource: "projects/shop/flags/banner".to_owned(),
            part: "setEnabled".to_owned(),
            denied: 0,
            created_at: OffsetDateTime::UNIX_EPOCH,
            before: None,
            after: Some("true".to_owned()),
            detail: None,
            reason: "launch".to_owned(),
            address: "127.0.0.1".to_owned(),
            user_agent: String::new(),
        }
    }

    type Change = fn(&mut Entry);

    const SALTS: [Salt; PARTS.len()] = [[5; 16]; PARTS.len()];

    /// What another program, in another language, makes of the format as it is described.
    #[test]
    fn the_format_is_what_it_was() {
        assert_eq!(
            HEXLOWER.encode(&entry().fixed_digest()),
            "3f4fe4a5ec0fe980b378d3c5c0dbeb2a64c9b535b8762e2b51bbec3b4349ef91"
        );
        assert_eq!(
            HEXLOWER.encode(&part_digest(&[5; 16], Some("launch"))),
            "dd52a2aba5789ca4ac8c4e50b3ffa26a3daf5525fb9329397fcb6c41a5d75428"
        );
        assert_eq!(
            HEXLOWER.encode(&part_digest(&[5; 16], None)),
            "26c251bbd208d4b781c98a492c12029b90cb52ccc86e2ee6b5cc40746e10fe4f"
        );
        let digests = Digests(array::from_fn(|place| [place as u8; 32]));
        let key = Key::new(Purpose::AuditLog, [9; 32]);
        let of = |key| HEXLOWER.encode(&mac(key, &BEGINNING, 1, 7, &digests).unwrap());
        assert_eq!(
            of(Some(&key)),
            "9544eb111d488a8fae58a1c009a095babaa624f442933867abaf69e482ced011"
        );
        assert_eq!(
            of(None),
            "dfb68187d50112fb43a4ddd40a3ea6144272ed1028a5446bf374173014cf3b4b"
        );
    }

    #[test]
    fn every_field_is_digested() {
        let (digests, salts) = (entry().digest(&SALTS), SALTS.map(Some));
        assert_eq!(entry().fixed_digest(), digests.0[0]);
        assert_eq!(entry().differing_part(&digests, &salts), None);
        let fixed: [Change; 12] = [
            |it| it.transaction_id.push('0'),
            |it| it.organization_id = Uuid::from_u128(9),
            |it| it.project_id = None,
            |it| it.environment_id = it.project_id.take(),
            |it| it.change_set_id = it.project_id.take(),
            |it| it.actor.push('x'),
            |it| it.method.push('x'),
            |it| it.request_id.push('x'),
            |it| it.resource.push('x'),
            |it| it.part.push('x'),
            |it| it.denied = 1,
            |it| it.created_at += std::time::Duration::from_micros(1),
        ];
        for (number, change) in fixed.into_iter().enumerate() {
            let mut changed = entry();
            change(&mut changed);
            assert_ne!(changed.fixed_digest(), digests.0[0], "{number}");
        }
        let parts: [(&str, Change); 7] = [
            ("before", |it| it.before = Some(String::new())),
            ("after", |it| it.after = None),
            ("after", |it| it.after = Some("false".to_owned())),
            ("detail", |it| it.detail = Some("null".to_owned())),
            ("reason", |it| it.reason.clear()),
            ("address", |it| it.address.push('1')),
            ("user_agent", |it| it.user_agent.push('x')),
        ];
        for (part, change) in parts {
            let mut changed = entry();
            change(&mut changed);
            assert_eq!(changed.differing_part(&digests, &salts), Some(part));
        }
    }

    #[test]
    fn bytes_that_move_from_field_to_field_are_noticed() {
        let mut moved = entry();
        moved.method = moved.actor.split_off(7) + &moved.method;
        assert_ne!(moved.fixed_digest(), entry().fixed_digest());
    }

    #[test]
    fn a_blanked_part_leaves_the_digests_whole_and_nothing_to_guess_it_by() {
        let mut blanked = entry();
        let (digests, mut salts) = (blanked.digest(&SALTS), SALTS.map(Some));
        salts[3] = None;
        assert_eq!(blanked.differing_part(&digests, &salts), Some("reason"));
        blanked.reason.clear();
        assert_eq!(blanked.differing_part(&digests, &salts), None);
        let again = entry().digest(&[[6; 16]; PARTS.len()]);
        assert_ne!(again.0[4], digests.0[4]);
    }

    #[test]
    fn a_code_depends_on_all_before_it() {
        let digests = Digests([[1; 32]; DIGESTS]);
        let key = Key::new(Purpose::AuditLog, [9; 32]);
        let of = |previous, position, entry| {
            mac(Some(&key), previous, position, entry, &digests).unwrap()
        };
        let first = of(&BEGINNING, 1, 7);
        for other in [of(&first, 1, 7), of(&BEGINNING, 2, 7), of(&BEGINNING, 1, 8)] {
            assert_ne!(other, first);
        }
        assert_ne!(mac(None, &BEGINNING, 1, 7, &digests).unwrap(), first);
        let rotated = Key::new(Purpose::AuditLog, [8; 32]);
        assert_ne!(
            mac(Some(&rotated), &BEGINNING, 1, 7, &digests).unwrap(),
            first
        );
    }
}
