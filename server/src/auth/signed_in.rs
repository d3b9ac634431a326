//! The end of every way in: a new session, told to the audit log.

use burgee_hub::credential::Secret;
use burgee_proto::admin::v1::{Member, Session};
use serde_json::json;
use uuid::Uuid;

use crate::access::Origin;
use crate::app::App;
use crate::audit::append::{Event, append};
use crate::error::Error;
use crate::members::member;
use crate::names::MemberName;
use crate::sessions::{self, Proven};

/// Whoever has just signed in.
pub(super) struct Signed {
    pub(super) session: Session,
    pub(super) member: Member,
    pub(super) secret: Secret,
}

/// Signs a member in, who has proven who they are, with a second factor or without.
pub(super) async fn sign_in(
    app: &App,
    method: &str,
    (uid, proven): (Uuid, Proven),
    origin: &Origin,
) -> Result<Signed, Error> {
    let mut transaction = app.begin().await?;
    let (row, secret) = sessions::begin(&mut transaction, (uid, proven), origin).await?;
    let organization =
        sqlx::query_scalar!("select organization_id from members where id = $1", uid)
            .fetch_one(&mut *transaction)
            .await?;
    let name = MemberName { uid };
    let member = member::find(&mut transaction, organization, name).await?;
    let session = row.show(row.id);
    let event = Event {
        organization,
        actor: &name.to_string(),
        method,
        resource: &session.name,
        part: "session",
        detail: began(&session),
        origin,
        denied: false,
    };
    append(&mut transaction, event).await?;
    transaction.commit().await?;
    Ok(Signed {
        session,
        member: member::show(&member),
        secret,
    })
}

fn began(session: &Session) -> serde_json::Value {
    match session.identity_provider.as_str() {
        "" => json!({"began": true}),
        provider => json!({"began": true, "identityProvider": provider}),
    }
}
