//! Randomness from the operating system.

use crate::error::Error;

/// 32 random bytes.
///
/// # Errors
/// [`Error::Internal`] if the operating system has none.
pub fn bytes() -> Result<[u8; 32], Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal(error.to_string()))?;
    Ok(bytes)
}

/// A random name of 20 characters, 100 bits, in `[a-z2-7]`.
///
/// # Errors
/// As [`bytes`].
pub fn identifier() -> Result<String, Error> {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let digit = |byte: &u8| {
        ALPHABET
            .get(usize::from(byte % 32))
            .copied()
            .map(char::from)
    };
    Ok(bytes()?.iter().filter_map(digit).take(20).collect())
}
