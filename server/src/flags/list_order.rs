//! The order of a list of flags, and a flag's place in it.

use std::fmt;
use std::str::FromStr;

use sqlx::types::time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::Error;
use crate::page::{NoPlace, parse_time};

/// What a list is ordered by; the key breaks ties.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    pub(super) by: OrderBy,
    pub(super) descending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OrderBy {
    Key,
    CreateTime,
    UpdateTime,
}

/// A flag's place in the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FlagPlace {
    /// Its time, where that decides.
    pub(super) time: Option<OffsetDateTime>,
    /// Its key.
    pub(super) key: String,
}

impl Order {
    /// Reads a request's `order_by`.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let (by, descending) = match text.strip_suffix(" desc") {
            Some(by) => (by, true),
            None => (text, false),
        };
        let by = match by {
            "" | "key" => OrderBy::Key,
            "create_time" => OrderBy::CreateTime,
            "update_time" => OrderBy::UpdateTime,
            _ => {
                let description =
                    "give key, create_time or update_time, optionally followed by ` desc`";
                return Err(Error::invalid("order_by", description));
            }
        };
        Ok(Self { by, descending })
    }
}

impl FromStr for FlagPlace {
    type Err = NoPlace;

    /// Reads what [`FlagPlace::to_string`] wrote.
    fn from_str(place: &str) -> Result<Self, NoPlace> {
        let (time, key) = place.rsplit_once(' ').unzip();
        Ok(Self {
            time: time.map(parse_time).transpose()?,
            key: key.unwrap_or(place).to_owned(),
        })
    }
}

impl fmt::Display for FlagPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(time) = self.time {
            let time = time.format(&Rfc3339).map_err(|_| fmt::Error)?;
            write!(formatter, "{time} ")?;
        }
        formatter.write_str(&self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written() {
        for time in [None, Some(OffsetDateTime::UNIX_EPOCH)] {
            let key = "new-checkout".to_owned();
            let place = FlagPlace { time, key };
            assert_eq!(place.to_string().parse(), Ok(place));
        }
    }

    #[test]
    fn a_time_that_there_is_not_is_no_place() {
        for time in ["9999-12-31T23:59:59-23:59", "today", ""] {
            let place = format!("{time} new-checkout").parse::<FlagPlace>();
            assert_eq!(place, Err(NoPlace), "{time}");
        }
    }
}
