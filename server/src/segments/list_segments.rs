//! GetSegment, ListSegments, GetSegmentConfig and ListSegmentKeys: reading
//! without a lock.

use burgee_proto::admin::v1::{
    GetSegmentConfigRequest, GetSegmentConfigResponse, GetSegmentRequest, GetSegmentResponse,
    ListSegmentKeysRequest, ListSegmentKeysResponse, ListSegmentsRequest, ListSegmentsResponse,
    SegmentConfig, SegmentList,
};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{show, store};
use crate::access::Authorized;
use crate::app::App;
use crate::error::Error;
use crate::names::{ProjectName, SegmentConfigName, SegmentName};
use crate::page::Page;
use crate::stored::Stored;
use crate::{environments, projects};

/// Gives one definition.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get_segment(
    app: &App,
    authorized: &Authorized,
    request: GetSegmentRequest,
) -> Result<GetSegmentResponse, Error> {
    let name = SegmentName::parse("name", &request.name)?;
    let mut connection = app.pools.read.acquire().await?;
    let project = projects::id(&mut connection, authorized, &name.project()).await?;
    let project = project.ok_or_else(|| Error::not_found(&name))?;
    let keys = std::slice::from_ref(&name.segment);
    let mut segments = store::read(&mut connection, project, Some(keys), &[]).await?;
    let stored = segments
        .remove(&name.segment)
        .and_then(|entry| entry.definition.before);
    let stored = stored.ok_or_else(|| Error::not_found(&name))?;
    Ok(GetSegmentResponse {
        segment: Some(show::segment(&name, &stored)),
    })
}

/// Lists segments, ordered by key.
///
/// # Errors
/// [`Error::NotFound`] for the project, [`Error::Invalid`] for a bad page.
pub async fn list_segments(
    app: &App,
    authorized: &Authorized,
    request: ListSegmentsRequest,
) -> Result<ListSegmentsResponse, Error> {
    let name = ProjectName::parse("parent", &request.parent)?;
    let page = Page::parse(request.page_size, &request.page_token, &[&request.parent])?;
    let mut connection = app.pools.read.acquire().await?;
    let project = projects::id(&mut connection, authorized, &name).await?;
    let project = project.ok_or_else(|| Error::not_found(&name))?;
    let mut keys = sqlx::query_scalar!(
        "select key from segments where project_id = $1 and key > $2 order by key limit $3",
        project,
        page.after_key(),
        page.rows(),
    )
    .fetch_all(&mut *connection)
    .await?;
    let next_page_token = page.cut(&mut keys, Clone::clone);
    let read = store::read(&mut connection, project, Some(&keys), &[]).await?;
    let segments = read.iter().filter_map(|(key, entry)| {
        let stored = entry.definition.before.as_ref()?;
        Some(show::segment(&name.segment(key), stored))
    });
    Ok(ListSegmentsResponse {
        segments: segments.collect(),
        next_page_token,
    })
}

/// Gives one content.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get_segment_config(
    app: &App,
    authorized: &Authorized,
    request: GetSegmentConfigRequest,
) -> Result<GetSegmentConfigResponse, Error> {
    let name = SegmentConfigName::parse("name", &request.name)?;
    let mut connection = app.pools.read.acquire().await?;
    let (environment, stored) = find(&mut connection, authorized, &name).await?;
    let config = show::config(&mut connection, &name, environment, &stored).await?;
    Ok(GetSegmentConfigResponse {
        segment_config: Some(config),
    })
}

/// Lists the keys on one list, ordered by bytes.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Invalid`] for the list or a bad page.
pub async fn list_segment_keys(
    app: &App,
    authorized: &Authorized,
    request: ListSegmentKeysRequest,
) -> Result<ListSegmentKeysResponse, Error> {
    let name = SegmentConfigName::parse("name", &request.name)?;
    let list = request.list();
    if list == SegmentList::Unspecified {
        let description = "give SEGMENT_LIST_INCLUDED or SEGMENT_LIST_EXCLUDED";
        return Err(Error::invalid("list", description));
    }
    let question = [request.name.as_str(), list.as_str_name()];
    let page = Page::parse(request.page_size, &request.page_token, &question)?;
    let mut connection = app.pools.read.acquire().await?;
    let (environment, stored) = find(&mut connection, authorized, &name).await?;
    let mut keys = sqlx::query_scalar!(
        "select key from segment_keys
         where environment_id = $1 and segment_id = $2 and excluded = $3 and key > $4
         order by key limit $5",
        environment,
        stored.id,
        list == SegmentList::Excluded,
        page.after_key(),
        page.rows(),
    )
    .fetch_all(&mut *connection)
    .await?;
    let next_page_token = page.cut(&mut keys, Clone::clone);
    Ok(ListSegmentKeysResponse {
        keys,
        next_page_token,
    })
}

async fn find(
    connection: &mut PgConnection,
    authorized: &Authorized,
    name: &SegmentConfigName,
) -> Result<(Uuid, Stored<SegmentConfig>), Error> {
    let found = environments::id(connection, authorized, &name.environment()).await?;
    let (project, environment) = found.ok_or_else(|| Error::not_found(name))?;
    let keys = std::slice::from_ref(&name.segment);
    let mut segments = store::read(connection, project, Some(keys), &[environment]).await?;
    let config = segments
        .remove(&name.segment)
        .and_then(|mut entry| entry.configs.remove(&environment));
    let stored = config
        .and_then(|slot| slot.before)
        .ok_or_else(|| Error::not_found(name))?;
    Ok((environment, stored))
}
