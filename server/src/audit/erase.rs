//! `burgee-server audit erase`: blanks what the log holds of a person, or of any other actor, and
//! the reasons that they gave in change sets. That something was done, and when, stays; the seals
//! stay whole; and the erasure is told by entries of its own.

use std::fmt;

use burgee_proto::admin::v1::ChangeSet;
use prost::Message as _;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Error;
use crate::failure::Failure;

/// How entries that tell of an erasure say what was done.
pub const METHOD: &str = "audit-erase";
/// How many entries one transaction blanks, and one entry tells of.
const ROWS_MAX: i64 = 500;
/// What an entry holds of whoever did it.
const BY: [&str; 3] = ["reason", "address", "user_agent"];
/// What an entry holds of whom it was done to.
const ABOUT: [&str; 4] = ["before", "after", "detail", "reason"];

/// Whose data, and why.
#[derive(Debug, Clone)]
pub struct Erasure {
    /// The key of the organization.
    pub organization: String,
    /// What history calls them, such as `members/{uid}`.
    pub subject: String,
    /// Why.
    pub reason: String,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erased {
    /// Entries by the subject.
    pub by: usize,
    /// Entries about the subject.
    pub about: usize,
    /// Change sets by the subject, whose reason was given in free text.
    pub change_sets: usize,
    /// Entries that hold data still, because they are not sealed yet.
    pub waiting: usize,
}

impl fmt::Display for Erased {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (by, about) = (self.by, self.about);
        write!(
            formatter,
            "was blanked in {by} entries by it and {about} about it, and in {} change sets",
            self.change_sets
        )?;
        match self.waiting {
            0 => Ok(()),
            waiting => write!(
                formatter,
                "; {waiting} more are not sealed yet: run this again once a server has sealed them"
            ),
        }
    }
}

/// Blanks all that is sealed. Needs the right to call `audit_erase`, which the migration role
/// has.
///
/// # Errors
/// [`Failure::Refused`] for an organization that is not there, and for whoever its log has never
/// heard of; [`Failure::Database`], for whoever lacks the right. What was blanked stays so.
pub async fn erase(connection: &mut PgConnection, erasure: &Erasure) -> Result<Erased, Failure> {
    let organization = sqlx::query_scalar!(
        "select id from organizations where key = $1",
        erasure.organization
    )
    .fetch_optional(&mut *connection)
    .await?
    .ok_or_else(|| Error::not_found(format!("organizations/{}", erasure.organization)))?;
    // A slip of the pen must not look like a person forgotten.
    if !is_told_of(connection, organization, &erasure.subject).await? {
        let what = format!("an entry by or about {}", erasure.subject);
        return Err(Error::not_found(what).into());
    }
    let mut erased = Erased {
        change_sets: erase_reasons(connection, organization, &erasure.subject).await?,
        ..Erased::default()
    };
    // Asked first: what tells it is blanked.
    let emails = emails(connection, organization, &erasure.subject).await?;
    loop {
        let held = held(connection, organization, (&erasure.subject, &emails)).await?;
        let ids = |about: bool| -> Vec<i64> {
            let held = held.iter().filter(|entry| entry.sealed);
            let held = held.filter(|entry| if about { entry.about } else { entry.by });
            held.map(|entry| entry.id).collect()
        };
        let (by, about) = (ids(false), ids(true));
        if by.is_empty() && about.is_empty() {
            erased.waiting = held.len();
            return Ok(erased);
        }
        erased.by += by.len();
        erased.about += about.len();
        for (entries, parts) in [(by, BY.as_slice()), (about, &ABOUT)] {
            if entries.is_empty() {
                continue;
            }
            let parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
            sqlx::query!(
                "select audit_erase($1, $2, $3, $4, $5)",
                organization,
                erasure.subject,
                erasure.reason,
                &parts,
                &entries,
            )
            .execute(&mut *connection)
            .await?;
        }
    }
}

/// Whether the log has an entry by the subject, or about it.
async fn is_told_of(
    connection: &mut PgConnection,
    organization: Uuid,
    subject: &str,
) -> Result<bool, Error> {
    let told = sqlx::query_scalar!(
        r#"select exists (
               select from audit_entries where organization_id = $1 and actor = $2
           ) or exists (
               select from audit_entries where organization_id = $1 and resource = $2
           ) as "told!""#,
        organization,
        subject,
    );
    Ok(told.fetch_one(connection).await?)
}

/// The e-mail addresses of a member, as the log or the member's row has them.
async fn emails(
    connection: &mut PgConnection,
    organization: Uuid,
    subject: &str,
) -> Result<Vec<String>, Error> {
    let emails = sqlx::query_scalar!(
        r#"select p.email as "email!" from members m join people p on p.id = m.person_id
           where m.organization_id = $1 and 'members/' || m.id = $2
           union
           select told.email
           from audit_entries e
           cross join lateral (values (e.before ->> 'email'), (e.after ->> 'email')) as told(email)
           where e.organization_id = $1 and e.resource = $2 and told.email is not null"#,
        organization,
        subject,
    );
    Ok(emails.fetch_all(connection).await?)
}

/// Blanks the reasons of change sets by the subject; gives how many there were.
async fn erase_reasons(
    connection: &mut PgConnection,
    organization: Uuid,
    subject: &str,
) -> Result<usize, Error> {
    let mut erased = 0;
    let mut after = Uuid::nil();
    loop {
        let rows = sqlx::query!(
            "select id, body from change_sets
             where organization_id = $1 and author = $2 and id > $3
             order by id limit $4",
            organization,
            subject,
            after,
            ROWS_MAX,
        )
        .fetch_all(&mut *connection)
        .await?;
        let Some(last) = rows.last() else {
            return Ok(erased);
        };
        after = last.id;
        for row in rows {
            let mut change_set = ChangeSet::decode(row.body.as_slice())?;
            if change_set.reason.is_empty() {
                continue;
            }
            change_set.reason.clear();
            sqlx::query!(
                "update change_sets set body = $2 where id = $1",
                row.id,
                change_set.encode_to_vec(),
            )
            .execute(&mut *connection)
            .await?;
            erased += 1;
        }
    }
}

/// An entry that holds something of the subject.
struct Held {
    id: i64,
    by: bool,
    about: bool,
    sealed: bool,
}

/// Some of these entries, the sealed ones first. Those of invitations to an address of the subject
/// are about them, too.
async fn held(
    connection: &mut PgConnection,
    organization: Uuid,
    (subject, emails): (&str, &[String]),
) -> Result<Vec<Held>, Error> {
    let held = sqlx::query_as!(
        Held,
        r#"select id, by as "by!", about as "about!", sealed as "sealed!"
           from (
               select e.id,
                      e.actor = $2 and (e.reason, e.address, e.user_agent) <> ('', '', '') as by,
                      (e.resource = $2 or starts_with(e.resource, $2 || '/')
                       or (starts_with(e.resource, 'invitations/')
                           and (e.before ->> 'email' = any($5) or e.after ->> 'email' = any($5)
                                or e.detail ->> 'email' = any($5))))
                      and (e.reason <> '' or e.before is not null or e.after is not null
                           or e.detail is not null) as about,
                      exists (select from audit_seals s where s.audit_id = e.id) as sealed
               from audit_entries e
               where e.organization_id = $1 and e.method <> $3
           ) as entries
           where by or about
           order by sealed desc, id limit $4"#,
        organization,
        subject,
        METHOD,
        ROWS_MAX,
        emails,
    );
    Ok(held.fetch_all(connection).await?)
}
