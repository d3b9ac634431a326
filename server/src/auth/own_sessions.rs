//! SignOut, ListSessions and RevokeSession: what people do with their own sessions.

use burgee_proto::admin::v1::{
    ListSessionsResponse, RevokeSessionRequest, RevokeSessionResponse, SignOutResponse,
};
use serde_json::json;
use uuid::Uuid;

use crate::access::{Authorized, Session};
use crate::app::App;
use crate::audit::append::{Event, append};
use crate::error::Error;
use crate::names::SessionName;
use crate::sessions::{self, Of, Row};

/// Ends the session of the call.
///
/// # Errors
/// Those of the database.
pub(super) async fn sign_out(app: &App, authorized: &Authorized) -> Result<SignOutResponse, Error> {
    let session = authorized.session()?;
    // One that was ended a moment ago is what was asked for.
    end(app, authorized, session.id).await?;
    Ok(SignOutResponse {})
}

/// Lists the caller's own sessions.
///
/// # Errors
/// Those of the database.
pub(super) async fn list_sessions(
    app: &App,
    authorized: &Authorized,
) -> Result<ListSessionsResponse, Error> {
    let session = authorized.session()?;
    let rows = sessions::list(&app.pools.read, reach(session)).await?;
    Ok(ListSessionsResponse {
        sessions: rows.iter().map(|row| row.show(session.id)).collect(),
    })
}

/// Ends one of the caller's own sessions.
///
/// # Errors
/// [`Error::Invalid`], [`Error::NotFound`].
pub(super) async fn revoke_session(
    app: &App,
    authorized: &Authorized,
    request: RevokeSessionRequest,
) -> Result<RevokeSessionResponse, Error> {
    let session = authorized.session()?;
    let name = SessionName::parse("name", &request.name)?;
    let ended = end(app, authorized, name.uid).await?;
    let ended = ended.ok_or_else(|| Error::not_found(name))?;
    Ok(RevokeSessionResponse {
        session: Some(ended.show(session.id)),
    })
}

/// What a session may see and end: nothing elsewhere, if an identity provider vouches for it.
fn reach(session: Session) -> Of {
    Of {
        person: session.person,
        organization: session.bound_to,
    }
}

async fn end(app: &App, authorized: &Authorized, id: Uuid) -> Result<Option<Row>, Error> {
    let of = reach(authorized.session()?);
    let mut transaction = app.begin().await?;
    let ended = sessions::end(&mut transaction, of, id).await?;
    if ended.is_some() {
        // It may be of another organization than the call: that one is told.
        let (organization, member) = sessions::owner(&mut transaction, id).await?;
        let event = Event {
            organization,
            actor: &member.to_string(),
            method: authorized.method(),
            resource: &SessionName { uid: id }.to_string(),
            part: "session",
            detail: json!({"ended": true}),
            origin: authorized.origin(),
            denied: false,
        };
        append(&mut transaction, event).await?;
    }
    transaction.commit().await?;
    Ok(ended)
}
