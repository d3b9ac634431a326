//! The one error of the control plane, and its one mapping to a gRPC status.
//!
//! Every status carries exactly one `ErrorInfo` (domain `burgee`, a reason of
//! [`ErrorReason`]) and the typed details that its kind calls for. Causes are
//! logged here with a request id, and never returned.

use std::collections::HashMap;
use std::time::Duration;

use burgee_proto::types::v1::ErrorReason;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "burgee";
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

/// A field of the request that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The path from the request, in the names of the protobuf file.
    pub field: String,
    /// What is wrong, and what to do.
    pub description: String,
}

/// Why a call failed.
#[derive(Debug)]
pub enum Error {
    /// Malformed, or out of limits.
    Invalid(Vec<Violation>),
    /// Absent, or in another organization: the same answer for both.
    NotFound {
        /// The resource's name.
        resource: String,
    },
    /// The key is taken.
    Exists {
        /// The name of the resource that has it.
        resource: String,
    },
    /// No credential, or a malformed one.
    CredentialMissing,
    /// A credential that is unknown, revoked or expired.
    CredentialInvalid,
    /// A password or the secret of a link that proves nothing.
    ProofInvalid {
        /// What is wrong, and what to do: the same for all that may be wrong.
        description: &'static str,
    },
    /// The credential does not allow it.
    PermissionDenied {
        /// What it lacks.
        permission: &'static str,
    },
    /// The resource has moved since its etag was read.
    EtagMismatch {
        /// The resource's name.
        resource: String,
        /// What it is now.
        etag: String,
        /// Who changed it.
        changed_by: String,
        /// When, in RFC 3339.
        changed_at: String,
    },
    /// The value that an operation replaces is no longer there.
    Conflict {
        /// The resource's name.
        resource: String,
    },
    /// The request id was used with another body.
    RequestIdReused,
    /// The state of things does not allow it.
    Precondition {
        /// Which rule.
        reason: ErrorReason,
        /// The resource that stands in the way.
        subject: String,
        /// What is wrong, and what to do.
        description: String,
    },
    /// The result would exceed a limit.
    Limit {
        /// Its name, of those that the contract lists.
        limit: &'static str,
        /// What it allows.
        maximum: usize,
        /// The resource that would exceed it.
        subject: String,
        /// What is wrong, and what to do.
        description: String,
    },
    /// Too much at once, or too often.
    Exhausted {
        /// What there is too much of.
        description: String,
        /// When it is worth repeating.
        retry_after: Duration,
    },
    /// Nothing was changed; later it may work.
    Unavailable {
        /// What is away.
        reason: ErrorReason,
        /// For the log.
        cause: String,
    },
    /// A fault of Burgee's own.
    Internal(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// One field that cannot be taken.
    pub fn invalid(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::Invalid(vec![Violation {
            field: field.into(),
            description: description.into(),
        }])
    }

    /// No such resource in the caller's organization.
    pub fn not_found(resource: impl ToString) -> Self {
        Self::NotFound {
            resource: resource.to_string(),
        }
    }

    /// The state of `subject` does not allow it.
    pub fn precondition(
        reason: ErrorReason,
        subject: impl ToString,
        description: impl Into<String>,
    ) -> Self {
        Self::Precondition {
            reason,
            subject: subject.to_string(),
            description: description.into(),
        }
    }

    /// `subject` would exceed a limit.
    pub fn limit(
        limit: &'static str,
        maximum: usize,
        subject: impl ToString,
        description: impl Into<String>,
    ) -> Self {
        Self::Limit {
            limit,
            maximum,
            subject: subject.to_string(),
            description: description.into(),
        }
    }

    /// A fault of Burgee's own.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }

    /// Moves the violations of a message to where the message stands in the
    /// request.
    #[must_use]
    pub fn within(self, prefix: &str) -> Self {
        match self {
            Self::Invalid(violations) => Self::Invalid(
                violations
                    .into_iter()
                    .map(|violation| Violation {
                        field: match violation.field.as_str() {
                            "" => prefix.to_owned(),
                            field => format!("{prefix}.{field}"),
                        },
                        ..violation
                    })
                    .collect(),
            ),
            other => other,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let away = match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => true,
            sqlx::Error::Database(database) => {
                database.code().is_some_and(|code| is_passing(&code))
            }
            _ => false,
        };
        if away {
            Self::Unavailable {
                reason: ErrorReason::DatabaseUnavailable,
                cause: error.to_string(),
            }
        } else {
            Self::internal(error)
        }
    }
}

impl From<prost::DecodeError> for Error {
    fn from(error: prost::DecodeError) -> Self {
        Self::internal(error)
    }
}

/// Whether an SQLSTATE tells of Postgres being away, starting, stopping,
/// read-only, overloaded or too slow, rather than of a mistake.
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn is_passing(code: &str) -> bool {
    code.starts_with("08")
        || code.starts_with("53")
        || code.starts_with("57")
        || matches!(code, "25006" | "40001" | "40P01" | "55P03")
}

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
            Error::PermissionDenied { permission } => (
                Code::PermissionDenied,
                ErrorReason::PermissionDenied,
                format!("the credential lacks the permission {permission}"),
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
            Error::Unavailable { reason, cause } => {
                tracing::warn!(reason = reason_name(reason), cause, "unavailable");
                details.set_retry_info(Some(RETRY_AFTER));
                let message = unavailable_message(reason).to_owned();
                (Code::Unavailable, reason, message, HashMap::new())
            }
            Error::Internal(cause) => {
                let id = uuid::Uuid::new_v4().to_string();
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

fn unavailable_message(reason: ErrorReason) -> &'static str {
    match reason {
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

    #[test]
    fn what_is_within_a_message_is_named_from_the_request() {
        let fields = |field: &str| match Error::invalid(field, "").within("flag") {
            Error::Invalid(violations) => violations[0].field.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(fields("key"), "flag.key");
        assert_eq!(fields(""), "flag");
    }
}
