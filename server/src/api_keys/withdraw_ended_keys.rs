//! Keys that ended long ago are shipped no more: every environment would hold every key that it
//! ever had. The server knows them still, and whoever may see them sees them.

use uuid::Uuid;

use super::{shipped, store};
use crate::access::vouch;
use crate::app::App;
use crate::change::scope::Scope;
use crate::change::{self, Change, Common, Mutation, Outcome};
use crate::deployment::ACTOR;
use crate::error::Error;

/// For how many days a key that has ended is shipped still. A hop that hears nothing for as long
/// as removals are remembered (a week) must learn that the key has ended before it learns that
/// there is none: while a hop is cut off, it refuses a key that it knows to have ended, but can
/// only put off one that it does not know; and of the environments that a key opens, one that
/// says it has ended ends it at a hop where another has not caught up. A month leaves weeks for
/// that.
const SHIPPED_AFTER_END_DAYS: i32 = 30;
/// The most keys that one change withdraws: each may be shipped in a thousand environments.
const KEYS_MAX: usize = 20;
/// The most changes at one go in an organization. The rest is for the next time.
const CHANGES_MAX: usize = 50;
/// The most organizations at one go.
const ORGANIZATIONS_MAX: i64 = 1_000;
/// How, for history.
const METHOD: &str = "burgee-server serve";

/// What the write path takes: it is never kept, nor sent.
#[derive(Clone, PartialEq, prost::Message)]
pub struct WithdrawEndedKeys {}

/// What was done.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Withdrawn {
    /// How many keys were withdrawn.
    #[prost(uint64, tag = "1")]
    pub keys: u64,
}

impl prost::Name for WithdrawEndedKeys {
    const NAME: &'static str = "WithdrawEndedKeys";
    const PACKAGE: &'static str = "burgee.server";
}

#[tonic::async_trait]
impl Mutation for WithdrawEndedKeys {
    type Response = Withdrawn;

    fn common(&self) -> Common {
        Common::default()
    }

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<Withdrawn, Error> {
        let (organization, now) = (change.authorized.organization(), change.now());
        let ids: Vec<Uuid> = sqlx::query_scalar!(
            "select id from api_keys
             where organization_id = $1 and withdrawn_at is null
               and coalesce(expires_at, revoked_at) is not null
               and least(expires_at, revoked_at) < $2::timestamptz - make_interval(days => $3)
             order by least(expires_at, revoked_at) limit $4",
            organization,
            now,
            SHIPPED_AFTER_END_DAYS,
            i64::try_from(KEYS_MAX).map_err(Error::internal)?,
        )
        .fetch_all(change.connection())
        .await?;
        let entries = store::read(change.connection(), organization, &ids).await?;
        let environments = entries.iter().flat_map(|entry| entry.opens.keys());
        let environments: Vec<Uuid> = environments.copied().collect();
        change.lock_heads(&environments).await?;
        for entry in &entries {
            shipped::withdraw(change, entry);
        }
        sqlx::query!(
            "update api_keys set withdrawn_at = $2 where id = any($1)",
            &ids,
            now,
        )
        .execute(change.connection())
        .await?;
        Ok(Withdrawn {
            keys: ids.len() as u64,
        })
    }

    /// The answer says nothing of environments.
    fn conclude(_response: &mut Withdrawn, _outcome: Outcome) {}
}

/// Withdraws what ended long ago, a bounded number at one go. Any number of replicas may do so
/// at once: what one has done another finds done.
///
/// # Errors
/// Those of the database. An organization in which it fails is for the next time, and holds up no
/// other.
pub async fn run(app: &App) -> Result<(), Error> {
    let organizations = sqlx::query_scalar!(
        "select distinct organization_id from api_keys
         where withdrawn_at is null and coalesce(expires_at, revoked_at) is not null
           and least(expires_at, revoked_at) < now() - make_interval(days => $1)
         limit $2",
        SHIPPED_AFTER_END_DAYS,
        ORGANIZATIONS_MAX,
    )
    .fetch_all(&app.pools.read)
    .await?;
    for organization in organizations {
        if let Err(error) = run_in(app, organization).await {
            tracing::warn!(%organization, ?error, "could not withdraw keys that have ended");
        }
    }
    Ok(())
}

async fn run_in(app: &App, organization: Uuid) -> Result<(), Error> {
    for _ in 0..CHANGES_MAX {
        let authorized = vouch(organization, ACTOR, METHOD);
        let done = change::perform(app, authorized, WithdrawEndedKeys {}).await?;
        if done.keys < KEYS_MAX as u64 {
            break;
        }
    }
    Ok(())
}
