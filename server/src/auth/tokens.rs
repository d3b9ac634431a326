//! Service accounts' tokens.

use std::sync::Arc;
use std::time::Duration;

use burgee_proto::types::v1::ErrorReason;
use sqlx::PgPool;
use tokio::time::Instant;

use super::cache::Cache;
use crate::access::{Principal, Role};
use crate::app::App;
use crate::error::Error;

/// How long a look-up may take.
const LOOK_UP_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Finds principals by their tokens. Cheap to clone.
#[derive(Clone)]
pub struct Tokens {
    pool: PgPool,
    dev: bool,
    cache: Arc<Cache<Option<Arc<Principal>>>>,
}

impl Tokens {
    /// Over the pool for authentication.
    #[must_use]
    pub fn new(app: &App) -> Self {
        Self {
            pool: app.pools.authentication.clone(),
            dev: app.dev,
            cache: Arc::default(),
        }
    }

    /// Whose token has this hash.
    ///
    /// # Errors
    /// [`Error::CredentialInvalid`] for one that is unknown, revoked, expired,
    /// or made by `burgee-server dev` for itself alone;
    /// [`Error::Unavailable`] if the database does not answer in time.
    pub(super) async fn principal(&self, hash: &[u8; 32]) -> Result<Arc<Principal>, Error> {
        let asked = Instant::now();
        let answer = match self.cache.get(hash, asked) {
            Some(answer) => answer,
            None => {
                let found = tokio::time::timeout(LOOK_UP_TIMEOUT, self.look_up(hash)).await;
                let answer = found.map_err(|_| Error::Unavailable {
                    reason: ErrorReason::DatabaseUnavailable,
                    cause: format!("no token was looked up within {LOOK_UP_TIMEOUT:?}"),
                })??;
                self.cache.put(*hash, asked, answer.clone());
                answer
            }
        };
        answer.ok_or(Error::CredentialInvalid)
    }

    async fn look_up(&self, hash: &[u8; 32]) -> Result<Option<Arc<Principal>>, Error> {
        let row = sqlx::query!(
            "select a.organization_id, a.key, a.role
             from service_account_tokens t
             join service_accounts a on a.id = t.service_account_id
             where t.hash = $1
               and t.revoked_at is null
               and (t.expires_at is null or t.expires_at > clock_timestamp())
               and (not t.dev or $2)",
            hash.as_slice(),
            self.dev,
        )
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| {
            let role = Role::parse(&row.role);
            let role =
                role.ok_or_else(|| Error::internal(format!("unknown role {:?}", row.role)))?;
            Ok(Arc::new(Principal {
                organization: row.organization_id,
                actor: format!("serviceAccounts/{}", row.key),
                role,
            }))
        })
        .transpose()
    }
}
