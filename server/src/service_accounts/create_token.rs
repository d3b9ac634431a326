//! CreateServiceAccountToken.

use burgee_hub::credential::{self, Kind, Secret};
use burgee_proto::admin::v1::{
    CreateServiceAccountTokenRequest, CreateServiceAccountTokenResponse,
};
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use super::tokens::{self, Token};
use super::{demand_cover, read};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::ServiceAccountName;
use crate::random;
use crate::stored::time_of;
use crate::texts::Violations;

/// How much of a secret is kept to recognise it by, in bytes: its kind and five of its 43
/// random digits.
const SECRET_PREFIX: usize = 16;
/// The most live tokens of an account.
const TOKENS_MAX: i64 = 100;

#[tonic::async_trait]
impl Mutation for CreateServiceAccountTokenRequest {
    mutation_fields!(CreateServiceAccountTokenResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<CreateServiceAccountTokenResponse, Error> {
        const FIELD: &str = "service_account_token";
        let name = ServiceAccountName::parse("parent", &self.parent)?;
        let given = self.service_account_token.clone().unwrap_or_default();
        let mut violations = Violations::default();
        violations.display_name(format!("{FIELD}.display_name"), &given.display_name);
        violations.finish()?;
        let field = format!("{FIELD}.expire_time");
        let end = given.expire_time.as_ref();
        let end = end.map(|end| time_of(&field, end)).transpose()?;
        if end.is_some_and(|end| end <= change.now()) {
            return Err(Error::invalid(field, "give a time to come"));
        }
        let (token, secret) = make(change, &name, (given.display_name, end)).await?;
        Ok(CreateServiceAccountTokenResponse {
            service_account_token: Some(token.show(&name)),
            secret: shown(change, &secret),
            ..CreateServiceAccountTokenResponse::default()
        })
    }

    fn conceal(response: &mut CreateServiceAccountTokenResponse) {
        response.secret.clear();
        response.secret_already_shown = true;
    }
}

/// Makes a token of an account that may do no more than the caller.
///
/// # Errors
/// [`Error::NotFound`], [`Error::PermissionDenied`], or that there are too many.
pub(super) async fn make(
    change: &mut Change,
    account: &ServiceAccountName,
    (display_name, expires_at): (String, Option<OffsetDateTime>),
) -> Result<(Token, Secret), Error> {
    let id = read(change, account).await?.id;
    demand_cover(change, account).await?;
    let secret = credential::generate(Kind::ServiceAccount, random::bytes()?);
    let token = Token {
        id: Uuid::new_v4(),
        display_name,
        secret_prefix: secret.expose().chars().take(SECRET_PREFIX).collect(),
        dev: change.app.dev,
        creator: change.actor().to_owned(),
        created_at: change.now(),
        expires_at,
        revoked_at: None,
        last_used_at: None,
    };
    let hash = secret.hash();
    let inserted = sqlx::query!(
        "insert into service_account_tokens (id, service_account_id, hash, secret_prefix, dev,
                                             created_at, expires_at, display_name, creator)
         select $1, $2, $3, $4, $5, $6, $7, $8, $9
         where (select count(*) from service_account_tokens
                where service_account_id = $2 and revoked_at is null
                  and (expires_at is null or expires_at > $6)) < $10",
        token.id,
        id,
        hash.as_slice(),
        token.secret_prefix,
        token.dev,
        token.created_at,
        token.expires_at,
        token.display_name,
        token.creator,
        TOKENS_MAX,
    )
    .execute(change.connection())
    .await?;
    if inserted.rows_affected() == 0 {
        return Err(Error::precondition(
            burgee_proto::types::v1::ErrorReason::LimitExceeded,
            account,
            format!("the account has {TOKENS_MAX} live tokens; revoke some first"),
        ));
    }
    tokens::record(change, account, None, Some(&token))?;
    Ok((token, secret))
}

/// The secret for the answer: none of a token that is only tried, as it would open nothing.
pub(super) fn shown(change: &Change, secret: &Secret) -> String {
    if change.common.validate_only {
        String::new()
    } else {
        secret.expose().to_owned()
    }
}
