//! A protobuf message as a row keeps it, and what a change makes of it.

use prost::Message;
use prost_types::Timestamp;
use sqlx::types::time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::error::Error;

/// A message with what its row knows beside it. The message holds content
/// alone: names, uids, etags and times are filled in when it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored<M> {
    /// The resource's uid.
    pub id: Uuid,
    /// The environment, where each has a row of the resource.
    pub environment: Option<Uuid>,
    /// Grows with each change of this row.
    pub version: i64,
    /// Who made this version.
    pub changed_by: String,
    /// When the resource was made.
    pub created_at: OffsetDateTime,
    /// When this version was made.
    pub updated_at: OffsetDateTime,
    /// The content.
    pub message: M,
}

/// A row that keeps a message, as queries read it.
#[derive(Debug)]
pub struct Row {
    /// The resource's uid.
    pub id: Uuid,
    /// Grows with each change.
    pub version: i64,
    /// The message, encoded.
    pub body: Vec<u8>,
    /// Who made this version.
    pub changed_by: String,
    /// When the resource was made.
    pub created_at: OffsetDateTime,
    /// When this version was made.
    pub updated_at: OffsetDateTime,
}

impl Row {
    /// With the message decoded.
    ///
    /// # Errors
    /// [`Error::Internal`] if it is none.
    pub fn decode<M: Message + Default>(self) -> Result<Stored<M>, Error> {
        Ok(Stored {
            id: self.id,
            environment: None,
            version: self.version,
            changed_by: self.changed_by,
            created_at: self.created_at,
            updated_at: self.updated_at,
            message: M::decode(self.body.as_slice())?,
        })
    }
}

impl<M> Stored<M> {
    /// One that is made now.
    #[must_use]
    pub fn new(message: M, actor: &str, now: OffsetDateTime) -> Self {
        Self {
            id: Uuid::now_v7(),
            environment: None,
            version: 1,
            changed_by: actor.to_owned(),
            created_at: now,
            updated_at: now,
            message,
        }
    }

    /// Its next version.
    #[must_use]
    pub fn next(&self, message: M, actor: &str, now: OffsetDateTime) -> Self {
        Self {
            id: self.id,
            environment: self.environment,
            version: self.version + 1,
            changed_by: actor.to_owned(),
            created_at: self.created_at,
            updated_at: now,
            message,
        }
    }

    /// Names this version of the resource. One that is made again under the
    /// same name has other etags, and so has the same flag elsewhere.
    #[must_use]
    pub fn etag(&self) -> String {
        let row = self.id.as_u128()
            ^ self
                .environment
                .map_or(0, |environment| environment.as_u128());
        // The last digits: the first of a uid are a time, which others have too.
        format!("{:08x}-{:x}", row & u128::from(u32::MAX), self.version)
    }

    /// Whether `given` names this version. Empty: any.
    ///
    /// # Errors
    /// [`Error::EtagMismatch`] with who changed it and when.
    pub fn check_etag(&self, resource: impl ToString, given: &str) -> Result<(), Error> {
        if given.is_empty() || given == self.etag() {
            return Ok(());
        }
        Err(Error::EtagMismatch {
            resource: resource.to_string(),
            etag: self.etag(),
            changed_by: self.changed_by.clone(),
            changed_at: self.updated_at.format(&Rfc3339).map_err(Error::internal)?,
        })
    }

    /// As [`Stored::check_etag`], for methods that demand one.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none.
    pub fn demand_etag(&self, resource: impl ToString, given: &str) -> Result<(), Error> {
        if given.is_empty() {
            return Err(Error::invalid(
                "etag",
                "give the etag that was read, so that nobody else's change is lost",
            ));
        }
        self.check_etag(resource, given)
    }
}

/// A row before and after a change.
#[derive(Debug, Clone)]
pub struct Slot<M> {
    /// As it was read under the lock. None: it did not exist.
    pub before: Option<Stored<M>>,
    /// As it will be. None: it will not exist.
    pub after: Option<M>,
    /// What is kept beside the message differs: keys on a list.
    pub touched: bool,
}

impl<M: Message + Clone> Slot<M> {
    /// A row that was read.
    #[must_use]
    pub fn read(stored: Stored<M>) -> Self {
        let after = Some(stored.message.clone());
        Self {
            before: Some(stored),
            after,
            touched: false,
        }
    }

    /// A row to be made.
    #[must_use]
    pub fn new(message: M) -> Self {
        Self {
            before: None,
            after: Some(message),
            touched: false,
        }
    }

    /// A row that is not there.
    #[must_use]
    pub fn absent() -> Self {
        Self {
            before: None,
            after: None,
            touched: false,
        }
    }

    /// Whether the row differs, or what is kept beside it.
    pub fn changed(&self) -> bool {
        let before = self.before.as_ref().map(|stored| &stored.message);
        self.touched || !same(before, self.after.as_ref())
    }

    /// The version that the row has after the change.
    pub fn version(&self) -> i64 {
        match &self.before {
            Some(stored) => stored.version + i64::from(self.changed()),
            None => 1,
        }
    }
}

/// Whether two messages, or their absence, are the same, byte for byte: −0 is not 0.
pub fn same<M: Message>(left: Option<&M>, right: Option<&M>) -> bool {
    left.map(Message::encode_to_vec) == right.map(Message::encode_to_vec)
}

/// A time as protobuf has it.
#[must_use]
pub fn timestamp(time: OffsetDateTime) -> Timestamp {
    Timestamp {
        seconds: time.unix_timestamp(),
        nanos: i32::try_from(time.nanosecond()).unwrap_or(0),
    }
}

/// A time from protobuf.
///
/// # Errors
/// [`Error::Invalid`] naming `field`, for a time outside the years 1 to 9999.
pub fn time_of(field: &str, timestamp: &Timestamp) -> Result<OffsetDateTime, Error> {
    let nanos = u32::try_from(timestamp.nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000);
    OffsetDateTime::from_unix_timestamp(timestamp.seconds)
        .ok()
        .filter(|time| time.year() >= 1)
        .zip(nanos)
        .and_then(|(time, nanos)| time.replace_nanosecond(nanos).ok())
        .ok_or_else(|| Error::invalid(field, "give a time between the years 1 and 9999"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_is_made_at_the_same_time_has_etags_of_its_own() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let environments = [None, Some(Uuid::now_v7()), Some(Uuid::now_v7())];
        let made = || Stored::new((), "somebody", now);
        let rows = [made(), made(), made()];
        let etags = rows.iter().flat_map(|row| {
            environments.map(|environment| {
                let row = Stored {
                    environment,
                    ..row.clone()
                };
                [row.etag(), row.next((), "somebody", now).etag()]
            })
        });
        let etags: BTreeSet<String> = etags.flatten().collect();
        assert_eq!(
            etags.len(),
            rows.len() * environments.len() * 2,
            "{etags:?}"
        );
    }
}
