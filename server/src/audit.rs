//! Who did what. Entries are written by the changes that they tell of, in their transactions;
//! here is what is done with them afterwards.
//!
//! | module | what |
//! |---|---|
//! | [`service`], [`list_audit_entries`], [`export_audit_entries`] | reading them |
//! | [`append`] | entries of what no change tells of: signing in |
//! | [`sealer`], [`keys`] | sealing them, behind those who write |
//! | [`verify`] | finding the first that is not as it was sealed |
//! | [`denials`] | telling of refused attempts |
//! | [`erase`] | blanking a person's data, without breaking a seal |

pub mod append;
pub mod denials;
pub mod erase;
pub mod export_audit_entries;
pub mod keys;
pub mod list_audit_entries;
mod seal;
pub mod sealer;
pub mod service;
pub mod verify;

use burgee_proto::admin::v1::{AuditEntry, AuditFilter};
use serde_json::{Map, Value};
use sqlx::PgPool;
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use crate::access::Authorized;
use crate::app::App;
use crate::descriptors::Descriptors;
use crate::environments;
use crate::error::Error;
use crate::names::{EnvironmentName, TokenName};
use crate::stored::{time_of, timestamp};
use crate::texts::Violations;

/// The longest actor, resource, method or request id that is asked for, in bytes.
const TEXT_MAX: usize = 512;

/// What an entry says besides, of what is done or tried with a token: the token, too.
#[must_use]
pub fn with_token(detail: Option<Value>, token: Option<&TokenName>) -> Option<Value> {
    let Some(token) = token else {
        return detail;
    };
    let mut detail = match detail {
        Some(Value::Object(detail)) => detail,
        _ => Map::new(),
    };
    detail.insert("token".to_owned(), token.to_string().into());
    Some(Value::Object(detail))
}

/// A row of the log.
#[derive(Debug)]
struct Row {
    id: i64,
    actor: String,
    method: String,
    request_id: String,
    resource: String,
    part: String,
    reason: String,
    project_id: Option<Uuid>,
    environment_id: Option<Uuid>,
    change_set_id: Option<Uuid>,
    /// ProtoJSON.
    before: Option<String>,
    after: Option<String>,
    detail: Option<String>,
    created_at: OffsetDateTime,
    address: String,
    user_agent: String,
    denied: i32,
    erased: Vec<String>,
}

/// So many entries at most, which hold so many bytes together, and one more.
type Room = (i64, usize);

/// Which rows, and in which order.
#[derive(Debug, Clone)]
struct Query {
    organization: Uuid,
    actor: Option<String>,
    resource: Option<String>,
    environment: Option<Uuid>,
    method: Option<String>,
    start: Option<OffsetDateTime>,
    end: Option<OffsetDateTime>,
    request_id: Option<String>,
    denied: Option<bool>,
    newest_first: bool,
}

impl Row {
    /// How much `before`, `after` and `detail` hold, in bytes.
    fn content_bytes(&self) -> usize {
        let content = [&self.before, &self.after, &self.detail];
        content.into_iter().flatten().map(String::len).sum()
    }

    fn show(&self, descriptors: &Descriptors) -> Result<AuditEntry, Error> {
        let value = |json: &Option<String>| {
            let json = json.as_deref();
            json.map(|json| descriptors.value(json)).transpose()
        };
        Ok(AuditEntry {
            before: value(&self.before)?,
            after: value(&self.after)?,
            detail: value(&self.detail)?,
            ..self.show_without_content()
        })
    }

    fn show_without_content(&self) -> AuditEntry {
        let uid = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
        AuditEntry {
            id: self.id,
            actor: self.actor.clone(),
            method: self.method.clone(),
            request_id: self.request_id.clone(),
            resource: self.resource.clone(),
            part: self.part.clone(),
            reason: self.reason.clone(),
            project: uid(self.project_id),
            environment: uid(self.environment_id),
            change_set: uid(self.change_set_id),
            create_time: Some(timestamp(self.created_at)),
            address: self.address.clone(),
            user_agent: self.user_agent.clone(),
            denied: self.denied,
            erased: self.erased.clone(),
            ..AuditEntry::default()
        }
    }
}

impl Query {
    /// # Errors
    /// [`Error::Invalid`], or [`Error::NotFound`] for the environment.
    async fn new(
        app: &App,
        authorized: &Authorized,
        filter: AuditFilter,
        newest_first: bool,
    ) -> Result<Self, Error> {
        let mut violations = Violations::default();
        violations.text("filter.actor", &filter.actor, TEXT_MAX);
        violations.text("filter.resource", &filter.resource, TEXT_MAX);
        violations.text("filter.method", &filter.method, TEXT_MAX);
        violations.text("filter.request_id", &filter.request_id, TEXT_MAX);
        violations.finish()?;
        let time = |field: &str, time: &Option<prost_types::Timestamp>| {
            time.as_ref().map(|time| time_of(field, time)).transpose()
        };
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        Ok(Self {
            organization: authorized.organization(),
            environment: environment(app, authorized, &filter.environment).await?,
            start: time("filter.start_time", &filter.start_time)?,
            end: time("filter.end_time", &filter.end_time)?,
            actor: given(filter.actor),
            resource: given(filter.resource),
            method: given(filter.method),
            request_id: given(filter.request_id),
            denied: filter.denied,
            newest_first,
        })
    }

    /// Reads the rows after one for which there is room.
    async fn read(
        &self,
        pool: &PgPool,
        after: Option<i64>,
        (rows, bytes): Room,
    ) -> Result<Vec<Row>, Error> {
        let rows = sqlx::query_as!(
            Row,
            r#"with entries as (
                   select id, actor, method, request_id, resource, part, reason, project_id,
                          environment_id, change_set_id, before::text, after::text, detail::text,
                          created_at, address, user_agent, denied, erased,
                          case when $11 then -id else id end as place
                   from audit_entries
                   where organization_id = $1
                     and ($2::text is null or actor = $2)
                     and ($3::text is null or resource = $3 or starts_with(resource, $3 || '/'))
                     and ($4::uuid is null or environment_id = $4)
                     and ($5::text is null or method = $5
                          or right(method, length($5) + 1) = '/' || $5)
                     and ($6::timestamptz is null or created_at >= $6)
                     and ($7::timestamptz is null or created_at < $7)
                     and ($8::text is null or request_id = $8)
                     and ($9::boolean is null or (denied > 0) = $9)
                     and ($10::bigint is null or case when $11 then id < $10 else id > $10 end)
                   order by place limit $12
               ),
               measured as (
                   select *, coalesce(octet_length(before), 0) + coalesce(octet_length(after), 0)
                             + coalesce(octet_length(detail), 0) as bytes
                   from entries
               ),
               summed as (
                   select *, sum(bytes) over (order by place) - bytes as bytes_before
                   from measured
               )
               select id, actor, method, request_id, resource, part, reason, project_id,
                      environment_id, change_set_id, before, after, detail, created_at, address,
                      user_agent, denied, erased
               from summed where bytes_before < $13 order by place"#,
            self.organization,
            self.actor,
            self.resource,
            self.environment,
            self.method,
            self.start,
            self.end,
            self.request_id,
            self.denied,
            after,
            self.newest_first,
            rows,
            i64::try_from(bytes).map_err(Error::internal)?,
        )
        .fetch_all(pool)
        .await?;
        Ok(rows)
    }
}

async fn environment(
    app: &App,
    authorized: &Authorized,
    name: &str,
) -> Result<Option<Uuid>, Error> {
    if name.is_empty() {
        return Ok(None);
    }
    let name = EnvironmentName::parse("filter.environment", name)?;
    let mut connection = app.pools.read.acquire().await?;
    let found = environments::id(&mut connection, authorized, &name).await?;
    let (_, id) = found.ok_or_else(|| Error::not_found(&name))?;
    Ok(Some(id))
}
