//! Tokens of service accounts, as rows.

use burgee_proto::admin::v1::ServiceAccountToken;
use sqlx::PgConnection;
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use crate::change::Change;
use crate::error::Error;
use crate::names::{ServiceAccountName, TokenName};
use crate::page::TimePlace;
use crate::stored::timestamp;

/// A token, without its secret.
#[derive(Debug, Clone)]
pub struct Token {
    /// The token's uid.
    pub id: Uuid,
    /// What people call it.
    pub display_name: String,
    /// The secret's first characters.
    pub secret_prefix: String,
    /// Made by `burgee-server dev`.
    pub dev: bool,
    /// Who made it.
    pub creator: String,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it ends.
    pub expires_at: Option<OffsetDateTime>,
    /// When it was revoked.
    pub revoked_at: Option<OffsetDateTime>,
    /// When it was last used.
    pub last_used_at: Option<OffsetDateTime>,
}

impl Token {
    /// Its place in a list.
    #[must_use]
    pub fn place(&self) -> TimePlace {
        TimePlace {
            time: self.created_at,
            id: self.id,
        }
    }

    /// As answers show it.
    #[must_use]
    pub fn show(&self, account: &ServiceAccountName) -> ServiceAccountToken {
        ServiceAccountToken {
            name: account.token(self.id).to_string(),
            uid: self.id.to_string(),
            display_name: self.display_name.clone(),
            secret_prefix: self.secret_prefix.clone(),
            expire_time: self.expires_at.map(timestamp),
            revoke_time: self.revoked_at.map(timestamp),
            last_used_time: self.last_used_at.map(timestamp),
            dev: self.dev,
            creator: self.creator.clone(),
            create_time: Some(timestamp(self.created_at)),
        }
    }

    /// Whether it opens anything at that time.
    #[must_use]
    pub fn is_live(&self, now: OffsetDateTime) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| end > now)
    }
}

/// Reads an account's tokens, oldest first: with those that were revoked or without, after a
/// place, at most so many.
///
/// # Errors
/// Those of the database.
pub async fn list(
    connection: &mut PgConnection,
    account: Uuid,
    (revoked, after, rows): (bool, Option<TimePlace>, i64),
) -> Result<Vec<Token>, Error> {
    let (after_time, after_id) = after.map(|place| (place.time, place.id)).unzip();
    let tokens = sqlx::query_as!(
        Token,
        "select id, display_name, secret_prefix, dev, creator, created_at, expires_at,
                revoked_at, last_used_at
         from service_account_tokens
         where service_account_id = $1
           and ($2 or revoked_at is null)
           and ($3::timestamptz is null or (created_at, id) > ($3, $4))
         order by created_at, id limit $5",
        account,
        revoked,
        after_time,
        after_id,
        rows,
    )
    .fetch_all(connection)
    .await?;
    Ok(tokens)
}

/// Reads a token of the caller's organization, under its lock.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn read(change: &mut Change, name: &TokenName) -> Result<Token, Error> {
    let organization = change.authorized.organization();
    let token = sqlx::query_as!(
        Token,
        "select t.id, t.display_name, t.secret_prefix, t.dev, t.creator, t.created_at,
                t.expires_at, t.revoked_at, t.last_used_at
         from service_account_tokens t
         join service_accounts a on a.id = t.service_account_id
         where a.organization_id = $1 and a.key = $2 and t.id = $3",
        organization,
        name.account,
        name.uid,
    )
    .fetch_optional(change.connection())
    .await?;
    token.ok_or_else(|| Error::not_found(name))
}

/// Tells the audit log of a token.
///
/// # Errors
/// [`Error::Internal`].
pub fn record(
    change: &mut Change,
    account: &ServiceAccountName,
    before: Option<&Token>,
    after: Option<&Token>,
) -> Result<(), Error> {
    let name = before.or(after).map(|it| account.token(it.id).to_string());
    let [before, after] = [before, after].map(|it| it.map(|it| it.show(account)));
    let parts = (before.as_ref(), after.as_ref());
    change.record_resource(name.unwrap_or_default(), "serviceAccountToken", parts)
}
