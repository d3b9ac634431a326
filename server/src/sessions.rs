//! Sessions: a person who is signed in to one organization. Operational rows: nothing here says
//! who may do what.

use burgee_hub::credential::{self, Kind, Secret};
use burgee_proto::admin::v1::Session;
use sqlx::types::time::OffsetDateTime;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::access::Origin;
use crate::error::Error;
use crate::names::{IdentityProviderName, MemberName, SessionName};
use crate::random;
use crate::stored::timestamp;

/// How many sessions a list shows.
const LIST_MAX: i64 = 100;

/// A session, without its secret.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its uid.
    pub id: Uuid,
    /// The key of its organization.
    pub organization: String,
    address: String,
    user_agent: String,
    created_at: OffsetDateTime,
    last_seen_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    second_factor: bool,
    identity_provider: Option<String>,
}

/// What somebody has proven to begin a session.
#[derive(Debug, Clone)]
pub struct Proven {
    /// By what.
    pub by: By,
    /// A second factor. Without one they have none, or an identity provider asked for its own.
    pub second_factor: bool,
}

/// By what somebody has proven who they are.
#[derive(Debug, Clone)]
pub enum By {
    /// The password of this hash.
    Password(String),
    /// An identity provider, which knows them by this identity.
    Identity(Uuid),
    /// Another session of theirs. The new one ends with it at the latest.
    Session(Uuid),
}

impl Row {
    /// As answers show it, in a call of the session `current`.
    #[must_use]
    pub fn show(&self, current: Uuid) -> Session {
        Session {
            name: SessionName { uid: self.id }.to_string(),
            uid: self.id.to_string(),
            organization: self.organization.clone(),
            address: self.address.clone(),
            user_agent: self.user_agent.clone(),
            create_time: Some(timestamp(self.created_at)),
            last_seen_time: Some(timestamp(self.last_seen_at)),
            expire_time: Some(timestamp(self.expires_at)),
            current: self.id == current,
            second_factor: self.second_factor,
            identity_provider: self
                .identity_provider
                .clone()
                .map(|provider| IdentityProviderName { provider }.to_string())
                .unwrap_or_default(),
        }
    }
}

/// What is wrong with a proof that holds no longer.
const HOLDS_NO_LONGER: Error = Error::ProofInvalid {
    description: "what was proven, or the member or identity provider, lets nobody in any more",
};

/// Signs a member in, who proved a second factor or has none.
///
/// # Errors
/// [`Error::ProofInvalid`] for one who was deactivated in the meantime, or whose identity
/// provider was, or who changed what they proved.
pub async fn begin(
    connection: &mut PgConnection,
    (member, proven): (Uuid, Proven),
    origin: &Origin,
) -> Result<(Row, Secret), Error> {
    let ends_by = match &proven.by {
        By::Identity(_) => None,
        By::Password(hash) => {
            lock_person(connection, member).await?;
            check_password(connection, member, (hash, proven.second_factor)).await?;
            None
        }
        By::Session(session) => {
            lock_person(connection, member).await?;
            Some(end_of(connection, *session).await?)
        }
    };
    let identity = match proven.by {
        By::Identity(identity) => Some(identity),
        By::Password(_) | By::Session(_) => None,
    };
    let secret = credential::generate(Kind::Session, random::bytes()?);
    let hash = secret.hash();
    // The locks: whoever deactivates the member or disables the identity provider ends this
    // session too, or comes first.
    let row = sqlx::query_as!(
        Row,
        r#"with member as (
               select m.id, o.key, o.session_lifetime_seconds from members m
               join organizations o on o.id = m.organization_id
               where m.id = $2 and not m.deactivated
               for share of m
           ),
           identity as (
               select i.id, ip.key from identities i
               join identity_providers ip on ip.id = i.identity_provider_id
               where i.id = $6 and i.member_id = $2 and not ip.disabled
               for share of i, ip
           ),
           session as (
               insert into sessions (id, member_id, hash, address, user_agent, second_factor,
                                     identity_id, expires_at)
               select $1, m.id, $3, $4, $5, $7, i.id,
                      least(clock_timestamp() + make_interval(secs => session_lifetime_seconds), $8)
               from member m left join identity i on true
               where $6::uuid is null or i.id is not null
               returning id, address, user_agent, created_at, last_seen_at, expires_at,
                         second_factor
           )
           select s.id, m.key as organization, s.address, s.user_agent, s.created_at,
                  s.last_seen_at, s.expires_at, s.second_factor,
                  i.key as "identity_provider?"
           from session s cross join member m left join identity i on true"#,
        Uuid::now_v7(),
        member,
        hash.as_slice(),
        origin.address_text(),
        &*origin.user_agent,
        identity,
        proven.second_factor,
        ends_by,
    )
    .fetch_optional(connection)
    .await?;
    let row = row.ok_or(HOLDS_NO_LONGER)?;
    Ok((row, secret))
}

/// Waits for whoever ends the sessions of a member's person, and makes others wait.
async fn lock_person(connection: &mut PgConnection, member: Uuid) -> Result<(), Error> {
    sqlx::query_scalar!(
        "select p.id from people p join members m on m.person_id = p.id
         where m.id = $1 for share of p",
        member,
    )
    .fetch_optional(connection)
    .await?;
    Ok(())
}

/// Refuses a password that was changed since it was found right, and one alone where a second
/// factor was set since.
async fn check_password(
    connection: &mut PgConnection,
    member: Uuid,
    (hash, second_factor): (&str, bool),
) -> Result<(), Error> {
    let holds = sqlx::query_scalar!(
        r#"select p.password_hash = $2
                  and ($3 or not exists (
                      select from second_factors f
                      where f.person_id = p.id and f.confirmed_at is not null)) as "holds!"
           from people p join members m on m.person_id = p.id
           where m.id = $1 and p.password_hash is not null"#,
        member,
        hash,
        second_factor,
    )
    .fetch_optional(connection)
    .await?;
    match holds {
        Some(true) => Ok(()),
        _ => Err(HOLDS_NO_LONGER),
    }
}

/// Refuses a session that has ended since somebody was recognised by it: what they proved before
/// may have been what ended it. Whoever would end it waits until this transaction is over.
///
/// # Errors
/// [`Error::ProofInvalid`].
pub async fn demand_live(
    connection: &mut PgConnection,
    person: Uuid,
    session: Uuid,
) -> Result<(), Error> {
    shut_out(connection, person).await?;
    end_of(connection, session).await.map(drop)
}

/// Makes whoever begins or ends a session of a person wait, and waits for them.
async fn shut_out(connection: &mut PgConnection, person: Uuid) -> Result<(), Error> {
    sqlx::query_scalar!(
        "select id from people where id = $1 for no key update",
        person
    )
    .fetch_optional(connection)
    .await?;
    Ok(())
}

/// When a session ends that opens something still. Nobody ends it meanwhile.
async fn end_of(connection: &mut PgConnection, session: Uuid) -> Result<OffsetDateTime, Error> {
    let end = sqlx::query_scalar!(
        r#"select end_of_session(s, o) as "end!"
           from sessions s
           join members m on m.id = s.member_id
           join organizations o on o.id = m.organization_id
           where s.id = $1 and not m.deactivated and session_is_live(s, o)
           for share of s"#,
        session,
    )
    .fetch_optional(connection)
    .await?;
    end.ok_or(HOLDS_NO_LONGER)
}

/// Which of a person's sessions somebody may see and end.
#[derive(Debug, Clone, Copy)]
pub struct Of {
    /// The person.
    pub person: Uuid,
    /// Only in this organization. None: in all.
    pub organization: Option<Uuid>,
}

/// Reads a person's sessions that have not ended, newest first.
///
/// # Errors
/// Those of the database.
pub async fn list(pool: &PgPool, of: Of) -> Result<Vec<Row>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select s.id, o.key as organization, s.address, s.user_agent, s.created_at,
                  s.last_seen_at, end_of_session(s, o) as "expires_at!", s.second_factor,
                  ip.key as "identity_provider?"
           from sessions s
           join members m on m.id = s.member_id
           join organizations o on o.id = m.organization_id
           left join identities i on i.id = s.identity_id
           left join identity_providers ip on ip.id = i.identity_provider_id
           where m.person_id = $1 and ($3::uuid is null or o.id = $3)
             and not m.deactivated and session_is_live(s, o)
           order by s.created_at desc, s.id limit $2"#,
        of.person,
        LIST_MAX,
        of.organization,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

/// Ends one of a person's sessions. None: there is no such session, or it has ended.
///
/// # Errors
/// Those of the database.
pub async fn end(
    connection: &mut PgConnection,
    of: Of,
    session: Uuid,
) -> Result<Option<Row>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"update sessions s set ended_at = clock_timestamp()
           from members m join organizations o on o.id = m.organization_id
           where m.id = s.member_id and m.person_id = $1 and s.id = $2 and s.ended_at is null
             and ($3::uuid is null or o.id = $3)
           returning s.id, o.key as organization, s.address, s.user_agent, s.created_at,
                     s.last_seen_at, end_of_session(s, o) as "expires_at!",
                     s.second_factor,
                     (select ip.key from identities i
                      join identity_providers ip on ip.id = i.identity_provider_id
                      where i.id = s.identity_id) as "identity_provider?""#,
        of.person,
        session,
        of.organization,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// The organization that a session opens, and its member whose it is.
///
/// # Errors
/// Those of the database.
pub async fn owner(
    connection: &mut PgConnection,
    session: Uuid,
) -> Result<(Uuid, MemberName), Error> {
    let owner = sqlx::query!(
        "select m.organization_id, m.id from sessions s join members m on m.id = s.member_id
         where s.id = $1",
        session,
    )
    .fetch_one(connection)
    .await?;
    Ok((owner.organization_id, MemberName { uid: owner.id }))
}

/// Ends all of a person's sessions but for one, in all of their organizations.
///
/// # Errors
/// Those of the database.
pub async fn end_all(
    connection: &mut PgConnection,
    person: Uuid,
    staying: Option<Uuid>,
) -> Result<(), Error> {
    // Whoever is about to begin one comes first, and it ends; or finds that they may not.
    shut_out(connection, person).await?;
    sqlx::query!(
        "update sessions s set ended_at = clock_timestamp()
         from members m
         where m.id = s.member_id and m.person_id = $1 and s.ended_at is null
           and s.id is distinct from $2",
        person,
        staying,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that the person of a session proved a second factor.
///
/// # Errors
/// Those of the database.
pub async fn prove_second_factor(
    connection: &mut PgConnection,
    session: Uuid,
) -> Result<(), Error> {
    sqlx::query!(
        "update sessions set second_factor = true where id = $1",
        session
    )
    .execute(connection)
    .await?;
    Ok(())
}
