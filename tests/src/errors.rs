//! What a refusal says, taken apart.

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// The domain of every reason.
const DOMAIN: &str = "burgee";

/// The reason (of `burgee.types.v1.ErrorReason`, without its prefix) that every
/// refusal carries.
///
/// # Panics
///
/// When the refusal carries none, or none of Burgee's.
#[must_use]
pub fn reason(status: &Status) -> String {
    let info = status
        .get_details_error_info()
        .unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!(info.domain, DOMAIN, "{status:?}");
    info.reason
}

/// The limit that would be exceeded, and what it allows.
///
/// # Panics
///
/// When the refusal names none.
#[must_use]
pub fn limit(status: &Status) -> (String, String) {
    let info = status.get_details_error_info();
    let mut metadata = info.map(|info| info.metadata).unwrap_or_default();
    let mut take = |key: &str| {
        let value = metadata.remove(key);
        value.unwrap_or_else(|| panic!("no {key}: {status:?}"))
    };
    (take("limit"), take("maximum"))
}

/// The paths of the fields that were refused.
#[must_use]
pub fn fields(status: &Status) -> Vec<String> {
    let details = status.get_details_bad_request();
    let violations = details.map(|details| details.field_violations);
    let violations = violations.unwrap_or_default().into_iter();
    violations.map(|violation| violation.field).collect()
}

/// The subjects of the preconditions that failed.
#[must_use]
pub fn subjects(status: &Status) -> Vec<String> {
    let details = status.get_details_precondition_failure();
    let violations = details.map(|details| details.violations);
    let violations = violations.unwrap_or_default().into_iter();
    violations.map(|violation| violation.subject).collect()
}

/// A refusal, for a look at it.
///
/// # Panics
///
/// When the call was answered, or refused with another code.
pub fn refused<T>(outcome: Result<T, Status>, code: Code) -> Status {
    match outcome {
        Ok(_) => panic!("answered, where {code:?} was due"),
        Err(status) => {
            assert_eq!(status.code(), code, "{status:?}");
            status
        }
    }
}
