//! Why the process cannot start or go on, in one line for an operator.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use burgee_runtime::{listening, telemetry, tls};
use tonic::Status;

use crate::audit::verify::{Finding, Problem};
use crate::error::Error;
use crate::keyring::Purpose;
use crate::{private_postgres, sealing};

/// Why the process ends with exit code 1.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The address of the database cannot be understood.
    #[error("--database-url (BURGEE_DATABASE_URL) is no Postgres URL: {0}")]
    DatabaseUrl(String),
    /// The database refuses or does not answer.
    #[error("the database cannot be used: {}", said(.0))]
    Database(#[from] sqlx::Error),
    /// The database cannot be reached, or lets nobody in.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// The tables could not be made or brought up to date.
    #[error("the database cannot be migrated: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The tables are older than the program.
    #[error(
        "the database's schema is at version {found}, and this server needs {wanted}: run \
         `burgee-server migrate` first, or start with --migrate"
    )]
    Schema {
        /// What the database has; 0: nothing.
        found: i64,
        /// What the program needs.
        wanted: i64,
    },
    /// The port cannot be had.
    #[error(transparent)]
    Bind(#[from] listening::BindError),
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// Logs and traces cannot be set up.
    #[error(transparent)]
    Telemetry(#[from] telemetry::Error),
    /// No private Postgres for `dev`.
    #[error(transparent)]
    PrivatePostgres(#[from] private_postgres::Error),
    /// The private Postgres of `dev` ended.
    #[error("Postgres ended: {0}")]
    PostgresEnded(String),
    /// `dev` on an address that others reach.
    #[error(
        "`burgee-server dev` prints its keys and listens on loopback addresses only, not on {0}; \
         use `burgee-server serve`"
    )]
    NotLoopback(SocketAddr),
    /// A key that is none.
    #[error(
        "key {place} of {} is not 32 bytes in base64, such as `openssl rand -base64 32` makes",
        purpose.options()
    )]
    Key {
        /// What it is for.
        purpose: Purpose,
        /// Which, counted from one.
        place: usize,
    },
    /// A sealed secret cannot be opened, or no secret be sealed.
    #[error(transparent)]
    Secret(#[from] sealing::Problem),
    /// The audit log is not as it was sealed.
    #[error("the audit log is not as it was sealed: {0}")]
    AuditLog(Finding),
    /// The authorities that calls to others shall trust cannot be used.
    #[error(
        "the certificate authorities of --outbound-ca-file (BURGEE_OUTBOUND_CA_FILE) {} cannot \
         be used: {cause}",
        file.display()
    )]
    CertificateAuthorities {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// Identity providers cannot send people back there.
    #[error(
        "--oidc-redirect-uri (BURGEE_OIDC_REDIRECT_URI), or /auth/callback of --public-url, is no \
         http:// or https:// URL without a fragment: {0}"
    )]
    RedirectUri(String),
    /// What was built in is broken.
    #[error("the descriptors that were built in cannot be served: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// A change that the process itself makes was refused.
    #[error("{0}")]
    Refused(String),
    /// The system refused something.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

/// What went wrong with the database, in its own words alone: which line of Postgres's sources
/// they come from is nothing to an operator.
#[must_use]
pub fn said(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        other => other.to_string(),
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(Status::from(error).message().to_owned())
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Found(finding) => Self::AuditLog(finding),
            Problem::Unread(error) => error.into(),
        }
    }
}

impl Failure {
    /// Names what was tried, for a `map_err` on the system's answer.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        |source| Self::Io { what, source }
    }
}
