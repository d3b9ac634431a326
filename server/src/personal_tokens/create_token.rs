//! CreatePersonalToken.

use burgee_proto::admin::v1::{CreatePersonalTokenRequest, CreatePersonalTokenResponse};
use prost_types::Timestamp;
use sqlx::types::time::OffsetDateTime;
use time::Duration;

use super::caller;
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::credentials::conceal_secret;
use crate::error::Error;
use crate::members::find_subject;
use crate::names::SubjectName;
use crate::stored::time_of;
use crate::texts::Violations;
use crate::tokens::{self, NewToken, Scopes};

/// How long a token lives that says nothing of its end.
const LIFETIME_DEFAULT: Duration = Duration::days(90);
/// The longest that one lives.
const LIFETIME_MAX: Duration = Duration::days(366);

#[tonic::async_trait]
impl Mutation for CreatePersonalTokenRequest {
    mutation_fields!(CreatePersonalTokenResponse);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Organization)
    }

    async fn apply(&self, change: &mut Change) -> Result<CreatePersonalTokenResponse, Error> {
        const FIELD: &str = "personal_token";
        let given = self.personal_token.clone();
        let given = given.ok_or_else(|| Error::invalid(FIELD, "give the token"))?;
        let mut violations = Violations::default();
        violations.display_name(format!("{FIELD}.display_name"), &given.display_name);
        violations.finish()?;
        let scopes = given.scopes.unwrap_or_default();
        let new = NewToken {
            display_name: given.display_name,
            expires_at: Some(end_of(given.expire_time, change.now())?),
            scopes: Some(Scopes::find(change, &format!("{FIELD}.scopes"), &scopes).await?),
        };
        let name = SubjectName::from(caller(&change.authorized)?);
        let organization = change.authorized.organization();
        let owner = find_subject(change.connection(), organization, &name).await?;
        // They were deactivated since the call began: what let them in has ended.
        let owner = owner.filter(|owner| owner.active);
        let owner = owner.ok_or(Error::CredentialInvalid)?;
        let (token, secret) = tokens::make(change, (owner, name), new).await?;
        Ok(CreatePersonalTokenResponse {
            personal_token: Some(token.show_personal()),
            secret: change.shown(&secret),
            ..CreatePersonalTokenResponse::default()
        })
    }

    conceal_secret!(CreatePersonalTokenResponse);
}

/// When a token ends that is made now.
fn end_of(given: Option<Timestamp>, now: OffsetDateTime) -> Result<OffsetDateTime, Error> {
    const FIELD: &str = "personal_token.expire_time";
    let Some(given) = given else {
        return Ok(now + LIFETIME_DEFAULT);
    };
    let end = time_of(FIELD, &given)?;
    if end <= now || end > now + LIFETIME_MAX {
        let days = LIFETIME_MAX.whole_days();
        let description = format!("give a time to come, within {days} days");
        return Err(Error::invalid(FIELD, description));
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stored::timestamp;

    #[test]
    fn a_token_ends_within_a_year_and_a_day() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let end = |days: i64| end_of(Some(timestamp(now + Duration::days(days))), now);
        assert_eq!(end_of(None, now).unwrap(), now + Duration::days(90));
        assert_eq!(end(366).unwrap(), now + Duration::days(366));
        for days in [-1, 0, 367] {
            assert!(end(days).is_err(), "{days}");
        }
    }
}
