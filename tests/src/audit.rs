//! The audit log behind the API: its seals, and whoever tampers with it.

use burgee_server::audit::verify::{Expected, Finding, Problem, Report, verify};
use burgee_server::keyring::{Key, Keyring, Purpose};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::postgres::TestDatabase;
use crate::wait::{SOON, until};

/// A key for the seals, as an operator writes it.
#[must_use]
pub fn key(byte: u8) -> String {
    Key::new(Purpose::AuditLog, [byte; 32]).encoded()
}

/// What a log is held against: these keys, newest first.
///
/// # Panics
///
/// When they are none.
#[must_use]
pub fn sealed_with(keys: &str) -> Expected {
    Expected {
        keys: Keyring::parse(Purpose::AuditLog, keys).unwrap(),
        ..Expected::default()
    }
}

impl TestDatabase {
    /// Waits until every entry of the audit log is sealed.
    pub async fn is_sealed(&self) {
        let unsealed = "select count(*) from audit_entries e
            where not exists (select from audit_seals s where s.audit_id = e.id)";
        until("every entry is sealed", SOON, async || {
            self.number(unsealed).await == 0
        })
        .await;
    }

    /// Holds the audit log against what is expected of it.
    ///
    /// # Errors
    ///
    /// Where it first differs.
    ///
    /// # Panics
    ///
    /// When it cannot be read.
    pub async fn verify_audit(&self, expected: &Expected) -> Result<Report, Finding> {
        let mut connection = PgConnection::connect(self.url()).await.unwrap();
        match verify(&mut connection, expected).await {
            Ok(report) => Ok(report),
            Err(Problem::Found(finding)) => Err(finding),
            Err(Problem::Unread(error)) => panic!("{error:?}"),
        }
    }

    /// Does what SQL says, as the owner of the tables.
    ///
    /// # Errors
    ///
    /// What Postgres says.
    pub async fn execute(&self, sql: String) -> Result<(), sqlx::Error> {
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(self.pool()).await;
        done.map(|_| ())
    }
}
