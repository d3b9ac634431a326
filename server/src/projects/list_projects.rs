//! ListProjects and GetProject: reading without a lock.

use burgee_proto::admin::v1::{
    GetProjectRequest, GetProjectResponse, ListProjectsRequest, ListProjectsResponse,
};

use super::{read, show};
use crate::access::Authorized;
use crate::app::App;
use crate::error::Error;
use crate::names::ProjectName;
use crate::page::Page;
use crate::stored::Row;

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
    let rows = sqlx::query_as!(
        Row,
        "select id, version, body, changed_by, created_at, updated_at from projects
         where organization_id = $1 and key > $2 and ($4::text[] is null or key = any($4))
         order by key limit $3",
        authorized.organization(),
        page.after_key(),
        page.rows(),
        shown.as_deref(),
    )
    .fetch_all(&app.pools.read)
    .await?;
    let shown = rows.into_iter().map(|row| Ok(show(&row.decode()?)));
    let mut projects = shown.collect::<Result<Vec<_>, Error>>()?;
    let next_page_token = page.cut(&mut projects, |project| project.key.clone());
    Ok(ListProjectsResponse {
        projects,
        next_page_token,
    })
}
