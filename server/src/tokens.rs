//! Tokens of the control plane, as rows: of service accounts, and of people.

pub mod make;
pub mod scopes;

use burgee_proto::admin::v1::{PersonalToken, ServiceAccountToken};
use sqlx::PgConnection;
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use crate::change::Change;
use crate::error::Error;
use crate::members::{Subject, find_subject};
use crate::names::{MemberName, ServiceAccountName, SubjectName, TokenName};
use crate::page::{Page, TimePlace};
use crate::stored::timestamp;

pub use make::{NewToken, end_of_person, make, revoke, rotate};
pub use scopes::Scopes;

/// A token, without its secret.
#[derive(Debug, Clone)]
pub struct Token {
    /// The token's uid.
    pub id: Uuid,
    /// Whose it is.
    pub owner: SubjectName,
    /// What people call it.
    pub display_name: String,
    /// The secret's first characters.
    pub secret_prefix: String,
    /// What it may be used for. None: all that its owner may do.
    pub scopes: Option<Scopes>,
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

/// Which tokens to read. All that is set must hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// This one.
    pub id: Option<Uuid>,
    /// Those that were revoked too.
    pub include_revoked: bool,
    /// After this place in the order.
    pub after: Option<TimePlace>,
    /// At most so many. None: all.
    pub rows: Option<i64>,
}

impl Token {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> TokenName {
        TokenName {
            owner: self.owner.clone(),
            uid: self.id,
        }
    }

    /// Its place in a list.
    #[must_use]
    pub fn place(&self) -> TimePlace {
        TimePlace {
            time: self.created_at,
            id: self.id,
        }
    }

    /// As answers show a service account's.
    #[must_use]
    pub fn show(&self) -> ServiceAccountToken {
        ServiceAccountToken {
            name: self.name().to_string(),
            uid: self.id.to_string(),
            display_name: self.display_name.clone(),
            secret_prefix: self.secret_prefix.clone(),
            expire_time: self.expires_at.map(timestamp),
            revoke_time: self.revoked_at.map(timestamp),
            last_used_time: self.last_used_at.map(timestamp),
            dev: self.dev,
            creator: self.creator.clone(),
            create_time: Some(timestamp(self.created_at)),
            scopes: self.scopes.as_ref().map(Scopes::show),
        }
    }

    /// As answers show a person's.
    #[must_use]
    pub fn show_personal(&self) -> PersonalToken {
        PersonalToken {
            name: self.name().to_string(),
            uid: self.id.to_string(),
            display_name: self.display_name.clone(),
            secret_prefix: self.secret_prefix.clone(),
            scopes: self.scopes.as_ref().map(Scopes::show),
            expire_time: self.expires_at.map(timestamp),
            revoke_time: self.revoked_at.map(timestamp),
            last_used_time: self.last_used_at.map(timestamp),
            dev: self.dev,
            create_time: Some(timestamp(self.created_at)),
        }
    }

    /// Whether it opens anything at that time.
    #[must_use]
    pub fn is_live(&self, now: OffsetDateTime) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| end > now)
    }
}

/// Reads the tokens of a service account or a member, oldest first.
///
/// # Errors
/// Those of the database.
pub async fn list(
    connection: &mut PgConnection,
    owner: Uuid,
    wanted: Wanted,
) -> Result<Vec<Token>, Error> {
    let after = wanted.after.map(|place| (place.time, place.id));
    let (after_time, after_id) = after.unzip();
    let rows = sqlx::query!(
        r#"select t.id, a.key as "account?", t.member_id, t.display_name, t.secret_prefix, t.dev,
                  t.creator, t.created_at, t.expires_at, t.revoked_at, t.last_used_at,
                  t.permissions, t.project_id, t.environment_id,
                  p.key as "project?", e.key as "environment?"
           from tokens t
           left join service_accounts a on a.id = t.service_account_id
           left join environments e on e.id = t.environment_id
           left join projects p on p.id = coalesce(t.project_id, e.project_id)
           where (t.service_account_id = $1 or t.member_id = $1)
             and ($2::uuid is null or t.id = $2)
             and ($3 or t.revoked_at is null)
             and ($4::timestamptz is null or (t.created_at, t.id) > ($4, $5))
           order by t.created_at, t.id limit $6"#,
        owner,
        wanted.id,
        wanted.include_revoked,
        after_time,
        after_id,
        wanted.rows,
    )
    .fetch_all(connection)
    .await?;
    let tokens = rows.into_iter().map(|row| Token {
        id: row.id,
        owner: owner_of(row.account, row.member_id),
        display_name: row.display_name,
        secret_prefix: row.secret_prefix,
        scopes: row.permissions.map(|permissions| {
            let place = (row.project, row.environment).into();
            Scopes::read(&permissions, place, (row.project_id, row.environment_id))
        }),
        dev: row.dev,
        creator: row.creator,
        created_at: row.created_at,
        expires_at: row.expires_at,
        revoked_at: row.revoked_at,
        last_used_at: row.last_used_at,
    });
    Ok(tokens.collect())
}

/// The owner of a token's row: an account, by its key, or else a member.
#[must_use]
pub fn owner_of(account: Option<String>, member: Option<Uuid>) -> SubjectName {
    match (account, member) {
        (Some(account), _) => ServiceAccountName { account }.into(),
        (None, uid) => MemberName {
            uid: uid.unwrap_or_default(),
        }
        .into(),
    }
}

/// Reads a page of an owner's tokens, as `show` shows them, and the token of the next page.
///
/// # Errors
/// [`Error::NotFound`] for the owner, [`Error::Invalid`] for a bad page.
pub async fn list_page<M>(
    connection: &mut PgConnection,
    (organization, owner): (Uuid, SubjectName),
    (page_size, page_token, include_revoked): (i32, &str, bool),
    show: impl Fn(&Token) -> M,
) -> Result<(Vec<M>, String), Error> {
    let question = [owner.to_string(), include_revoked.to_string()];
    let page = Page::parse(
        page_size,
        page_token,
        &question.each_ref().map(String::as_str),
    )?;
    let wanted = Wanted {
        include_revoked,
        after: page.after()?,
        rows: Some(page.rows()),
        ..Wanted::default()
    };
    let found = find_subject(connection, organization, &owner).await?;
    let id = found.ok_or_else(|| Error::not_found(&owner))?.id;
    let mut tokens = list(connection, id, wanted).await?;
    let next_page_token = page.cut(&mut tokens, |token| token.place().to_string());
    Ok((tokens.iter().map(show).collect(), next_page_token))
}

/// Reads a token of the caller's organization, under its lock, with its owner.
///
/// # Errors
/// [`Error::NotFound`].
async fn read(change: &mut Change, name: &TokenName) -> Result<(Subject, Token), Error> {
    let organization = change.authorized.organization();
    let owner = find_subject(change.connection(), organization, &name.owner).await?;
    let owner = owner.ok_or_else(|| Error::not_found(name))?;
    let wanted = Wanted {
        id: Some(name.uid),
        include_revoked: true,
        ..Wanted::default()
    };
    let token = list(change.connection(), owner.id, wanted).await?.pop();
    Ok((owner, token.ok_or_else(|| Error::not_found(name))?))
}

/// Tells the audit log of a token.
fn record(change: &mut Change, before: Option<&Token>, after: Option<&Token>) -> Result<(), Error> {
    let Some(token) = before.or(after) else {
        return Ok(());
    };
    let (name, both) = (token.name(), [before, after]);
    if token.owner.member().is_some() {
        let [before, after] = both.map(|it| it.map(Token::show_personal));
        return change.record_resource(name, "personalToken", (before.as_ref(), after.as_ref()));
    }
    let [before, after] = both.map(|it| it.map(Token::show));
    change.record_resource(
        name,
        "serviceAccountToken",
        (before.as_ref(), after.as_ref()),
    )
}
