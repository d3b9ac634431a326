//! Whose a credential of the control plane is: a token of a service account or a person, a
//! session, or a test key.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use burgee_hub::credential::Kind;
use burgee_hub::limits::Limits;
use burgee_proto::types::v1::ErrorReason;
use sqlx::{PgConnection, PgPool};
use tokio::time::Instant;

use super::cache::Cache;
use super::uses::Uses;
use super::{sessions, test_keys};
use crate::access::{Credential, Principal, ShownToken};
use crate::app::App;
use crate::error::Error;
use crate::members::grants_of;
use crate::names::TokenName;
use crate::tokens::{Scopes, owner_of};

/// How long a look-up may take.
const LOOK_UP_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Finds principals by their credentials. Cheap to clone.
#[derive(Clone)]
pub struct Principals {
    pool: PgPool,
    dev: bool,
    cache: Arc<Cache<Option<Arc<Principal>>>>,
    uses: Uses,
    limits: Limits,
}

impl Principals {
    /// Over the pool for authentication.
    #[must_use]
    pub fn new(app: &App, limits: Limits) -> Self {
        Self {
            pool: app.pools.authentication.clone(),
            dev: app.dev,
            cache: Arc::default(),
            uses: Uses::default(),
            limits,
        }
    }

    /// Whose credential this is, which is used by that, from an address.
    ///
    /// # Errors
    /// As [`Principals::look_up`]; [`Error::TooOften`].
    pub(super) async fn principal(
        &self,
        credential: Credential,
        site: Option<IpAddr>,
    ) -> Result<Arc<Principal>, Error> {
        let (_, hash) = credential;
        let attempt = self.limits.attempt(site, &hash)?;
        let found = self.look_up(credential).await;
        match &found {
            Ok(_) => attempt.good(),
            Err(Error::CredentialInvalid) => attempt.bad(),
            Err(_) => attempt.undecided(),
        }
        let principal = found?;
        let account = (principal.organization, &principal.actor);
        self.limits.call(&hash, account)?;
        self.uses.note(hash);
        Ok(principal)
    }

    /// A call of somebody who shows no credential that could be good.
    ///
    /// # Errors
    /// [`Error::TooOften`].
    pub(super) fn stranger(&self, site: Option<IpAddr>) -> Result<(), Error> {
        Ok(self.limits.stranger(site)?)
    }

    /// Whose credential of this kind has this hash.
    ///
    /// # Errors
    /// [`Error::CredentialInvalid`] for one that is unknown, revoked, expired,
    /// or made by `burgee-server dev` for itself alone;
    /// [`Error::Unavailable`] if the database does not answer in time.
    pub(super) async fn look_up(&self, credential: Credential) -> Result<Arc<Principal>, Error> {
        let (_, hash) = credential;
        let asked = Instant::now();
        let answer = match self.cache.get(&hash, asked) {
            Some(answer) => answer,
            None => {
                let found = tokio::time::timeout(LOOK_UP_TIMEOUT, self.find(credential)).await;
                let answer = found.map_err(|_| Error::Unavailable {
                    reason: ErrorReason::DatabaseUnavailable,
                    cause: format!("no credential was looked up within {LOOK_UP_TIMEOUT:?}"),
                })??;
                self.cache.put(hash, asked, answer.clone());
                answer
            }
        };
        answer.ok_or(Error::CredentialInvalid)
    }

    /// Which of them were used, for writing it down.
    #[must_use]
    pub fn uses(&self) -> Uses {
        self.uses.clone()
    }

    async fn find(&self, credential: Credential) -> Result<Option<Arc<Principal>>, Error> {
        let mut connection = self.pool.acquire().await?;
        let found = find(&mut connection, self.dev, credential).await?;
        Ok(found.map(Arc::new))
    }
}

/// Whose credential this is at this moment, as `connection` sees it.
///
/// # Errors
/// Those of the database.
pub async fn find(
    connection: &mut PgConnection,
    dev: bool,
    (kind, hash): Credential,
) -> Result<Option<Principal>, Error> {
    match kind {
        Kind::Session => sessions::find(connection, &hash).await,
        Kind::Test => test_keys::find(connection, dev, &hash).await,
        _ => find_token(connection, dev, &hash).await,
    }
}

async fn find_token(
    connection: &mut PgConnection,
    dev: bool,
    hash: &[u8; 32],
) -> Result<Option<Principal>, Error> {
    let found = sqlx::query!(
        r#"select t.id, t.display_name, t.permissions, t.project_id, t.environment_id,
                  p.key as "project?", e.key as "environment?",
                  a.key as "account?", t.member_id,
                  coalesce(a.id, m.id) as "owner!",
                  coalesce(a.organization_id, m.organization_id) as "organization!"
           from tokens t
           left join service_accounts a on a.id = t.service_account_id and not a.disabled
           left join members m on m.id = t.member_id and not m.deactivated
           left join environments e on e.id = t.environment_id
           left join projects p on p.id = coalesce(t.project_id, e.project_id)
           where t.hash = $1
             and (a.id is not null or m.id is not null)
             and t.revoked_at is null
             and (t.expires_at is null or t.expires_at > clock_timestamp())
             and (not t.dev or $2)"#,
        hash.as_slice(),
        dev,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(found) = found else {
        return Ok(None);
    };
    let held = grants_of(connection, found.owner).await?;
    let scopes = found.permissions.map(|permissions| {
        let place = (found.project, found.environment).into();
        let ids = (found.project_id, found.environment_id);
        Scopes::read(&permissions, place, ids)
    });
    let name = TokenName {
        owner: owner_of(found.account, found.member_id),
        uid: found.id,
    };
    Ok(Some(Principal {
        organization: found.organization,
        actor: name.owner.to_string(),
        subject: Some(name.owner.clone()),
        session: None,
        grants: match &scopes {
            Some(scopes) => scopes.narrow(&held),
            None => held,
        },
        token: Some(ShownToken {
            name,
            display_name: found.display_name,
            narrowed: scopes.is_some(),
        }),
    }))
}
