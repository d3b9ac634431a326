//! Secrets that the database must give back (the seeds of second factors, what Burgee signs in
//! elsewhere with) are kept sealed: encrypted with a key that the database does not have, and
//! bound to their place, so that a sealed secret opens nowhere but where it was put.
//!
//! Secrets that are only compared (passwords, tokens, keys, links) are hashed instead.
//!
//! | module | what |
//! |---|---|
//! | [`envelope`] | what a sealed secret looks like |
//! | [`reseal`] | all of them, under the newest key |
//!
//! A table gets a column for sealed secrets in three steps: the type of the column is the
//! domain `sealed`, the column is one of [`COLUMNS`], and whoever writes and reads it asks
//! [`Sealing`] with the row's [`Place`].

mod envelope;
pub mod options;
pub mod reseal;

use std::fmt;
use std::sync::Arc;

use burgee_proto::types::v1::ErrorReason;
use secrecy::SecretSlice;
use uuid::Uuid;

use crate::error::Error;
use crate::identity_providers;
use crate::keyring::{Key, Keyring, Purpose};
use crate::second_factor;

/// Every column that holds sealed secrets.
pub const COLUMNS: &[Column] = &[second_factor::SEED, identity_providers::CLIENT_SECRET];

/// A column that holds sealed secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its table.
    pub table: &'static str,
    /// Its name.
    pub column: &'static str,
    /// The table's primary key: a uuid.
    pub row: &'static str,
    /// The column with the organization's uid, if rows belong to one.
    pub organization: Option<&'static str>,
}

/// Where one sealed secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    column: Column,
    row: Uuid,
    organization: Option<Uuid>,
}

/// Seals secrets, and opens them. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Sealing {
    keys: Arc<Keyring>,
}

/// Why a secret cannot be sealed or opened.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// There is no key.
    #[error("this needs a key that secrets are sealed with: give burgee-server {0}", Purpose::Secrets.options())]
    NoKey,
    /// The key that it was sealed with is not among those that are known.
    #[error(
        "the secret was sealed with the key {key_id}, which {} does not hold",
        Purpose::Secrets.options()
    )]
    KeyMissing {
        /// The key's id.
        key_id: String,
    },
    /// It is not what was sealed there.
    #[error("the secret of {0} was altered, or belongs elsewhere")]
    NotAsSealed(Place),
    /// It is of a newer version of Burgee, or no sealed secret.
    #[error("the secret of {0} has a form that this version does not know")]
    FormUnknown(Place),
    /// The cipher or the operating system failed.
    #[error("a secret could not be sealed")]
    Unsealable,
}

impl Column {
    /// The place of a row that belongs to an organization.
    #[must_use]
    pub const fn within(self, organization: Uuid, row: Uuid) -> Place {
        Place {
            column: self,
            row,
            organization: Some(organization),
        }
    }

    /// The place of a row that belongs to no organization.
    #[must_use]
    pub const fn of(self, row: Uuid) -> Place {
        Place {
            column: self,
            row,
            organization: None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { column, row, .. } = self;
        write!(formatter, "{}/{row}", column.table)
    }
}

impl Sealing {
    /// With these keys: the newest seals, all open.
    #[must_use]
    pub fn new(keys: Keyring) -> Self {
        Self {
            keys: Arc::new(keys),
        }
    }

    /// Refuses, before anything else is done, what will have to seal a secret.
    ///
    /// # Errors
    /// [`Problem::NoKey`].
    pub fn ready(&self) -> Result<(), Problem> {
        self.newest().map(drop)
    }

    /// Seals a secret for its place.
    ///
    /// # Errors
    /// [`Problem::NoKey`].
    pub fn seal(&self, place: &Place, secret: &[u8]) -> Result<Vec<u8>, Problem> {
        envelope::seal(self.newest()?, place, secret)
    }

    /// Opens the secret of a place.
    ///
    /// # Errors
    /// [`Problem::NoKey`], [`Problem::KeyMissing`], [`Problem::NotAsSealed`].
    pub fn open(&self, place: &Place, sealed: &[u8]) -> Result<SecretSlice<u8>, Problem> {
        let key_id = envelope::key_id(sealed).ok_or(Problem::FormUnknown(*place))?;
        self.ready()?;
        let key = self.keys.find(key_id).ok_or_else(|| Problem::KeyMissing {
            key_id: key_id.to_owned(),
        })?;
        envelope::open(key, place, sealed).ok_or(Problem::NotAsSealed(*place))
    }

    fn newest(&self) -> Result<&Key, Problem> {
        self.keys.newest().ok_or(Problem::NoKey)
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        match &problem {
            Problem::NoKey | Problem::KeyMissing { .. } => Self::precondition(
                ErrorReason::SecretKeyMissing,
                Purpose::Secrets.options(),
                problem.to_string(),
            ),
            Problem::NotAsSealed(_) | Problem::FormUnknown(_) | Problem::Unsealable => {
                Self::internal(problem)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    const SEED: Column = Column {
        table: "second_factors",
        column: "seed",
        row: "person_id",
        organization: None,
    };
    const OTHER: Column = Column {
        table: "identity_providers",
        column: "client_secret",
        row: "id",
        organization: Some("organization_id"),
    };
    const SECRET: &[u8] = b"12345678901234567890";

    fn key(byte: u8) -> Key {
        Key::new(Purpose::Secrets, [byte; 32])
    }

    fn sealing(keys: &[Key]) -> Sealing {
        let lines: Vec<String> = keys.iter().map(Key::encoded).collect();
        Sealing::new(Keyring::parse(Purpose::Secrets, &lines.join("\n")).unwrap())
    }

    #[test]
    fn what_was_sealed_opens_in_its_place_alone() {
        let sealing = sealing(&[key(1)]);
        let [row, other_row, organization] = [1, 2, 3].map(Uuid::from_u128);
        let sealed = sealing.seal(&SEED.of(row), SECRET).unwrap();
        let opened = sealing.open(&SEED.of(row), &sealed).unwrap();
        assert_eq!(opened.expose_secret(), SECRET);
        let renamed = Column {
            column: "old_seed",
            ..SEED
        };
        for elsewhere in [
            SEED.of(other_row),
            SEED.within(organization, row),
            OTHER.of(row),
            renamed.of(row),
        ] {
            let outcome = sealing.open(&elsewhere, &sealed).map(drop);
            assert!(
                matches!(outcome, Err(Problem::NotAsSealed(_))),
                "{outcome:?}"
            );
        }
        let sealed = sealing
            .seal(&OTHER.within(organization, row), SECRET)
            .unwrap();
        let place = OTHER.within(other_row, row);
        let outcome = sealing.open(&place, &sealed).map(drop);
        assert_eq!(outcome, Err(Problem::NotAsSealed(place)));
    }

    #[test]
    fn no_two_seals_are_alike_and_none_shows_the_secret() {
        let sealing = sealing(&[key(1)]);
        let place = SEED.of(Uuid::from_u128(1));
        let [one, other] = [(), ()].map(|()| sealing.seal(&place, SECRET).unwrap());
        assert_ne!(one, other);
        assert!(
            !one.windows(4)
                .any(|window| SECRET.windows(4).any(|it| it == window))
        );
        let opened = sealing.open(&place, &one).unwrap();
        assert!(!format!("{opened:?}").contains("49, 50"), "{opened:?}");
    }

    #[test]
    fn any_byte_that_was_altered_is_noticed() {
        let sealing = sealing(&[key(1)]);
        let place = SEED.of(Uuid::from_u128(1));
        let sealed = sealing.seal(&place, SECRET).unwrap();
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            sealing.open(&place, &altered).map(drop).unwrap_err();
            sealing.open(&place, &sealed[..at]).map(drop).unwrap_err();
        }
    }

    #[test]
    fn older_keys_open_and_a_missing_one_is_named() {
        let place = SEED.of(Uuid::from_u128(1));
        let sealed = sealing(&[key(1)]).seal(&place, SECRET).unwrap();
        let rotated = sealing(&[key(2), key(1)]);
        let opened = rotated.open(&place, &sealed).unwrap();
        assert_eq!(opened.expose_secret(), SECRET);
        let again = rotated.seal(&place, SECRET).unwrap();
        sealing(&[key(2)]).open(&place, &again).unwrap();

        let problem = sealing(&[key(2)]).open(&place, &sealed).map(drop);
        let key_id = key(1).id().to_owned();
        assert_eq!(
            problem,
            Err(Problem::KeyMissing {
                key_id: key_id.clone()
            })
        );
        assert!(problem.unwrap_err().to_string().contains(&key_id));
        let none = Sealing::default();
        assert_eq!(none.ready(), Err(Problem::NoKey));
        assert_eq!(none.seal(&place, SECRET), Err(Problem::NoKey));
        assert_eq!(none.open(&place, &sealed).map(drop), Err(Problem::NoKey));
    }
}
