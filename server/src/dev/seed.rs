//! The demo project: one of everything, made through the path that every change
//! takes. Doing it again puts it back and changes nothing else.

use burgee_proto::admin::v1::{
    AddSegmentKeysRequest, CreateEnvironmentRequest, CreateFlagRequest, CreateProjectRequest,
    CreateSegmentRequest, Environment, FlagConfig, GetFlagConfigRequest, Project, Segment,
    SegmentList, SetFlagEnabledRequest, UpdateFlagConfigRequest,
};
use prost_types::FieldMask;
use uuid::Uuid;

use super::demo_flags::{self, DemoFlag};
use crate::access::{Authorized, vouch};
use crate::app::App;
use crate::change::{self, Mutation};
use crate::deployment::ACTOR;
use crate::error::Error;
use crate::flags::list_flags;

/// The demo project's key.
pub const PROJECT: &str = "demo";
/// Its name.
pub const PROJECT_NAME: &str = "projects/demo";
/// The environment that examples speak of.
pub const FIRST_ENVIRONMENT: &str = "projects/demo/environments/development";
/// How, for the audit log.
const METHOD: &str = "burgee-server dev";
/// The demo's segment.
pub const SEGMENT: &str = "beta-testers";
/// Who is in it.
const TESTERS: [&str; 2] = ["alice", "bob"];

/// Environments by key, name for people, and whether they are protected.
const ENVIRONMENTS: [(&str, &str, bool); 3] = [
    ("development", "Development", false),
    ("staging", "Staging", false),
    ("production", "Production", true),
];

/// Applies a change in the name of the program.
///
/// # Errors
/// Those of the change.
pub async fn perform<M: Mutation>(
    app: &App,
    organization: Uuid,
    message: M,
) -> Result<M::Response, Error> {
    change::perform(app, authorized(organization), message).await
}

fn authorized(organization: Uuid) -> Authorized {
    vouch(organization, ACTOR, METHOD)
}

/// Whether the demo project is there.
///
/// # Errors
/// Those of the database.
pub async fn is_there(app: &App, organization: Uuid) -> Result<bool, Error> {
    let found = sqlx::query_scalar!(
        "select id from projects where organization_id = $1 and key = $2",
        organization,
        PROJECT,
    )
    .fetch_optional(&app.pools.read)
    .await?;
    Ok(found.is_some())
}

/// The names of the demo project's environments, oldest first.
///
/// # Errors
/// Those of the database.
pub async fn environments(app: &App, organization: Uuid) -> Result<Vec<String>, Error> {
    let keys = sqlx::query_scalar!(
        "select e.key from environments e join projects p on p.id = e.project_id
         where p.organization_id = $1 and p.key = $2
         order by e.created_at, e.key",
        organization,
        PROJECT,
    )
    .fetch_all(&app.pools.read)
    .await?;
    Ok(keys.iter().map(|key| environment_name(key)).collect())
}

fn environment_name(key: &str) -> String {
    format!("{PROJECT_NAME}/environments/{key}")
}

/// Makes the demo project, or what is missing of it.
///
/// # Errors
/// Those of the changes.
pub async fn demo(app: &App, organization: Uuid) -> Result<(), Error> {
    let project = CreateProjectRequest {
        project: Some(Project {
            key: PROJECT.to_owned(),
            display_name: "Demo".to_owned(),
            description: "A shop, to try things out with.".to_owned(),
            ..Project::default()
        }),
        ..CreateProjectRequest::default()
    };
    make(app, organization, project).await?;
    for (key, display_name, protected) in ENVIRONMENTS {
        let environment = CreateEnvironmentRequest {
            parent: PROJECT_NAME.to_owned(),
            environment: Some(Environment {
                key: key.to_owned(),
                display_name: display_name.to_owned(),
                protected,
                ..Environment::default()
            }),
            ..CreateEnvironmentRequest::default()
        };
        make(app, organization, environment).await?;
    }
    segment(app, organization).await?;
    for flag in demo_flags::all() {
        configured_flag(app, organization, flag).await?;
    }
    Ok(())
}

async fn segment(app: &App, organization: Uuid) -> Result<(), Error> {
    let segment = CreateSegmentRequest {
        parent: PROJECT_NAME.to_owned(),
        segment: Some(Segment {
            key: SEGMENT.to_owned(),
            display_name: "Beta testers".to_owned(),
            description: "People who like to see things first.".to_owned(),
            ..Segment::default()
        }),
        ..CreateSegmentRequest::default()
    };
    make(app, organization, segment).await?;
    for (environment, ..) in ENVIRONMENTS {
        let keys = AddSegmentKeysRequest {
            name: format!("{}/segments/{SEGMENT}", environment_name(environment)),
            list: SegmentList::Included.into(),
            keys: TESTERS.map(str::to_owned).to_vec(),
            ..AddSegmentKeysRequest::default()
        };
        perform(app, organization, keys).await?;
    }
    Ok(())
}

async fn configured_flag(app: &App, organization: Uuid, demo: DemoFlag) -> Result<(), Error> {
    let key = demo.flag.key.clone();
    let flag = CreateFlagRequest {
        parent: PROJECT_NAME.to_owned(),
        flag: Some(demo.flag),
        ..CreateFlagRequest::default()
    };
    make(app, organization, flag).await?;
    for (environment, ..) in ENVIRONMENTS {
        let name = format!("{}/flags/{key}", environment_name(environment));
        let request = GetFlagConfigRequest { name: name.clone() };
        let config = list_flags::get_flag_config(app, &authorized(organization), request).await?;
        let etag = config
            .flag_config
            .map(|config| config.etag)
            .unwrap_or_default();
        let targeting = UpdateFlagConfigRequest {
            flag_config: Some(FlagConfig {
                name: name.clone(),
                ..demo.config.clone()
            }),
            update_mask: Some(FieldMask {
                paths: ["prerequisites", "targets", "rules", "fallthrough"]
                    .map(str::to_owned)
                    .to_vec(),
            }),
            etag,
            ..UpdateFlagConfigRequest::default()
        };
        perform(app, organization, targeting).await?;
        let enabled = SetFlagEnabledRequest {
            name,
            enabled: demo.enabled_in.contains(&environment),
            ..SetFlagEnabledRequest::default()
        };
        perform(app, organization, enabled).await?;
    }
    Ok(())
}

/// Makes something, unless it is there.
async fn make<M: Mutation>(app: &App, organization: Uuid, message: M) -> Result<(), Error> {
    match perform(app, organization, message).await {
        Ok(_) | Err(Error::Exists { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
