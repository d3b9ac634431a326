//! The one mapping of the error to a gRPC status.

use std::collections::HashMap;
use std::time::Duration;

use burgee_proto::types::v1::ErrorReason;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{DOMAIN, Error};

/// Details travel in headers, which clients bound: no more violations than this.
const VIOLATIONS_MAX: usize = 20;
/// Nor longer texts than this, in bytes.
const TEXT_MAX: usize = 160;
/// Nor more than this of all violations together, in bytes.
const VIOLATIONS_BYTES_MAX: usize = 2_560;
/// The longest message, in bytes. It travels twice, and once with its bytes
/// beyond ASCII written in three.
const MESSAGE_MAX: usize = 320;
/// After what time a call that met an unavailable server is worth repeating.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let mut details = ErrorDetails::new();
        let (code, reason, message, metadata) = match error {
            Error::Invalid(violations) => {
                let message = violations.first().map_or_else(String::new, |first| {
                    format!("{}: {}", first.field, first.description)
                });
                let mut bytes = 0;
                for violation in violations.into_iter().take(VIOLATIONS_MAX) {
                    let field = shorten(violation.field, TEXT_MAX);
                    let description = shorten(violation.description, TEXT_MAX);
                    bytes += field.len() + description.len();
                    if bytes > VIOLATIONS_BYTES_MAX {
                        break;
                    }
                    details.add_bad_request_violation(field, description);
                }
                let reason = ErrorReason::InvalidField;
                (Code::InvalidArgument, reason, message, HashMap::new())
            }
            Error::NotFound { resource } => {
                let message = format!("{resource} does not exist");
                details.set_resource_info("", shorten(resource.clone(), TEXT_MAX), "", "");
                let reason = ErrorReason::ResourceNotFound;
                (Code::NotFound, reason, message, one("resource", resource))
            }
            Error::Exists { resource } => {
                let message = format!(
                    "{resource} exists already; keys that differ by case alone count as one"
                );
                details.set_resource_info("", shorten(resource.clone(), TEXT_MAX), "", "");
                let reason = ErrorReason::ResourceExists;
                (
                    Code::AlreadyExists,
                    reason,
                    message,
                    one("resource", resource),
                )
            }
            Error::CredentialMissing => (
                Code::Unauthenticated,
                ErrorReason::CredentialMissing,
                "send a credential as metadata `authorization: Bearer …`".to_owned(),
                HashMap::new(),
            ),
            Error::CredentialInvalid => (
                Code::Unauthenticated,
                ErrorReason::CredentialInvalid,
                "the credential is unknown, revoked or expired, or not one for this service"
                    .to_owned(),
                HashMap::new(),
            ),
            Error::ProofInvalid { description } => (
                Code::Unauthenticated,
                ErrorReason::CredentialInvalid,
                description.to_owned(),
                HashMap::new(),
            ),
            Error::SecondFactorRequired => (
                Code::Unauthenticated,
                ErrorReason::SecondFactorRequired,
                "give a code of your second factor too".to_owned(),
                HashMap::new(),
            ),
            Error::SecondFactorInvalid => (
                Code::Unauthenticated,
                ErrorReason::SecondFactorInvalid,
                "the code is wrong, or was used before; each is good once".to_owned(),
                HashMap::new(),
            ),
            Error::SecondFactorWanted => (
                Code::FailedPrecondition,
                ErrorReason::SecondFactorWanted,
                "the organization wants a second factor of you: EnrollSecondFactor".to_owned(),
                HashMap::new(),
            ),
            Error::PermissionDenied { permission } => (
                Code::PermissionDenied,
                ErrorReason::PermissionDenied,
                format!("the credential lacks the permission {permission}"),
                one("permission", permission.to_owned()),
            ),
            Error::Protected {
                environment,
                permission,
            } => (
                Code::PermissionDenied,
                ErrorReason::PermissionDenied,
                format!("{environment} is protected: a test key sets no flags in it"),
                one("permission", permission.to_owned()),
            ),
            Error::EtagMismatch {
                resource,
                etag,
                changed_by,
                changed_at,
            } => (
                Code::Aborted,
                ErrorReason::EtagMismatch,
                format!("{resource} was changed by {changed_by} at {changed_at}; read it again"),
                HashMap::from([
                    ("resource".to_owned(), shorten(resource, TEXT_MAX)),
                    ("etag".to_owned(), etag),
                    ("changed_by".to_owned(), shorten(changed_by, TEXT_MAX)),
                    ("changed_at".to_owned(), changed_at),
                ]),
            ),
            Error::Conflict { resource } => (
                Code::Aborted,
                ErrorReason::Conflict,
                format!("{resource} is no longer what the change began from; read it again"),
                one("resource", resource),
            ),
            Error::RequestIdReused => (
                Code::InvalidArgument,
                ErrorReason::RequestIdReused,
                "request_id was used for another request; make a new one for each change"
                    .to_owned(),
                HashMap::new(),
            ),
            Error::Precondition {
                reason,
                subject,
                description,
            } => {
                stand_in_the_way(&mut details, reason, &subject, &description);
                (
                    Code::FailedPrecondition,
                    reason,
                    description,
                    one("subject", subject),
                )
            }
            Error::Limit {
                limit,
                maximum,
                subject,
                description,
            } => {
                let reason = ErrorReason::LimitExceeded;
                stand_in_the_way(&mut details, reason, &subject, &description);
                let metadata = HashMap::from([
                    ("subject".to_owned(), shorten(subject, TEXT_MAX)),
                    ("limit".to_owned(), limit.to_owned()),
                    ("maximum".to_owned(), maximum.to_string()),
                ]);
                (Code::FailedPrecondition, reason, description, metadata)
            }
            Error::Exhausted {
                description,
                retry_after,
            } => {
                details.set_retry_info(Some(retry_after));
                let reason = ErrorReason::ResourceExhausted;
                (Code::ResourceExhausted, reason, description, HashMap::new())
            }
            Error::TooOften(exceeded) => return exceeded.into(),
            Error::Unavailable { reason, cause } => {
                tracing::warn!(reason = reason_name(reason), cause, "unavailable");
                details.set_retry_info(Some(RETRY_AFTER));
                let message = unavailable_message(reason, &cause).to_owned();
                (Code::Unavailable, reason, message, HashMap::new())
            }
            Error::Internal(cause) => {
                let id = uuid::Uuid::now_v7().to_string();
                tracing::error!(
                    request_id = id,
                    cause = format!("{cause:?}"),
                    "internal error"
                );
                let message = format!("internal error; the server's log tells more under {id}");
                (
                    Code::Internal,
                    ErrorReason::Internal,
                    message,
                    one("request_id", id),
                )
            }
        };
        details.set_error_info(reason_name(reason), DOMAIN, metadata);
        Status::with_error_details(code, shorten(message, MESSAGE_MAX), details)
    }
}

fn stand_in_the_way(
    details: &mut ErrorDetails,
    reason: ErrorReason,
    subject: &str,
    description: &str,
) {
    details.add_precondition_failure_violation(
        reason_name(reason),
        shorten(subject.to_owned(), TEXT_MAX),
        shorten(description.to_owned(), TEXT_MAX),
    );
}

/// A reason as `ErrorInfo` spells it: without the enum's prefix.
pub fn reason_name(reason: ErrorReason) -> &'static str {
    reason.as_str_name().trim_start_matches("ERROR_REASON_")
}

fn unavailable_message(reason: ErrorReason, cause: &str) -> &str {
    match reason {
        // What users set up is theirs to know about.
        ErrorReason::IdentityProviderUnavailable => cause,
        ErrorReason::OutcomeUnknown => {
            "the connection to the database broke at the commit: the change may or may not be there; repeat it with the same request_id"
        }
        ErrorReason::ResourceExhausted => {
            "too many changes wait for the same environment; nothing was changed, try again"
        }
        ErrorReason::NotCurrent => {
            "this server does not hold the environment as it is now; try again"
        }
        ErrorReason::Draining => "the server is shutting down; try again",
        _ => "the database is away or too slow; nothing was changed, try again",
    }
}

fn one(key: &str, value: String) -> HashMap<String, String> {
    HashMap::from([(key.to_owned(), shorten(value, TEXT_MAX))])
}

/// At most `maximum` bytes of a text, and where that is not all of it, its
/// beginning and an ellipsis.
fn shorten(text: String, maximum: usize) -> String {
    const ELLIPSIS: char = '…';
    if text.len() <= maximum {
        return text;
    }
    let end = text.floor_char_boundary(maximum - ELLIPSIS.len_utf8());
    let mut short = text;
    short.truncate(end);
    short.push(ELLIPSIS);
    short
}

#[cfg(test)]
mod tests {
    use super::super::Violation;
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(shorten("abcdef".to_owned(), 6), "abcdef");
        assert_eq!(shorten("abcdefg".to_owned(), 6), "abc…");
        assert_eq!(shorten("aééé".to_owned(), 6), "aé…");
    }

    #[test]
    fn the_longest_status_stays_under_4_kib() {
        let long = Violation {
            field: "é".repeat(500),
            description: "é".repeat(500),
        };
        let status = Status::from(Error::Invalid(vec![long; 50]));
        assert!(status.details().len() < 4_096, "{}", status.details().len());
        let (field, description) = ("f[0]".to_owned(), "given twice".to_owned());
        let status = Status::from(Error::Invalid(vec![Violation { field, description }; 50]));
        let shown = status
            .get_error_details()
            .bad_request()
            .unwrap()
            .field_violations
            .len();
        assert_eq!(shown, VIOLATIONS_MAX);
    }
}
