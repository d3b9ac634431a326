//! What the audit log is told of what people do with their own password and second factor.

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::access::{Authorized, Origin};
use crate::audit::append::{Event, append};
use crate::error::Error;
use crate::names::MemberName;

/// Who did it, or tried, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told<'a> {
    pub(super) organization: Uuid,
    pub(super) member: MemberName,
    pub(super) method: &'a str,
    pub(super) origin: &'a Origin,
}

impl<'a> Told<'a> {
    /// What a member does who is signed in.
    pub(super) fn by(authorized: &'a Authorized, member: MemberName) -> Self {
        Self {
            organization: authorized.organization(),
            member,
            method: authorized.method(),
            origin: authorized.origin(),
        }
    }

    /// Tells what was done with a part of them.
    pub(super) async fn tell(
        self,
        connection: &mut PgConnection,
        part: &str,
        detail: Value,
    ) -> Result<(), Error> {
        self.append(connection, (part, detail), false).await
    }

    /// Tells what was refused.
    pub(super) async fn tell_refused(
        self,
        connection: &mut PgConnection,
        part: &str,
        detail: Value,
    ) -> Result<(), Error> {
        self.append(connection, (part, detail), true).await
    }

    async fn append(
        self,
        connection: &mut PgConnection,
        (part, detail): (&str, Value),
        denied: bool,
    ) -> Result<(), Error> {
        let member = self.member.to_string();
        let event = Event {
            organization: self.organization,
            actor: &member,
            method: self.method,
            resource: &member,
            part,
            origin: self.origin,
            denied,
            detail,
        };
        append(connection, event).await
    }
}
