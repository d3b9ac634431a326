//! Why a call is refused, and how the caller is told.

use std::collections::HashMap;
use std::time::Duration;

use burgee_proto::types::v1::ErrorReason;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::limits::Exceeded;

/// The domain of every `google.rpc.ErrorInfo`.
pub const ERROR_DOMAIN: &str = "burgee";

/// What the enum's names have in front of the published reason.
const REASON_PREFIX: &str = "ERROR_REASON_";

/// When to try again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// An echoed value is cut here: error details travel in headers.
const ECHO_BYTES_MAX: usize = 64;

/// A call that is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// No credential, or one that is malformed.
    CredentialMissing,
    /// A credential that is revoked, expired, certainly unknown, or not one of
    /// the data plane.
    CredentialInvalid,
    /// The credential is of a kind that may not do this.
    PermissionDenied(&'static str),
    /// There is no such environment for this key.
    EnvironmentNotFound(String),
    /// A field cannot be.
    InvalidField(&'static str, &'static str),
    /// What was asked for is not known here yet.
    NotCurrent(&'static str),
    /// This process ends.
    Draining,
    /// A limit is reached.
    Exhausted(&'static str),
    /// The caller calls too often.
    TooOften(Exceeded),
    /// A fault of this program.
    Internal,
}

/// Gives an error that no service answered, but what stands before the services, the details
/// that every error has. Other codes are those of gRPC's own services, and stay as they are.
#[must_use]
pub fn explain(bare: Status) -> Status {
    let reason = match bare.code() {
        Code::ResourceExhausted => ErrorReason::ResourceExhausted,
        Code::InvalidArgument => ErrorReason::RequestUnreadable,
        Code::Unimplemented => ErrorReason::Unimplemented,
        Code::DeadlineExceeded => ErrorReason::DeadlineExceeded,
        Code::Internal => ErrorReason::Internal,
        _ => return bare,
    };
    let details = with_reason(ErrorDetails::new(), bare.code(), reason, HashMap::new());
    Status::with_error_details(bare.code(), bare.message(), details)
}

impl From<Exceeded> for Refused {
    fn from(exceeded: Exceeded) -> Self {
        Self::TooOften(exceeded)
    }
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        let (code, reason, message) = match &refused {
            Refused::TooOften(exceeded) => return (*exceeded).into(),
            Refused::CredentialMissing => (
                Code::Unauthenticated,
                ErrorReason::CredentialMissing,
                "send a key as `authorization: Bearer burgee_…`".to_owned(),
            ),
            Refused::CredentialInvalid => (
                Code::Unauthenticated,
                ErrorReason::CredentialInvalid,
                "the key is unknown, revoked or expired, or none of the data plane; use another one".to_owned(),
            ),
            Refused::PermissionDenied(permission) => (
                Code::PermissionDenied,
                ErrorReason::PermissionDenied,
                format!("this credential does not allow {permission}"),
            ),
            Refused::EnvironmentNotFound(uid) => (
                Code::NotFound,
                ErrorReason::ResourceNotFound,
                format!("no environment {:?} for this key", echo(uid)),
            ),
            Refused::InvalidField(field, description) => (
                Code::InvalidArgument,
                ErrorReason::InvalidField,
                format!("{field}: {description}"),
            ),
            Refused::NotCurrent(message) => (
                Code::Unavailable,
                ErrorReason::NotCurrent,
                (*message).to_owned(),
            ),
            Refused::Draining => (
                Code::Unavailable,
                ErrorReason::Draining,
                "shutting down; connect again".to_owned(),
            ),
            Refused::Exhausted(message) => (
                Code::ResourceExhausted,
                ErrorReason::ResourceExhausted,
                (*message).to_owned(),
            ),
            Refused::Internal => (
                Code::Internal,
                ErrorReason::Internal,
                "a fault of Burgee's own; its log tells more".to_owned(),
            ),
        };
        Self::with_error_details(code, message, details(&refused, code, reason))
    }
}

fn details(refused: &Refused, code: Code, reason: ErrorReason) -> ErrorDetails {
    let mut metadata = HashMap::new();
    let mut details = ErrorDetails::new();
    match refused {
        Refused::PermissionDenied(permission) => {
            metadata.insert("permission".to_owned(), (*permission).to_owned());
        }
        Refused::EnvironmentNotFound(uid) => {
            metadata.insert("resource".to_owned(), echo(uid).to_owned());
        }
        Refused::InvalidField(field, description) => {
            details.add_bad_request_violation(*field, *description);
        }
        _ => {}
    }
    with_reason(details, code, reason, metadata)
}

fn with_reason(
    mut details: ErrorDetails,
    code: Code,
    reason: ErrorReason,
    metadata: HashMap<String, String>,
) -> ErrorDetails {
    details.set_error_info(reason_name(reason), ERROR_DOMAIN, metadata);
    if matches!(code, Code::Unavailable | Code::ResourceExhausted) {
        details.set_retry_info(Some(RETRY_DELAY));
    }
    details
}

/// A reason as it is published: without the prefix of the enum's names.
#[must_use]
pub fn reason_name(reason: ErrorReason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix(REASON_PREFIX).unwrap_or(name)
}

fn echo(text: &str) -> &str {
    text.get(..text.floor_char_boundary(ECHO_BYTES_MAX))
        .unwrap_or_default()
}
