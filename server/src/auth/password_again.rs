//! Whoever is signed in gives their password once more, before what a session that was left
//! open must not do.

use serde_json::json;
use uuid::Uuid;

use super::told::Told;
use crate::access::Authorized;
use crate::app::App;
use crate::error::Error;
use crate::names::MemberName;
use crate::passwords::PASSWORD_MAX;
use crate::passwords::attempts::Attempt;
use crate::texts::Violations;

/// What is wrong with a password that is not the caller's.
const PASSWORD_WRONG: &str = "the password is not the one that you have";

/// Whoever calls.
pub(super) struct Person {
    pub(super) id: Uuid,
    pub(super) email: String,
    pub(super) member: MemberName,
    pub(super) display_name: String,
    password_hash: String,
}

/// Refuses what is no password.
pub(super) fn check(violations: &mut Violations, password: &str) {
    let good = (1..=PASSWORD_MAX).contains(&password.len());
    let description = format!("give the password, of at most {PASSWORD_MAX} bytes");
    violations.require(good, "password", description);
}

impl Person {
    /// Finds the person of the session that calls.
    pub(super) async fn of(app: &App, authorized: &Authorized) -> Result<Self, Error> {
        let session = authorized.session()?;
        let row = sqlx::query!(
            r#"select p.email, p.password_hash as "password_hash!", m.id as member,
                      m.display_name
               from sessions s
               join members m on m.id = s.member_id
               join people p on p.id = m.person_id
               where s.id = $1"#,
            session.id,
        )
        .fetch_one(&app.pools.authentication)
        .await?;
        Ok(Self {
            id: session.person,
            email: row.email,
            member: MemberName { uid: row.member },
            display_name: row.display_name,
            password_hash: row.password_hash,
        })
    }

    /// Demands that a password is theirs.
    ///
    /// # Errors
    /// [`Error::ProofInvalid`], [`Error::Exhausted`].
    pub(super) async fn demand(
        &self,
        app: &App,
        authorized: &Authorized,
        password: String,
    ) -> Result<(), Error> {
        let turn = app.passwords.turn().await?;
        let address = authorized.origin().address;
        let attempt = Attempt::begin(&app.pools.write, &self.email, address).await?;
        let hash = self.password_hash.clone();
        if turn.verify(password, Some(hash)).await? {
            return attempt.succeeded().await;
        }
        attempt.failed().await?;
        let told = Told::by(authorized, self.member);
        let mut connection = app.pools.write.acquire().await?;
        told.tell_refused(&mut connection, "password", json!({}))
            .await?;
        Err(Error::ProofInvalid {
            description: PASSWORD_WRONG,
        })
    }
}
