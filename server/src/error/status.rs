//! The one mapping of the error to a gRPC status.

use std::collections::HashMap;
use std::time::Duration;

use burgee_proto::types::v1::ErrorReason;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{DOMAIN, Error, Violation};

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
        use Code as C;
        use ErrorReason as R;
        let answer = match error {
            Error::TooOften(exceeded) => return exceeded.into(),
            Error::Invalid(violations) => invalid(violations),
            Error::NotFound { resource } => {
                let message = format!("{resource} does not exist");
                Answer::new(C::NotFound, R::ResourceNotFound, message).about(resource)
            }
            Error::Exists { resource } => {
                let message = format!(
                    "{resource} exists already; keys that differ by case alone count as one"
                );
                Answer::new(C::AlreadyExists, R::ResourceExists, message).about(resource)
            }
            Error::CredentialMissing => {
                let message = "send a credential as metadata `authorization: Bearer …`";
                Answer::new(C::Unauthenticated, R::CredentialMissing, message)
            }
            Error::CredentialInvalid => {
                let message = "the credential is unknown, revoked or expired, or not one for this \
                               service";
                Answer::new(C::Unauthenticated, R::CredentialInvalid, message)
            }
            Error::ProofInvalid { description } => {
                Answer::new(C::Unauthenticated, R::CredentialInvalid, description)
            }
            Error::SecondFactorRequired => {
                let message = "give a code of your second factor too";
                Answer::new(C::Unauthenticated, R::SecondFactorRequired, message)
            }
            Error::SecondFactorInvalid => {
                let message = "the code is wrong, or was used before; each is good once";
                Answer::new(C::Unauthenticated, R::SecondFactorInvalid, message)
            }
            Error::SecondFactorWanted => {
                let message = "the organization wants a second factor of you: EnrollSecondFactor";
                Answer::new(C::FailedPrecondition, R::SecondFactorWanted, message)
            }
            Error::PermissionDenied { permission, place } => {
                let within = if place.is_empty() { "" } else { " in " };
                let message =
                    format!("the credential lacks the permission {permission}{within}{place}");
                Answer::new(C::PermissionDenied, R::PermissionDenied, message)
                    .with("permission", permission)
            }
            Error::Protected {
                environment,
                permission,
            } => {
                let message = format!("{environment} is protected: a test key sets no flags in it");
                Answer::new(C::PermissionDenied, R::PermissionDenied, message)
                    .with("permission", permission)
            }
            Error::EtagMismatch {
                resource,
                etag,
                changed_by,
                changed_at,
            } => {
                let message = format!(
                    "{resource} was changed by {changed_by} at {changed_at}; read it again"
                );
                Answer::new(C::Aborted, R::EtagMismatch, message)
                    .with("resource", resource)
                    .with("etag", etag)
                    .with("changed_by", changed_by)
                    .with("changed_at", changed_at)
            }
            Error::Conflict { resource } => {
                let message =
                    format!("{resource} is no longer what the change began from; read it again");
                Answer::new(C::Aborted, R::Conflict, message).with("resource", resource)
            }
            Error::RequestIdReused => {
                let message =
                    "request_id was used for another request; make a new one for each change";
                Answer::new(C::InvalidArgument, R::RequestIdReused, message)
            }
            Error::Precondition {
                reason,
                subject,
                description,
            } => Answer::new(C::FailedPrecondition, reason, description).in_the_way(subject),
            Error::Limit {
                limit,
                maximum,
                subject,
                description,
            } => Answer::new(C::FailedPrecondition, R::LimitExceeded, description)
                .in_the_way(subject)
                .with("limit", limit)
                .with("maximum", maximum),
            Error::Exhausted {
                description,
                retry_after,
            } => Answer::new(C::ResourceExhausted, R::ResourceExhausted, description)
                .retry_after(retry_after),
            Error::Unavailable { reason, cause } => unavailable(reason, &cause),
            Error::Internal(cause) => internal(&*cause),
        };
        answer.into()
    }
}

/// A status under way.
struct Answer {
    code: Code,
    reason: ErrorReason,
    message: String,
    metadata: HashMap<String, String>,
    details: ErrorDetails,
}

impl Answer {
    fn new(code: Code, reason: ErrorReason, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            metadata: HashMap::new(),
            details: ErrorDetails::new(),
        }
    }

    /// Adds metadata.
    fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        let value = shorten(value.into(), TEXT_MAX);
        self.metadata.insert(key.to_owned(), value);
        self
    }

    /// Names the resource that it is about.
    fn about(mut self, resource: String) -> Self {
        let name = shorten(resource.clone(), TEXT_MAX);
        self.details.set_resource_info("", name, "", "");
        self.with("resource", resource)
    }

    /// Names what stands in the way.
    fn in_the_way(mut self, subject: String) -> Self {
        self.details.add_precondition_failure_violation(
            reason_name(self.reason),
            shorten(subject.clone(), TEXT_MAX),
            shorten(self.message.clone(), TEXT_MAX),
        );
        self.with("subject", subject)
    }

    /// Says when it is worth repeating.
    fn retry_after(mut self, delay: Duration) -> Self {
        self.details.set_retry_info(Some(delay));
        self
    }
}

impl From<Answer> for Status {
    fn from(answer: Answer) -> Self {
        let mut details = answer.details;
        details.set_error_info(reason_name(answer.reason), DOMAIN, answer.metadata);
        let message = shorten(answer.message, MESSAGE_MAX);
        Status::with_error_details(answer.code, message, details)
    }
}

fn invalid(violations: Vec<Violation>) -> Answer {
    let first = violations.first();
    let message = first.map(|first| format!("{}: {}", first.field, first.description));
    let (code, reason) = (Code::InvalidArgument, ErrorReason::InvalidField);
    let mut answer = Answer::new(code, reason, message.unwrap_or_default());
    let mut bytes = 0;
    for violation in violations.into_iter().take(VIOLATIONS_MAX) {
        let field = shorten(violation.field, TEXT_MAX);
        let description = shorten(violation.description, TEXT_MAX);
        bytes += field.len() + description.len();
        if bytes > VIOLATIONS_BYTES_MAX {
            break;
        }
        answer.details.add_bad_request_violation(field, description);
    }
    answer
}

/// The cause is for the log.
fn unavailable(reason: ErrorReason, cause: &str) -> Answer {
    tracing::warn!(reason = reason_name(reason), cause, "unavailable");
    let message = unavailable_message(reason, cause);
    Answer::new(Code::Unavailable, reason, message).retry_after(RETRY_AFTER)
}

/// The cause is for the log, which has it under the id that the caller is told.
fn internal(cause: &(dyn std::error::Error + Send + Sync)) -> Answer {
    let id = uuid::Uuid::now_v7().to_string();
    let cause = format!("{cause:?}");
    tracing::error!(request_id = id, cause, "internal error");
    let message = format!("internal error; the server's log tells more under {id}");
    Answer::new(Code::Internal, ErrorReason::Internal, message).with("request_id", id)
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
