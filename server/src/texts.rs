//! What every resource's texts must keep to.

use crate::error::{Error, Violation};

/// The longest display name or owner, in bytes.
const DISPLAY_NAME_MAX: usize = 256;
/// The longest description, in bytes.
const DESCRIPTION_MAX: usize = 4_096;
/// The most tags of a resource.
const TAGS_MAX: usize = 64;
/// The longest tag, in bytes.
const TAG_MAX: usize = 64;

/// Collects what is wrong with a message, field by field.
#[derive(Debug, Default)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// Adds one, unless `holds`.
    pub fn require(
        &mut self,
        holds: bool,
        field: impl Into<String>,
        description: impl Into<String>,
    ) {
        if !holds {
            self.0.push(Violation {
                field: field.into(),
                description: description.into(),
            });
        }
    }

    /// Adds those of an error that names fields; gives back any other.
    ///
    /// # Errors
    /// The error, if it names no fields.
    pub fn extend(&mut self, result: Result<(), Error>) -> Result<(), Error> {
        match result {
            Err(Error::Invalid(violations)) => self.0.extend(violations),
            other => other?,
        }
        Ok(())
    }

    /// Takes what was parsed. None: it was not, and what is wrong with it was added.
    ///
    /// # Errors
    /// As [`Violations::extend`].
    pub fn take<T>(&mut self, result: Result<T, Error>) -> Result<Option<T>, Error> {
        match result {
            Ok(parsed) => Ok(Some(parsed)),
            Err(error) => self.extend(Err(error)).map(|()| None),
        }
    }

    /// Checks a name for people.
    pub fn display_name(&mut self, field: impl Into<String>, text: &str) {
        self.text(field, text, DISPLAY_NAME_MAX);
    }

    /// Checks a longer text for people.
    pub fn description(&mut self, field: impl Into<String>, text: &str) {
        self.text(field, text, DESCRIPTION_MAX);
    }

    /// Checks a text: not too long, and without NUL, which Postgres cannot keep.
    pub fn text(&mut self, field: impl Into<String>, text: &str, maximum: usize) {
        let good = text.len() <= maximum && !text.contains('\0');
        self.require(
            good,
            field,
            format!("at most {maximum} bytes, none of them NUL"),
        );
    }

    /// Checks tags: not too many, not too long, none empty, none twice.
    pub fn tags(&mut self, field: &str, tags: &[String]) {
        self.require(
            tags.len() <= TAGS_MAX,
            field,
            format!("at most {TAGS_MAX} tags"),
        );
        for (at, tag) in tags.iter().enumerate().take(TAGS_MAX) {
            let place = format!("{field}[{at}]");
            let good = !tag.is_empty() && tag.len() <= TAG_MAX && !tag.contains('\0');
            self.require(good, place.clone(), format!("1 to {TAG_MAX} bytes"));
            let first = tags.iter().position(|other| other == tag) == Some(at);
            self.require(first, place, "given twice");
        }
    }

    /// Nothing, if nothing is wrong.
    ///
    /// # Errors
    /// [`Error::Invalid`] with everything that is.
    pub fn finish(self) -> Result<(), Error> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Error::Invalid(self.0))
        }
    }
}
