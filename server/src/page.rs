//! Keyset paging: a token says after which row the next page begins, and which
//! question it belongs to.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use sqlx::types::time::{OffsetDateTime, UtcOffset};
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::error::Error;

/// The size of a page that asks for none.
const SIZE_DEFAULT: i32 = 50;
/// The largest page.
const SIZE_MAX: i32 = 1_000;
/// A page of what may be large ends after so many bytes, and one thing: clients take messages of
/// 4 MiB.
pub const PAGE_BYTES_MAX: usize = 2 << 20;
/// How much of the question's hash a token holds, in bytes.
const QUESTION: usize = 8;

/// A page that was asked for.
#[derive(Debug, Clone)]
pub struct Page {
    /// How many rows it has at most.
    pub size: i64,
    /// The last row's place on the previous page. None: the first page.
    after: Option<String>,
    question: Vec<u8>,
}

impl Page {
    /// Reads a request's `page_size` and `page_token`. `question` is what the
    /// token must have been made for: everything that decides rows and order.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a negative size, or a token that is malformed or
    /// of another question.
    pub fn parse(size: i32, token: &str, question: &[&str]) -> Result<Self, Error> {
        if size < 0 {
            return Err(Error::invalid("page_size", format!("give 0 to {SIZE_MAX}")));
        }
        let size = if size == 0 {
            SIZE_DEFAULT
        } else {
            size.min(SIZE_MAX)
        };
        let mut hash = Sha256::new();
        for part in question {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        let mut question = hash.finalize().to_vec();
        question.truncate(QUESTION);
        let after = if token.is_empty() {
            None
        } else {
            Some(open(token, &question)?)
        };
        Ok(Self {
            size: size.into(),
            after,
            question,
        })
    }

    /// Whether it is the first page.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.after.is_none()
    }

    /// The key after which the page begins. Empty: before all others.
    #[must_use]
    pub fn after_key(&self) -> &str {
        self.after.as_deref().unwrap_or_default()
    }

    /// The place after which the page begins. None: before all others.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a token that nobody here made.
    pub fn after<P: FromStr>(&self) -> Result<Option<P>, Error> {
        let place = self.after.as_deref().map(P::from_str).transpose();
        place.map_err(|_| unknown_token())
    }

    /// How many rows to read: one more than shown, to know whether more follow.
    #[must_use]
    pub fn rows(&self) -> i64 {
        self.size + 1
    }

    /// The token of the page that begins after a place.
    #[must_use]
    pub fn token_after(&self, place: &str) -> String {
        let mut token = self.question.clone();
        token.extend_from_slice(place.as_bytes());
        URL_SAFE_NO_PAD.encode(token)
    }

    /// Cuts what was read to the page, and makes the token of the next one.
    /// `place` tells a row's place in the order.
    pub fn cut<R>(&self, rows: &mut Vec<R>, place: impl Fn(&R) -> String) -> String {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        if rows.len() <= size {
            return String::new();
        }
        rows.truncate(size);
        rows.last()
            .map_or_else(String::new, |last| self.token_after(&place(last)))
    }
}

fn open(token: &str, question: &[u8]) -> Result<String, Error> {
    let decoded = URL_SAFE_NO_PAD.decode(token).ok();
    let place = decoded
        .as_deref()
        .and_then(|bytes| bytes.strip_prefix(question));
    let place = place.and_then(|place| String::from_utf8(place.to_vec()).ok());
    let place = place.filter(|place| !place.contains('\0'));
    place.ok_or_else(unknown_token)
}

fn unknown_token() -> Error {
    let description = "give the next_page_token of the same question, or begin without one";
    Error::invalid("page_token", description)
}

/// What is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPlace;

/// Reads the time of a place, in RFC 3339. One that Postgres could not be asked for, as UTC has
/// no such time, is none.
///
/// # Errors
/// [`NoPlace`].
pub fn parse_time(text: &str) -> Result<OffsetDateTime, NoPlace> {
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| NoPlace)?;
    time.checked_to_offset(UtcOffset::UTC).ok_or(NoPlace)
}

/// A row's place in an order by time: a uid tells rows of one moment apart, and as uids of
/// version 7 grow, keeps them in the order in which a server made them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimePlace {
    /// When it was made.
    pub time: OffsetDateTime,
    /// Its uid.
    pub id: Uuid,
}

impl FromStr for TimePlace {
    type Err = NoPlace;

    /// Reads what [`TimePlace::to_string`] wrote.
    fn from_str(place: &str) -> Result<Self, NoPlace> {
        let (time, id) = place.split_once(' ').ok_or(NoPlace)?;
        Ok(Self {
            time: parse_time(time)?,
            id: Uuid::parse_str(id).map_err(|_| NoPlace)?,
        })
    }
}

impl fmt::Display for TimePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.time.format(&Rfc3339).map_err(|_| fmt::Error)?;
        write!(f, "{time} {}", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_belongs_to_its_question() {
        let page = Page::parse(2, "", &["projects/a", ""]).unwrap();
        let mut rows = vec!["x", "y", "z"];
        let token = page.cut(&mut rows, |row| (*row).to_owned());
        assert_eq!(rows, ["x", "y"]);
        let next = Page::parse(2, &token, &["projects/a", ""]).unwrap();
        assert_eq!(next.after_key(), "y");
        assert!(Page::parse(2, &token, &["projects/b", ""]).is_err());
        assert!(Page::parse(2, "%", &["projects/a", ""]).is_err());
    }

    #[test]
    fn a_place_in_time_is_one_that_there_is() {
        let place = |time: &str| format!("{time} {}", Uuid::nil()).parse::<TimePlace>();
        let good = place("2026-11-22T10:00:00Z").unwrap();
        assert_eq!(good.to_string().parse(), Ok(good));
        for bad in ["9999-12-31T23:59:59-23:59", "today"] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_last_page_has_no_token() {
        let page = Page::parse(0, "", &[]).unwrap();
        assert_eq!(page.cut(&mut vec![1, 2], ToString::to_string), "");
        assert!(Page::parse(-1, "", &[]).is_err());
    }
}
