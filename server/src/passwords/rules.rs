//! Which passwords are good enough: long, and not easily guessed. What they are made of is
//! nobody's business (NIST SP 800-63B, 3.1.1.2).

use zxcvbn::{Score, zxcvbn};

use crate::error::Error;
use crate::texts::Violations;

/// The shortest password, in characters.
const PASSWORD_MIN: usize = 10;
/// The longest password, in bytes.
pub const PASSWORD_MAX: usize = 1_024;
/// The least that a new password must score: more than 10^8 guesses.
const SCORE_MIN: Score = Score::Three;
/// What anybody would try first here.
const OURS: &str = "burgee";

/// What a new password is judged against.
#[derive(Debug, Clone)]
pub struct Context {
    field: &'static str,
    known: Vec<String>,
}

impl Context {
    /// The field it was given in, and what is known of the person.
    #[must_use]
    pub fn new<const N: usize>(field: &'static str, known: [&str; N]) -> Self {
        let known = known.into_iter().chain([OURS]).map(str::to_owned);
        Self {
            field,
            known: known.collect(),
        }
    }

    /// Refuses a password by its length, which needs no work.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn check_length(&self, password: &str) -> Result<(), Error> {
        let mut violations = Violations::default();
        let long_enough = password.chars().count() >= PASSWORD_MIN;
        let good = long_enough && password.len() <= PASSWORD_MAX;
        let description =
            format!("{PASSWORD_MIN} characters or more, at most {PASSWORD_MAX} bytes");
        violations.require(good, self.field, description);
        violations.finish()
    }
}

/// Refuses what is common, or made of what is known of the person.
pub(super) fn check_strength(password: &str, context: &Context) -> Result<(), Error> {
    let known: Vec<&str> = context.known.iter().map(String::as_str).collect();
    if zxcvbn(password, &known).score() >= SCORE_MIN {
        return Ok(());
    }
    let description = "easily guessed; several uncommon words make a good password";
    Err(Error::invalid(context.field, description))
}
