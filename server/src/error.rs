//! The one error of the control plane, and its one mapping to a gRPC status.
//!
//! Every status carries exactly one `ErrorInfo` (domain `burgee`, a reason of
//! [`ErrorReason`]) and the typed details that its kind calls for. Causes are
//! logged here with a request id, and never returned.

mod status;

use std::time::Duration;

use burgee_hub::limits::Exceeded;
use burgee_proto::types::v1::ErrorReason;

pub use status::reason_name;

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "burgee";

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
    /// The password was right, and a code of the person's second factor is needed.
    SecondFactorRequired,
    /// The password was right, and the code was not.
    SecondFactorInvalid,
    /// The organization wants a second factor, and the caller has none.
    SecondFactorWanted,
    /// The credential does not allow it.
    PermissionDenied {
        /// What it lacks.
        permission: &'static str,
        /// Where, for the message. Empty: everywhere.
        place: String,
    },
    /// Whoever has a test key sets no flags in a protected environment.
    Protected {
        /// The environment's name.
        environment: String,
        /// What the method takes.
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
        maximum: String,
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
    /// The caller calls too often.
    TooOften(Exceeded),
    /// Nothing was changed; later it may work.
    Unavailable {
        /// What is away.
        reason: ErrorReason,
        /// For the log; for the caller too, if it is an identity provider that is away.
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
        maximum: impl ToString,
        subject: impl ToString,
        description: impl Into<String>,
    ) -> Self {
        Self::Limit {
            limit,
            maximum: maximum.to_string(),
            subject: subject.to_string(),
            description: description.into(),
        }
    }

    /// What becomes of an error of the database: [`Error::Exists`], if it is this constraint
    /// that refuses. For `map_err`.
    pub fn taken(constraint: &str, resource: impl ToString) -> impl FnOnce(sqlx::Error) -> Self {
        move |error| match error.as_database_error() {
            Some(database) if database.constraint() == Some(constraint) => Self::Exists {
                resource: resource.to_string(),
            },
            _ => error.into(),
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

impl From<Exceeded> for Error {
    fn from(exceeded: Exceeded) -> Self {
        Self::TooOften(exceeded)
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

#[cfg(test)]
mod tests {
    use super::*;

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
