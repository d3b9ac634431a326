//! ListIdentities: whom a provider calls what.

use burgee_proto::admin::v1::{Identity, ListIdentitiesRequest, ListIdentitiesResponse};
use sqlx::PgConnection;
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use super::{Which, find};
use crate::access::Authorized;
use crate::app::App;
use crate::error::Error;
use crate::names::{IdentityProviderName, MemberName};
use crate::page::{Page, TimePlace};
use crate::stored::timestamp;

/// An identity.
pub(super) struct Row {
    pub(super) id: Uuid,
    pub(super) member_id: Uuid,
    issuer: String,
    subject: String,
    created_at: OffsetDateTime,
    last_used_at: OffsetDateTime,
}

/// Which identities to read. All that is set must hold.
pub(super) struct Wanted {
    pub(super) id: Option<Uuid>,
    pub(super) after: Option<TimePlace>,
    pub(super) rows: i64,
}

/// Lists a provider's identities, oldest first.
///
/// # Errors
/// [`Error::NotFound`] for the provider, [`Error::Invalid`] for a bad page.
pub async fn list_identities(
    app: &App,
    authorized: &Authorized,
    request: ListIdentitiesRequest,
) -> Result<ListIdentitiesResponse, Error> {
    let name = IdentityProviderName::parse("parent", &request.parent)?;
    let question = ["identities", &request.parent];
    let page = Page::parse(request.page_size, &request.page_token, &question)?;
    let wanted = Wanted {
        id: None,
        after: page.after()?,
        rows: page.rows(),
    };
    let mut connection = app.pools.read.acquire().await?;
    let organization = authorized.organization();
    let provider = find(&mut connection, organization, Which::Named(&name)).await?;
    let provider = provider.ok_or_else(|| Error::not_found(&name))?;
    let mut found = list(&mut connection, provider.id, wanted).await?;
    let next_page_token = page.cut(&mut found, |identity| {
        TimePlace {
            time: identity.created_at,
            id: identity.id,
        }
        .to_string()
    });
    Ok(ListIdentitiesResponse {
        identities: found.iter().map(|identity| show(identity, &name)).collect(),
        next_page_token,
    })
}

pub(super) async fn list(
    connection: &mut PgConnection,
    provider: Uuid,
    wanted: Wanted,
) -> Result<Vec<Row>, Error> {
    let (after_time, after_id) = wanted.after.map(|place| (place.time, place.id)).unzip();
    let rows = sqlx::query_as!(
        Row,
        "select id, member_id, issuer, subject, created_at, last_used_at from identities
         where identity_provider_id = $1
           and ($2::uuid is null or id = $2)
           and ($3::timestamptz is null or (created_at, id) > ($3, $4))
         order by created_at, id limit $5",
        provider,
        wanted.id,
        after_time,
        after_id,
        wanted.rows,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// As answers show it.
pub(super) fn show(row: &Row, provider: &IdentityProviderName) -> Identity {
    let member = MemberName { uid: row.member_id };
    Identity {
        name: provider.identity(row.id).to_string(),
        uid: row.id.to_string(),
        member: member.to_string(),
        issuer: row.issuer.clone(),
        subject: row.subject.clone(),
        create_time: Some(timestamp(row.created_at)),
        last_used_time: Some(timestamp(row.last_used_at)),
    }
}
