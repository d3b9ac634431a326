//! What a change leaves behind, and the commit itself.

use std::time::Duration;

use burgee_proto::admin::v1::{ChangeSet, ChangeSetState, Operation};
use burgee_proto::types::v1::{EnvironmentPosition, ErrorReason, Position};
use prost::Message as _;
use serde_json::{Map, Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use super::Change;
use super::ship::Shipment;
use crate::access::Authorized;
use crate::audit::with_token;
use crate::error::Error;
use crate::stored::timestamp;

/// How long a commit may take: then its outcome is unknown.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);
/// The level of what this server ships: all that it can write is level 1.
const ITEM_LEVEL: i16 = 1;

/// The answer to keep under a request id.
pub(super) struct Record {
    /// SHA-256 of the request.
    pub(super) body_hash: Vec<u8>,
    /// The encoded answer, without what is shown once only.
    pub(super) response: Vec<u8>,
}

/// A row of the audit log.
#[derive(Debug, Clone, Default)]
pub struct AuditEntry {
    /// The environment it happened in, if in one.
    pub environment: Option<Uuid>,
    /// The name of the resource.
    pub resource: String,
    /// Which part of it.
    pub part: String,
    /// ProtoJSON of what it was.
    pub before: Option<String>,
    /// ProtoJSON of what it became.
    pub after: Option<String>,
    /// What else there is to say.
    pub detail: Option<String>,
}

/// Who a record belongs to: actors are told apart within their organization
/// alone. What is answered to whoever may do all that the actor may, nobody is
/// told by a token that is good for less.
fn principal(authorized: &Authorized) -> String {
    let (organization, principal) = (authorized.organization(), authorized.principal());
    match &principal.token {
        Some(token) if token.narrowed => format!("{organization}/{}", token.name),
        _ => format!("{organization}/{}", principal.actor),
    }
}

/// The answer that was given under a request id before.
pub(super) async fn replay(
    connection: &mut PgConnection,
    authorized: &Authorized,
    request_id: &str,
    body_hash: &[u8],
) -> Result<Option<Vec<u8>>, Error> {
    let record = sqlx::query!(
        "select body_hash, response from idempotency_records
         where principal = $1 and method = $2 and request_id = $3
           and created_at > now() - interval '24 hours'",
        principal(authorized),
        authorized.method(),
        request_id,
    )
    .fetch_optional(connection)
    .await?;
    match record {
        Some(record) if record.body_hash == body_hash => Ok(Some(record.response)),
        Some(_) => Err(Error::RequestIdReused),
        None => Ok(None),
    }
}

impl Change {
    /// Where each locked environment stands after the change.
    pub(super) fn positions(&self, shipment: &Shipment) -> Vec<EnvironmentPosition> {
        let live = self.heads.iter().filter(|(_, head)| !head.deleted);
        live.map(|(id, head)| {
            let revision = shipment
                .heads
                .get(id)
                .map_or(head.revision, |after| after.revision);
            EnvironmentPosition {
                environment: id.to_string(),
                position: Some(Position {
                    epoch: self.epoch,
                    revision: revision.cast_unsigned(),
                }),
            }
        })
        .collect()
    }

    /// The same, of the environments in which the caller may do what the method does. A key that
    /// follows environments moves others with the one that was asked for.
    pub(super) fn told_positions(&self, shipment: &Shipment) -> Vec<EnvironmentPosition> {
        let told = |id: &Uuid| {
            let head = self.heads.get(id);
            head.is_some_and(|head| self.authorized.allows(head.name.place()))
        };
        let mut positions = self.positions(shipment);
        positions.retain(|at| at.environment.parse().is_ok_and(|id| told(&id)));
        positions
    }

    /// Writes all that the change leaves behind, in one statement.
    pub(super) async fn write(
        &mut self,
        shipment: Shipment,
        record: Option<Record>,
    ) -> Result<(), Error> {
        let change_set = (!self.operations.is_empty()).then(|| self.change_set());
        let audit = self.audit_entries()?;
        // No row differs without an operation that says so.
        if change_set.is_none() && audit.is_empty() && shipment.heads.is_empty() && record.is_none()
        {
            return Ok(());
        }
        let event = self.event(&shipment, change_set.as_ref().map(|(id, _)| *id), &audit);
        let (event, event_body) = event.unzip();
        let (change_set_id, change_set_body) = change_set.unzip();
        let Shipment {
            items,
            heads,
            configs,
        } = &shipment;
        let revision = |environment| heads.get(environment).map_or(0, |head| head.revision);
        let records = u64::from(record.is_some());
        let record = record.map(|record| (record.body_hash, record.response));
        let (body_hash, response) = record.unzip();
        let organization = self.authorized.organization();
        let project = self.project;
        let actor = self.actor().to_owned();
        let method = self.authorized.method();
        let origin = self.authorized.origin().clone();
        let (request_id, reason) = (self.common.request_id.clone(), self.common.reason.clone());
        let kept = sqlx::query_file!(
            "src/change/commit.sql",
            &column(items, |item| item.environment),
            &column(items, |item| item.kind),
            &column(items, |item| item.key.clone()),
            &column(items, |item| revision(&item.environment)),
            &column(items, |item| item.body.clone()) as &[Option<Vec<u8>>],
            ITEM_LEVEL,
            &column(heads.keys(), |id| *id),
            &column(heads.values(), |head| head.revision),
            &column(heads.values(), |head| head.item_count),
            &column(heads.values(), |head| head.item_bytes),
            change_set_id,
            organization,
            project,
            ChangeSetState::Applied as i16,
            actor,
            change_set_body,
            method,
            request_id,
            reason,
            &column(&audit, |entry| entry.environment) as &[Option<Uuid>],
            &column(&audit, |entry| entry.resource.clone()),
            &column(&audit, |entry| entry.part.clone()),
            &column(&audit, |entry| entry.before.clone()) as &[Option<String>],
            &column(&audit, |entry| entry.after.clone()) as &[Option<String>],
            &column(&audit, |entry| entry.detail.clone()) as &[Option<String>],
            event,
            event_body,
            body_hash,
            response,
            principal(&self.authorized),
            self.now,
            &column(configs, |row| row.environment),
            &column(configs, |row| row.flag),
            &column(configs, |row| row.version),
            &column(configs, |row| row.enabled),
            &column(configs, |row| row.body.clone()),
            origin.address_text(),
            &*origin.user_agent,
        )
        .execute(self.connection())
        .await?;
        // Another request came first with the same id: the same one, whose answer is this
        // one's, or another.
        if kept.rows_affected() < records {
            return Err(Error::RequestIdReused);
        }
        Ok(())
    }

    /// What the outbox tells others, and its body. None: nothing happened.
    fn event(
        &self,
        shipment: &Shipment,
        change_set: Option<Uuid>,
        audit: &[AuditEntry],
    ) -> Option<(&'static str, String)> {
        let name = match change_set {
            Some(_) => "change_set.applied",
            None if audit.is_empty() => return None,
            None if shipment.heads.is_empty() => "access.changed",
            None => "api_key.changed",
        };
        let positions = self.positions(shipment).into_iter().map(|at| {
            let revision = at.position.map_or(0, |position| position.revision);
            json!({
                "environment": at.environment,
                "epoch": self.epoch.to_string(),
                "revision": revision.to_string(),
            })
        });
        let body = json!({
            "changeSet": change_set.map(|id| id.to_string()),
            "method": self.authorized.method(),
            "positions": positions.collect::<Vec<_>>(),
        });
        Some((name, body.to_string()))
    }

    fn change_set(&self) -> (Uuid, Vec<u8>) {
        let id = Uuid::now_v7();
        let change_set = ChangeSet {
            uid: id.to_string(),
            reason: self.common.reason.clone(),
            state: ChangeSetState::Applied.into(),
            operations: self.operations.clone(),
            author: self.actor().to_owned(),
            create_time: Some(timestamp(self.now)),
            apply_time: Some(timestamp(self.now)),
            ..ChangeSet::default()
        };
        (id, change_set.encode_to_vec())
    }

    fn audit_entries(&self) -> Result<Vec<AuditEntry>, Error> {
        let operations = self
            .operations
            .iter()
            .map(|operation| self.audit_entry(operation));
        let mut entries = operations.collect::<Result<Vec<_>, _>>()?;
        entries.extend(self.audit.iter().cloned());
        if let Some(token) = &self.authorized.principal().token {
            for entry in &mut entries {
                let detail = entry.detail.as_deref().map(serde_json::from_str);
                let detail = detail.transpose().map_err(Error::internal)?;
                let detail = with_token(detail, Some(&token.name));
                entry.detail = detail.map(|detail| detail.to_string());
            }
        }
        Ok(entries)
    }

    /// `{"resource": …, "<part>": {"before": …, "after": …, …}}` taken apart.
    fn audit_entry(&self, operation: &Operation) -> Result<AuditEntry, Error> {
        let json = self.app.descriptors.json(operation)?;
        let mut json: Map<String, Value> = serde_json::from_str(&json).map_err(Error::internal)?;
        json.remove("resource");
        let (part, value) = json.into_iter().next().unwrap_or_default();
        let Value::Object(mut value) = value else {
            return Err(Error::internal("an operation without a part"));
        };
        let mut take = |key: &str| value.remove(key).map(|value| value.to_string());
        let (before, after) = (take("before"), take("after"));
        let detail = (!value.is_empty()).then(|| Value::Object(value).to_string());
        Ok(AuditEntry {
            environment: self.environment_of(&operation.resource),
            resource: operation.resource.clone(),
            part,
            before,
            after,
            detail,
        })
    }

    fn environment_of(&self, resource: &str) -> Option<Uuid> {
        let inside = |name: &str| {
            resource
                .strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let mut heads = self.heads.iter();
        heads
            .find(|(_, head)| inside(&head.name.to_string()))
            .map(|(id, _)| *id)
    }

    /// Commits. What went wrong here leaves the outcome unknown.
    pub(super) async fn commit(self: Box<Self>) -> Result<(), Error> {
        let unknown = |cause: String| Error::Unavailable {
            reason: ErrorReason::OutcomeUnknown,
            cause,
        };
        match tokio::time::timeout(COMMIT_TIMEOUT, self.transaction.commit()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(unknown(error.to_string())),
            Err(_) => Err(unknown(format!("no answer within {COMMIT_TIMEOUT:?}"))),
        }
    }
}

/// One column of several rows, for a statement that takes them all.
fn column<R, V>(rows: impl IntoIterator<Item = R>, value: impl Fn(R) -> V) -> Vec<V> {
    rows.into_iter().map(value).collect()
}
