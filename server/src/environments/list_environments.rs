//! ListEnvironments and GetEnvironment: reading without a lock.

use burgee_proto::admin::v1::{
    Environment, GetEnvironmentRequest, GetEnvironmentResponse, ListEnvironmentsRequest,
    ListEnvironmentsResponse,
};
use prost::Message as _;

use super::{position, read, show};
use crate::access::Authorized;
use crate::app::App;
use crate::error::Error;
use crate::names::{EnvironmentName, ProjectName};
use crate::page::Page;
use crate::projects;
use crate::stored::Stored;

/// Gives one environment.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get_environment(
    app: &App,
    authorized: &Authorized,
    request: GetEnvironmentRequest,
) -> Result<GetEnvironmentResponse, Error> {
    let name = EnvironmentName::parse("name", &request.name)?;
    let mut connection = app.pools.read.acquire().await?;
    let (stored, position) = read(&mut connection, authorized, &name).await?;
    Ok(GetEnvironmentResponse {
        environment: Some(show(&name, &stored, position)),
    })
}

/// Lists those of a project's environments that the caller may see, ordered by key.
///
/// # Errors
/// [`Error::NotFound`] for the project, [`Error::Invalid`] for a bad page.
pub async fn list_environments(
    app: &App,
    authorized: &Authorized,
    request: ListEnvironmentsRequest,
) -> Result<ListEnvironmentsResponse, Error> {
    let name = ProjectName::parse("parent", &request.parent)?;
    let page = Page::parse(request.page_size, &request.page_token, &[&request.parent])?;
    let mut connection = app.pools.read.acquire().await?;
    let project = projects::id(&mut connection, authorized, &name).await?;
    let project = project.ok_or_else(|| Error::not_found(&name))?;
    let shown = authorized.environments(&name.project);
    let rows = sqlx::query!(
        "select e.id, e.version, e.body, e.changed_by, e.created_at, e.updated_at,
                h.revision, d.epoch
         from environments e
         join environment_heads h on h.environment_id = e.id
         cross join deployment d
         where e.project_id = $1 and e.key > $2 and ($4::text[] is null or e.key = any($4))
         order by e.key limit $3",
        project,
        page.after_key(),
        page.rows(),
        shown.as_deref(),
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut environments = Vec::new();
    for row in rows {
        let stored = Stored {
            id: row.id,
            environment: None,
            version: row.version,
            changed_by: row.changed_by,
            created_at: row.created_at,
            updated_at: row.updated_at,
            message: Environment::decode(row.body.as_slice())?,
        };
        let name = name.environment(&stored.message.key);
        environments.push(show(&name, &stored, position(row.epoch, row.revision)));
    }
    let next_page_token = page.cut(&mut environments, |environment| environment.key.clone());
    Ok(ListEnvironmentsResponse {
        environments,
        next_page_token,
    })
}
