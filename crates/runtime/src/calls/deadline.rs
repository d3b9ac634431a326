//! The time that a call may take, as its caller and the server agree on it.

use std::time::Duration;

use axum::extract::Request;
use http::HeaderMap;
use tokio::time::Instant;

/// The header by which a gRPC client tells how long it will wait.
const GRPC_TIMEOUT: &str = "grpc-timeout";

/// The digits that the header may have.
const MAX_DIGITS: usize = 8;

/// When the caller stops waiting for the response to begin. Found in the extensions
/// of gRPC requests, for what a handler waits for in turn: a database, an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub Instant);

impl Deadline {
    /// Puts into a call's extensions when it must have been answered: after the time that
    /// its caller gives it, or the longest that there is.
    pub(super) fn set(request: &mut Request, longest: Duration) -> Self {
        let asked = timeout(request.headers()).unwrap_or(longest);
        let deadline = Self(Instant::now() + asked.min(longest));
        request.extensions_mut().insert(deadline);
        deadline
    }
}

/// The `grpc-timeout` of a call: up to 8 digits and a unit, as the gRPC protocol
/// over HTTP/2 has it. One that is malformed counts as none.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let is_number = digits.len() <= MAX_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| is_number)?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &'static str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(GRPC_TIMEOUT, http::HeaderValue::from_static(text));
        timeout(&headers)
    }

    #[test]
    fn every_unit_is_understood() {
        assert_eq!(parsed("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(parsed("3M"), Some(Duration::from_secs(180)));
        assert_eq!(parsed("4S"), Some(Duration::from_secs(4)));
        assert_eq!(parsed("5m"), Some(Duration::from_millis(5)));
        assert_eq!(parsed("6u"), Some(Duration::from_micros(6)));
        assert_eq!(parsed("7n"), Some(Duration::from_nanos(7)));
        assert_eq!(
            parsed("99999999H"),
            Some(Duration::from_secs(359_999_996_400))
        );
    }

    #[test]
    fn what_is_malformed_counts_as_none() {
        for text in [
            "",
            "S",
            "1",
            "1s",
            "+1S",
            "-1S",
            "1.5S",
            "123456789S",
            "1 S",
        ] {
            assert_eq!(parsed(text), None, "{text:?}");
        }
    }
}
