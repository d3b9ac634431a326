//! ResetPassword: whoever has the secret of a link sets a new password.

use burgee_hub::credential;
use burgee_proto::admin::v1::{ResetPasswordRequest, ResetPasswordResponse};
use sqlx::PgConnection;
use uuid::Uuid;

use super::new_password::{Staying, set};
use super::told::Told;
use crate::access::Origin;
use crate::app::App;
use crate::error::Error;
use crate::members::acceptance::LINK_INVALID;
use crate::members::{grants_of, held_by};
use crate::names::{MemberName, SubjectName};
use crate::passwords::Context;
use crate::texts::Violations;

const METHOD: &str = "/burgee.admin.v1.AuthService/ResetPassword";

/// A link that can still be used.
struct Link {
    id: Uuid,
    member: Uuid,
    person: Uuid,
    organization: Uuid,
    email: String,
    display_name: String,
    created_by: String,
}

/// Sets a new password.
///
/// # Errors
/// [`Error::Invalid`], [`Error::ProofInvalid`], [`Error::Exhausted`].
pub(super) async fn reset_password(
    app: &App,
    origin: &Origin,
    request: ResetPasswordRequest,
) -> Result<ResetPasswordResponse, Error> {
    let mut violations = Violations::default();
    super::check_link(&mut violations, &request.secret);
    violations.finish()?;
    let hash = credential::hash(&request.secret);
    let link = find(app, &hash).await?;
    let context = Context::new("new_password", [&link.email, &link.display_name]);
    context.check_length(&request.new_password)?;
    let turn = app.passwords.turn().await?;
    let password_hash = turn.hash_new(request.new_password, context).await?;
    let mut transaction = app.begin().await?;
    // Another may have been quicker.
    let used = sqlx::query!(
        "update password_resets set ended_at = clock_timestamp()
         where id = $1 and ended_at is null and expires_at > clock_timestamp()",
        link.id,
    )
    .execute(&mut *transaction)
    .await?;
    if used.rows_affected() == 0 {
        return Err(invalid());
    }
    link.demand_cover(&mut transaction).await?;
    let member = MemberName { uid: link.member };
    let told = Told {
        organization: link.organization,
        member,
        method: METHOD,
        origin,
    };
    // Whoever had the old password may have made tokens.
    let staying = Staying {
        session: None,
        tokens: false,
    };
    let changed = (link.person, password_hash.as_str());
    set(&mut transaction, changed, staying, told).await?;
    transaction.commit().await?;
    Ok(ResetPasswordResponse {})
}

impl Link {
    /// Refuses a link whose maker may not do any more, or not yet, all that the member may:
    /// with it they would gain what the member was given since.
    async fn demand_cover(&self, connection: &mut PgConnection) -> Result<(), Error> {
        // The program itself resets whomever it is told to.
        let Ok(maker) = SubjectName::parse("creator", &self.created_by) else {
            return Ok(());
        };
        let held = held_by(connection, self.organization, &maker).await?;
        let member = grants_of(connection, self.member).await?;
        held.missing(&member).map_or(Ok(()), |_| Err(invalid()))
    }
}

async fn find(app: &App, hash: &[u8]) -> Result<Link, Error> {
    let link = sqlx::query_as!(
        Link,
        "select r.id, m.id as member, m.person_id as person, m.organization_id as organization,
                p.email, m.display_name, r.created_by
         from password_resets r
         join members m on m.id = r.member_id
         join people p on p.id = m.person_id
         where r.hash = $1 and r.ended_at is null and r.expires_at > clock_timestamp()
           and not m.deactivated
           and not exists (
               select from members other
               where other.person_id = m.person_id and other.organization_id <> m.organization_id)",
        hash,
    )
    .fetch_optional(&app.pools.authentication)
    .await?;
    link.ok_or_else(invalid)
}

fn invalid() -> Error {
    Error::ProofInvalid {
        description: LINK_INVALID,
    }
}
