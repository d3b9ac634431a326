//! ListProjects and GetProject: reading without a lock.

use burgee_proto::admin::v1::{
    GetProjectRequest, GetProjectResponse, ListProjectsRequest, ListProjectsResponse, Project,
};
use prost::Message as _;

use super::{read, show};
use crate::access::Authorized;
use crate::app::App;
use crate::error::Error;
use crate::names::ProjectName;
use crate::page::Page;
use crate::stored::Stored;

/// Gives one project.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get_project(
    app: &App,
    authorized: &Authorized,
    request: GetProjectRequest,
) -> Result<GetProjectResponse, Error> {
    let name = ProjectName::parse("name", &request.name)?;
    let mut connection = app.pools.read.acquire().await?;
    let stored = read(&mut connection, authorized, &name).await?;
    Ok(GetProjectResponse {
        project: Some(show(&stored)),
    })
}

/// Lists the projects that the caller may see, ordered by key.
///
/// # Errors
/// [`Error::Invalid`] for a bad page.
pub async fn list_projects(
    app: &App,
    authorized: &Authorized,
    request: ListProjectsRequest,
) -> Result<ListProjectsResponse, Error> {
    let page = Page::parse(request.page_size, &request.page_token, &["projects"])?;
    let shown = authorized.projects();
    let rows = sqlx::query!(
        "select id, version, body, changed_by, created_at, updated_at from projects
         where organization_id = $1 and key > $2 and ($4::text[] is null or key = any($4))
         order by key limit $3",
        authorized.organization(),
        page.after.as_deref().unwrap_or_default(),
        page.rows(),
        shown.as_deref(),
    )
    .fetch_all(&app.pools.read)
    .await?;
    let mut projects = Vec::new();
    for row in rows {
        projects.push(show(&Stored {
            id: row.id,
            environment: None,
            version: row.version,
            changed_by: row.changed_by,
            created_at: row.created_at,
            updated_at: row.updated_at,
            message: Project::decode(row.body.as_slice())?,
        }));
    }
    let next_page_token = page.cut(&mut projects, |project| project.key.clone());
    Ok(ListProjectsResponse {
        projects,
        next_page_token,
    })
}
