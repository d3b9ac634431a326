//! Until when a caller waits.

use std::time::Duration;

use tokio::time::Instant;
use tonic::metadata::MetadataMap;

/// The answer must still reach the caller: so much of its time is left for
/// that, but never more than a tenth.
const MARGIN_MAX: Duration = Duration::from_millis(100);

/// Nobody is waited with for longer.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Until when to wait for a caller: a little less than its `grpc-timeout`.
pub(crate) fn deadline(metadata: &MetadataMap, default: Duration) -> Instant {
    let timeout = metadata
        .get("grpc-timeout")
        .and_then(|value| parse(value.to_str().ok()?));
    let wait = timeout.map_or(default, |timeout| {
        timeout.saturating_sub(MARGIN_MAX.min(timeout / 10))
    });
    Instant::now() + wait.min(WAIT_MAX)
}

/// gRPC's form: at most 8 digits, and a unit.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 60 * 60)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        assert_eq!(parse("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse("3S"), Some(Duration::from_secs(3)));
        assert_eq!(
            parse("99999999H"),
            Some(Duration::from_secs(99_999_999 * 3600))
        );
        for malformed in ["", "S", "1", "-1S", "1.5S", "123456789S", "1X", "é"] {
            assert_eq!(parse(malformed), None, "{malformed}");
        }
    }
}
