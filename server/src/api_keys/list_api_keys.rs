//! ListApiKeys and GetApiKey: reading without a lock.

use burgee_proto::admin::v1::{
    ApiKey, ApiKeyFilter, GetApiKeyRequest, GetApiKeyResponse, ListApiKeysRequest,
    ListApiKeysResponse,
};
use burgee_proto::types::v1::AccessKeyKind;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{KeyEntry, environments, patterns, show, store};
use crate::access::Authorized;
use crate::app::App;
use crate::error::Error;
use crate::names::{ApiKeyName, EnvironmentName};
use crate::page::{Page, TimePlace};
use crate::stored::timestamp;

/// Gives one key, without its secret.
///
/// # Errors
/// [`Error::NotFound`], [`Error::PermissionDenied`].
pub async fn get_api_key(
    app: &App,
    authorized: &Authorized,
    request: GetApiKeyRequest,
) -> Result<GetApiKeyResponse, Error> {
    let name = ApiKeyName::parse("name", &request.name)?;
    let mut connection = app.pools.read.acquire().await?;
    let mut keys = store::read(&mut connection, authorized.organization(), &[name.uid]).await?;
    let entry = keys.pop().ok_or_else(|| Error::not_found(name))?;
    environments::demand(authorized, &entry)?;
    let api_key = stored(&entry).ok_or_else(|| Error::not_found(name))?;
    Ok(GetApiKeyResponse {
        api_key: Some(api_key),
    })
}

/// Lists the keys that the caller may see, oldest first, without their secrets.
///
/// # Errors
/// [`Error::NotFound`] for the filter's environment, [`Error::Invalid`].
pub async fn list_api_keys(
    app: &App,
    authorized: &Authorized,
    request: ListApiKeysRequest,
) -> Result<ListApiKeysResponse, Error> {
    let filter = request.filter.unwrap_or_default();
    if AccessKeyKind::try_from(filter.kind).is_err() {
        return Err(Error::invalid("filter.kind", "give a kind of key"));
    }
    let question = app.descriptors.json(&filter)?;
    let page = Page::parse(request.page_size, &request.page_token, &[&question])?;
    let organization = authorized.organization();
    let mut connection = app.pools.read.acquire().await?;
    let environment = wanted_environment(&mut connection, authorized, &filter.environment).await?;
    let shown = environments::allowed(&mut connection, authorized).await?;
    let environments = (environment, shown.as_deref());
    let mut places =
        page_of_places(&mut connection, authorized, &filter, environments, &page).await?;
    let next_page_token = page.cut(&mut places, TimePlace::to_string);
    let ids: Vec<Uuid> = places.iter().map(|place| place.id).collect();
    let keys = store::read(&mut connection, organization, &ids).await?;
    Ok(ListApiKeysResponse {
        api_keys: keys.iter().filter_map(stored).collect(),
        next_page_token,
    })
}

fn stored(entry: &KeyEntry) -> Option<ApiKey> {
    let key = entry.key.before.as_ref().map(show)?;
    Some(ApiKey {
        last_used_time: entry.last_used_at.map(timestamp),
        ..key
    })
}

async fn wanted_environment(
    connection: &mut PgConnection,
    authorized: &Authorized,
    name: &str,
) -> Result<Option<Uuid>, Error> {
    if name.is_empty() {
        return Ok(None);
    }
    let name = EnvironmentName::parse("filter.environment", name)?;
    let found = crate::environments::id(connection, authorized, &name).await?;
    let (_, id) = found.ok_or_else(|| Error::not_found(name))?;
    Ok(Some(id))
}

/// Places of one row more than the page has.
async fn page_of_places(
    connection: &mut PgConnection,
    authorized: &Authorized,
    filter: &ApiKeyFilter,
    (environment, shown): (Option<Uuid>, Option<&[Uuid]>),
    page: &Page,
) -> Result<Vec<TimePlace>, Error> {
    let kind = (filter.kind() != AccessKeyKind::Unspecified).then_some(filter.kind() as i16);
    let after = page.after::<TimePlace>()?;
    let (after_time, after_id) = after.map(|place| (place.time, place.id)).unzip();
    // Keys with patterns are their projects', or the organization's.
    let mut shown_projects = authorized.projects().unwrap_or_default();
    shown_projects.retain(|project| patterns::holds_whole(authorized, project));
    let rows = sqlx::query!(
        "select k.id, k.created_at from api_keys k
         where k.organization_id = $1
           and ($2 or k.revoked_at is null)
           and ($3::smallint is null or k.kind = $3)
           and ($4::uuid is null or exists (
               select from api_key_environments o
               where o.api_key_id = k.id and o.environment_id = $4))
           and ($5::timestamptz is null or (k.created_at, k.id) > ($5, $6))
           and ($8::uuid[] is null or (
               (exists (select from api_key_environments o where o.api_key_id = k.id)
                or exists (select from api_key_patterns p where p.api_key_id = k.id))
               and not exists (
                   select from api_key_environments o
                   where o.api_key_id = k.id and o.environment_id <> all($8))
               and not exists (
                   select from api_key_patterns p
                   where p.api_key_id = k.id
                     and (p.project is null or p.project <> all($9)))))
         order by k.created_at, k.id
         limit $7",
        authorized.organization(),
        filter.include_revoked,
        kind,
        environment,
        after_time,
        after_id,
        page.rows(),
        shown,
        &shown_projects,
    )
    .fetch_all(connection)
    .await?;
    let places = rows.into_iter().map(|row| TimePlace {
        time: row.created_at,
        id: row.id,
    });
    Ok(places.collect())
}
