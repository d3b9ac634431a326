//! Making tokens, and what becomes of them.

use std::time::Duration;

use burgee_hub::credential::{self, Kind, Secret};
use burgee_proto::types::v1::ErrorReason;
use sqlx::PgConnection;
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use super::{Scopes, Token, read, record};
use crate::change::Change;
use crate::error::Error;
use crate::members::Subject;
use crate::names::{SubjectName, TokenName};
use crate::{credentials, random};

/// The most live tokens of an account or a member.
const TOKENS_MAX: i64 = 100;

/// What a token shall be.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// What people call it.
    pub display_name: String,
    /// When it ends. None: never.
    pub expires_at: Option<OffsetDateTime>,
    /// What it may be used for. None: all that its owner may do.
    pub scopes: Option<Scopes>,
}

/// Makes a token. Whether the caller may is theirs to ask who know whose it is.
///
/// # Errors
/// [`Error::Limit`].
pub async fn make(
    change: &mut Change,
    (owner, name): (Subject, SubjectName),
    new: NewToken,
) -> Result<(Token, Secret), Error> {
    let member = name.member();
    let kind = match member {
        Some(_) => Kind::Personal,
        None => Kind::ServiceAccount,
    };
    keep_limit(change, owner, &name).await?;
    let secret = credential::generate(kind, random::bytes()?);
    let token = Token {
        id: Uuid::now_v7(),
        owner: name,
        display_name: new.display_name,
        secret_prefix: credentials::prefix(&secret),
        scopes: new.scopes,
        dev: change.app.dev,
        creator: change.actor().to_owned(),
        created_at: change.now(),
        expires_at: new.expires_at,
        revoked_at: None,
        last_used_at: None,
    };
    let hash = secret.hash();
    let scopes = token.scopes.as_ref();
    let permissions = scopes.map(Scopes::names);
    sqlx::query!(
        "insert into tokens (id, service_account_id, member_id, hash, secret_prefix, dev,
                             created_at, expires_at, display_name, creator, permissions,
                             project_id, environment_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        token.id,
        member.is_none().then_some(owner.id),
        member,
        hash.as_slice(),
        token.secret_prefix,
        token.dev,
        token.created_at,
        token.expires_at,
        token.display_name,
        token.creator,
        permissions.as_deref(),
        scopes.and_then(|scopes| scopes.project),
        scopes.and_then(|scopes| scopes.environment),
    )
    .execute(change.connection())
    .await?;
    record(change, None, Some(&token))?;
    Ok((token, secret))
}

async fn keep_limit(change: &mut Change, owner: Subject, name: &SubjectName) -> Result<(), Error> {
    let now = change.now();
    let live = sqlx::query_scalar!(
        r#"select count(*) as "live!" from tokens
           where (service_account_id = $1 or member_id = $1) and revoked_at is null
             and (expires_at is null or expires_at > $2)"#,
        owner.id,
        now,
    )
    .fetch_one(change.connection())
    .await?;
    if live >= TOKENS_MAX {
        let description = format!("there are {TOKENS_MAX} live tokens; revoke some first");
        return Err(Error::limit("tokens", TOKENS_MAX, name, description));
    }
    Ok(())
}

/// Makes a successor of a token, which lives as long as the old one was meant to and is good for
/// the same. Gives it with its secret, and the old one, which ends after an overlap.
///
/// # Errors
/// [`Error::NotFound`], [`ErrorReason::KeyEnded`], [`Error::Limit`].
pub async fn rotate(
    change: &mut Change,
    name: &TokenName,
    overlap: Duration,
) -> Result<(Token, Secret, Token), Error> {
    let (owner, old) = read(change, name).await?;
    if !old.is_live(change.now()) {
        let description = "the token has ended; make a new one";
        let reason = ErrorReason::KeyEnded;
        return Err(Error::precondition(reason, name, description));
    }
    let now = change.now();
    let new = NewToken {
        display_name: old.display_name.clone(),
        expires_at: credentials::successors_end(old.created_at, old.expires_at, now),
        scopes: old.scopes.clone(),
    };
    let (new, secret) = make(change, (owner, old.owner.clone()), new).await?;
    let mut replaced = old.clone();
    replaced.expires_at = Some(credentials::end_of_replaced(old.expires_at, overlap, now));
    write(change, &old, &replaced).await?;
    Ok((new, secret, replaced))
}

/// Ends a token. Ending what has ended is no fault.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn revoke(change: &mut Change, name: &TokenName) -> Result<Token, Error> {
    let (_, token) = read(change, name).await?;
    if token.revoked_at.is_some() {
        return Ok(token);
    }
    let mut revoked = token.clone();
    revoked.revoked_at = Some(change.now());
    write(change, &token, &revoked).await?;
    Ok(revoked)
}

/// Writes when a token ends, and tells the audit log.
async fn write(change: &mut Change, before: &Token, after: &Token) -> Result<(), Error> {
    sqlx::query!(
        "update tokens set expires_at = $2, revoked_at = $3 where id = $1",
        after.id,
        after.expires_at,
        after.revoked_at,
    )
    .execute(change.connection())
    .await?;
    record(change, Some(before), Some(after))
}

/// Ends all tokens of a person, in all of their organizations.
///
/// # Errors
/// Those of the database.
pub async fn end_of_person(connection: &mut PgConnection, person: Uuid) -> Result<(), Error> {
    sqlx::query!(
        "update tokens t set revoked_at = clock_timestamp()
         from members m
         where m.id = t.member_id and m.person_id = $1 and t.revoked_at is null",
        person,
    )
    .execute(connection)
    .await?;
    Ok(())
}
