//! ListFlags, GetFlag and GetFlagConfig: reading without a lock.

use burgee_proto::admin::v1::{
    FlagConfig, FlagFilter, FlagSummary, GetFlagConfigRequest, GetFlagConfigResponse,
    GetFlagRequest, GetFlagResponse, ListFlagsRequest, ListFlagsResponse,
};
use burgee_proto::types::v1::FlagType;
use prost::Message as _;
use sqlx::PgConnection;
use uuid::Uuid;

use super::list_order::{FlagPlace, Order, OrderBy};
use super::{FlagEntry, show, store};
use crate::access::Authorized;
use crate::app::App;
use crate::environments;
use crate::error::Error;
use crate::names::{EnvironmentName, FlagConfigName, FlagName, ProjectName};
use crate::page::{PAGE_BYTES_MAX, Page};
use crate::projects;
use crate::stored::Stored;
use crate::texts::Violations;

/// The most environments whose configurations one call gives.
const ENVIRONMENTS_MAX: usize = 50;

/// How many flags are read at a time.
const READ_AT_ONCE: usize = 16;

/// Gives one definition.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get_flag(
    app: &App,
    authorized: &Authorized,
    request: GetFlagRequest,
) -> Result<GetFlagResponse, Error> {
    let name = FlagName::parse("name", &request.name)?;
    let mut connection = app.pools.read.acquire().await?;
    let project = projects::id(&mut connection, authorized, &name.project()).await?;
    let project = project.ok_or_else(|| Error::not_found(&name))?;
    let mut flags = store::read(
        &mut connection,
        project,
        Some(std::slice::from_ref(&name.flag)),
        &[],
    )
    .await?;
    let stored = flags
        .remove(&name.flag)
        .and_then(|entry| entry.definition.before);
    let stored = stored.ok_or_else(|| Error::not_found(&name))?;
    Ok(GetFlagResponse {
        flag: Some(show::flag(&name, &stored)),
    })
}

/// Gives one configuration.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get_flag_config(
    app: &App,
    authorized: &Authorized,
    request: GetFlagConfigRequest,
) -> Result<GetFlagConfigResponse, Error> {
    let name = FlagConfigName::parse("name", &request.name)?;
    let mut connection = app.pools.read.acquire().await?;
    let found = environments::id(&mut connection, authorized, &name.environment()).await?;
    let (project, environment) = found.ok_or_else(|| Error::not_found(&name))?;
    let keys = std::slice::from_ref(&name.flag);
    let mut flags = store::read(&mut connection, project, Some(keys), &[environment]).await?;
    let config = flags
        .remove(&name.flag)
        .and_then(|mut entry| entry.configs.remove(&environment));
    let stored = config
        .and_then(|slot| slot.before)
        .ok_or_else(|| Error::not_found(&name))?;
    Ok(GetFlagConfigResponse {
        flag_config: Some(show::config(&name, &stored)),
    })
}

/// Lists flags with their state in the environments asked for.
///
/// # Errors
/// [`Error::NotFound`] for the project or an environment, [`Error::Invalid`].
pub async fn list_flags(
    app: &App,
    authorized: &Authorized,
    request: ListFlagsRequest,
) -> Result<ListFlagsResponse, Error> {
    let name = ProjectName::parse("parent", &request.parent)?;
    let order = Order::parse(&request.order_by)?;
    let filter = request.filter.unwrap_or_default();
    check_filter(&filter)?;
    let question = [
        request.parent.clone(),
        request.order_by.clone(),
        app.descriptors.json(&filter)?,
    ];
    let question: Vec<&str> = question.iter().map(String::as_str).collect();
    let page = Page::parse(request.page_size, &request.page_token, &question)?;

    let mut connection = app.pools.read.acquire().await?;
    let project = projects::id(&mut connection, authorized, &name).await?;
    let project = project.ok_or_else(|| Error::not_found(&name))?;
    let shown =
        wanted_environments(&mut connection, authorized, &name, &request.environments).await?;
    let enabled = state_filter(
        &mut connection,
        authorized,
        &name,
        ("filter.enabled_in", &filter.enabled_in),
    )
    .await?;
    let disabled = state_filter(
        &mut connection,
        authorized,
        &name,
        ("filter.disabled_in", &filter.disabled_in),
    )
    .await?;

    let mut places = page_of_keys(
        &mut connection,
        project,
        &filter,
        (enabled, disabled),
        order,
        &page,
    )
    .await?;
    let next_page_token = page.cut(&mut places, FlagPlace::to_string);
    let keys: Vec<String> = places.iter().map(|place| place.key.clone()).collect();
    let ids: Vec<Uuid> = shown.iter().map(|(_, id)| *id).collect();
    let Some(last) = keys.last() else {
        return Ok(ListFlagsResponse::default());
    };
    let mut listed = ListFlagsResponse {
        flags: Vec::new(),
        next_page_token,
    };
    // A few at a time: configurations may be large, and there is one for each environment.
    for (chunk, places) in keys.chunks(READ_AT_ONCE).zip(places.chunks(READ_AT_ONCE)) {
        let mut flags = store::read(&mut connection, project, Some(chunk), &ids).await?;
        for (key, place) in chunk.iter().zip(places) {
            let entry = flags.remove(key);
            let next = entry.and_then(|entry| summary(&entry, &name.flag(key), &shown));
            listed.flags.extend(next);
            if listed.encoded_len() > PAGE_BYTES_MAX && key != last {
                listed.next_page_token = page.token_after(&place.to_string());
                return Ok(listed);
            }
        }
    }
    Ok(listed)
}

/// A flag with its configurations in some environments.
fn summary(
    entry: &FlagEntry,
    name: &FlagName,
    shown: &[(EnvironmentName, Uuid)],
) -> Option<FlagSummary> {
    let flag = show::flag(name, entry.definition.before.as_ref()?);
    let configs = shown
        .iter()
        .filter_map(|(environment, id)| config(entry, environment, *id, &name.flag));
    Some(FlagSummary {
        flag: Some(flag),
        configs: configs.collect(),
    })
}

fn check_filter(filter: &FlagFilter) -> Result<(), Error> {
    let mut violations = Violations::default();
    let known = FlagType::try_from(filter.r#type).is_ok();
    violations.require(known, "filter.type", "give a flag type");
    violations.display_name("filter.text", &filter.text);
    violations.display_name("filter.owner", &filter.owner);
    violations.tags("filter.tags", &filter.tags);
    violations.finish()
}

fn config(
    entry: &FlagEntry,
    environment: &EnvironmentName,
    id: Uuid,
    key: &str,
) -> Option<FlagConfig> {
    let stored: &Stored<FlagConfig> = entry.configs.get(&id)?.before.as_ref()?;
    Some(show::config(&environment.flag(key), stored))
}

async fn wanted_environments(
    connection: &mut PgConnection,
    authorized: &Authorized,
    project: &ProjectName,
    names: &[String],
) -> Result<Vec<(EnvironmentName, Uuid)>, Error> {
    if names.len() > ENVIRONMENTS_MAX {
        return Err(Error::invalid(
            "environments",
            format!("at most {ENVIRONMENTS_MAX}"),
        ));
    }
    let mut wanted = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let field = format!("environments[{at}]");
        if names.iter().position(|other| other == name) != Some(at) {
            return Err(Error::invalid(field, "given twice"));
        }
        wanted.push(environment_of(connection, authorized, project, (&field, name)).await?);
    }
    Ok(wanted)
}

async fn environment_of(
    connection: &mut PgConnection,
    authorized: &Authorized,
    project: &ProjectName,
    (field, name): (&str, &str),
) -> Result<(EnvironmentName, Uuid), Error> {
    let name = EnvironmentName::parse(field, name)?;
    if name.project() != *project {
        return Err(Error::invalid(
            field,
            format!("give an environment of {project}"),
        ));
    }
    let found = environments::id(connection, authorized, &name).await?;
    let (_, id) = found.ok_or_else(|| Error::not_found(&name))?;
    Ok((name, id))
}

async fn state_filter(
    connection: &mut PgConnection,
    authorized: &Authorized,
    project: &ProjectName,
    (field, name): (&str, &str),
) -> Result<Option<Uuid>, Error> {
    if name.is_empty() {
        return Ok(None);
    }
    let (_, id) = environment_of(connection, authorized, project, (field, name)).await?;
    Ok(Some(id))
}

/// Places of one row more than the page has.
async fn page_of_keys(
    connection: &mut PgConnection,
    project: Uuid,
    filter: &FlagFilter,
    (enabled, disabled): (Option<Uuid>, Option<Uuid>),
    order: Order,
    page: &Page,
) -> Result<Vec<FlagPlace>, Error> {
    let kind = (filter.r#type() != FlagType::Unspecified).then_some(filter.r#type() as i16);
    let pattern = (!filter.text.is_empty()).then(|| like(&filter.text));
    let owner = (!filter.owner.is_empty()).then(|| filter.owner.clone());
    let after = page.after::<FlagPlace>()?;
    let by_time = order.by != OrderBy::Key;
    let rows = sqlx::query_file!(
        "src/flags/list_flags.sql",
        project,
        filter.archived,
        pattern,
        &filter.tags,
        kind,
        owner,
        enabled,
        disabled,
        by_time,
        order.by == OrderBy::CreateTime,
        order.descending,
        after.as_ref().map(|place| place.key.as_str()),
        after.as_ref().and_then(|place| place.time),
        page.rows(),
    )
    .fetch_all(connection)
    .await?;
    let places = rows.into_iter().map(|row| FlagPlace {
        time: by_time.then_some(row.at),
        key: row.key,
    });
    Ok(places.collect())
}

/// A pattern that finds `text` anywhere.
fn like(text: &str) -> String {
    let mut pattern = String::from("%");
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}
