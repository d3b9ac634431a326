//! The only door for writes: whatever alters an evaluated value goes through
//! [`run`], in one transaction that locks first, then validates, then commits
//! items, heads, history, audit, outbox and the answer together.
//!
//! ```text
//! run ─ replay? ─ queue ─ begin: lock ─ Mutation::apply ─ ship ─ write ─ commit ─ nudge
//! ```

pub mod commit;
pub mod mutation;
pub mod preview;
pub mod queue;
pub mod scope;
pub mod ship;

use std::collections::BTreeMap;

use burgee_proto::admin::v1::Operation;
use sqlx::types::time::OffsetDateTime;
use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

use crate::access::Authorized;
use crate::app::App;
use crate::error::Error;
use crate::flags::Flags;
use crate::names::EnvironmentName;
use crate::segments::Segments;
use crate::stored::{Slot, Stored};
use commit::AuditEntry;
pub(crate) use mutation::mutation_fields;
pub use mutation::{Common, Mutation, Outcome, perform, run};
use scope::Locked;

/// A change under way: the transaction, what it has locked, and what it has
/// done so far.
pub struct Change {
    /// Everything shared.
    pub app: App,
    /// Who, and that they may.
    pub authorized: Authorized,
    /// What every mutation has.
    pub common: Common,
    /// Flags that were read, as they will be.
    pub flags: Flags,
    /// Segments that were read, as they will be.
    pub segments: Segments,
    transaction: Transaction<'static, Postgres>,
    now: OffsetDateTime,
    epoch: u64,
    project: Option<Uuid>,
    /// Whether heads of any project may be locked still.
    may_lock_heads: bool,
    /// The locked environments, by uid.
    pub(crate) heads: BTreeMap<Uuid, Head>,
    operations: Vec<Operation>,
    warnings: Vec<String>,
    audit: Vec<AuditEntry>,
    access_keys: BTreeMap<(Uuid, String), Option<Vec<u8>>>,
}

/// A locked environment.
#[derive(Debug, Clone)]
pub struct Head {
    /// Its name.
    pub name: EnvironmentName,
    /// Its project.
    pub project: Uuid,
    /// Where it stands, before this change.
    pub revision: i64,
    /// Live items, before this change.
    pub item_count: i32,
    /// Bytes of live items, before this change.
    pub item_bytes: i64,
    /// Made by this change: it begins at revision 1.
    pub created: bool,
    /// Deleted by this change.
    pub deleted: bool,
}

impl Head {
    /// The head of an environment that the change makes.
    #[must_use]
    pub fn new(name: EnvironmentName, project: Uuid) -> Self {
        Self {
            name,
            project,
            revision: 1,
            item_count: 0,
            item_bytes: 0,
            created: true,
            deleted: false,
        }
    }
}

impl Change {
    /// A change of what is locked.
    fn new(
        app: App,
        transaction: Transaction<'static, Postgres>,
        authorized: Authorized,
        common: Common,
        locked: Locked,
    ) -> Self {
        Self {
            app,
            authorized,
            common,
            flags: Flags::default(),
            segments: Segments::default(),
            transaction,
            now: locked.now,
            epoch: locked.epoch.cast_unsigned(),
            project: locked.project,
            may_lock_heads: locked.organization,
            heads: locked.heads,
            operations: Vec::new(),
            warnings: Vec::new(),
            audit: Vec::new(),
            access_keys: BTreeMap::new(),
        }
    }

    /// The connection that holds the locks.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    /// When the change is made, on the database's clock.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        self.now
    }

    /// Who history says made it.
    #[must_use]
    pub fn actor(&self) -> &str {
        &self.authorized.principal().actor
    }

    /// The epoch of positions.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The environments that are locked.
    #[must_use]
    pub fn heads(&self) -> &BTreeMap<Uuid, Head> {
        &self.heads
    }

    /// The locked project.
    ///
    /// # Errors
    /// [`Error::Internal`] if the scope has none.
    pub fn project(&self) -> Result<Uuid, Error> {
        self.project
            .ok_or_else(|| Error::internal("no project is locked"))
    }

    /// The locked environment of that name.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it is not among the locked ones.
    pub fn environment(&self, name: &EnvironmentName) -> Result<Uuid, Error> {
        self.heads
            .iter()
            .find(|(_, head)| head.name == *name)
            .map(|(id, _)| *id)
            .ok_or_else(|| Error::not_found(name))
    }

    /// Locks the heads of further environments, of any project: once, under the organization's
    /// lock, which keeps others who do so apart (see [`scope`]).
    ///
    /// # Errors
    /// [`Error::Internal`] without that lock, or for others the second time: who waits for whom
    /// could be a circle. Those of the database.
    pub async fn lock_heads(&mut self, environments: &[Uuid]) -> Result<(), Error> {
        if environments.iter().all(|id| self.heads.contains_key(id)) {
            return Ok(());
        }
        if !std::mem::take(&mut self.may_lock_heads) {
            return Err(Error::internal("heads may not be locked any more"));
        }
        let heads = scope::lock_heads(&mut self.transaction, environments).await?;
        for (id, head) in heads {
            self.heads.entry(id).or_insert(head);
        }
        Ok(())
    }

    /// Adds an environment that this change makes.
    pub fn add_head(&mut self, id: Uuid, head: Head) {
        self.heads.insert(id, head);
    }

    /// Marks an environment that this change deletes.
    pub fn delete_head(&mut self, id: Uuid) {
        if let Some(head) = self.heads.get_mut(&id) {
            head.deleted = true;
        }
    }

    /// Sets what an environment ships for an access key. None: nothing.
    pub fn ship_access_key(&mut self, environment: Uuid, hash: &str, body: Option<Vec<u8>>) {
        self.access_keys
            .insert((environment, hash.to_owned()), body);
    }

    /// Takes an operation into the change set, after it was applied.
    pub fn record(&mut self, operation: Operation) {
        self.operations.push(operation);
    }

    /// Tells whoever only tries the change what deserves a second look.
    pub fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    /// Takes an entry into the audit log for what no change set tells of: API
    /// keys, and who may do what.
    pub fn record_audit(&mut self, entry: AuditEntry) {
        self.audit.push(entry);
    }

    /// As [`Change::record_audit`], of a resource: what it was and what it became, as messages.
    ///
    /// # Errors
    /// [`Error::Internal`] for what cannot be written as JSON.
    pub fn record_resource<M: prost::Message + prost::Name>(
        &mut self,
        name: impl ToString,
        part: &str,
        (before, after): (Option<&M>, Option<&M>),
    ) -> Result<(), Error> {
        let json = |message: &M| self.app.descriptors.json(message);
        let entry = AuditEntry {
            resource: name.to_string(),
            part: part.to_owned(),
            before: before.map(json).transpose()?,
            after: after.map(json).transpose()?,
            ..AuditEntry::default()
        };
        self.record_audit(entry);
        Ok(())
    }

    /// The operations so far.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// A row as it will be once the change is committed; as it was, if the
    /// change deletes it.
    pub fn after<M: prost::Message + Clone>(&self, id: Uuid, slot: &Slot<M>) -> Option<Stored<M>> {
        let before = slot.before.as_ref();
        let Some(message) = &slot.after else {
            return before.cloned();
        };
        let unchanged = before.filter(|_| !slot.changed());
        Some(Stored {
            id,
            environment: before.and_then(|stored| stored.environment),
            version: slot.version(),
            changed_by: unchanged.map_or_else(
                || self.actor().to_owned(),
                |stored| stored.changed_by.clone(),
            ),
            created_at: before.map_or(self.now, |stored| stored.created_at),
            updated_at: unchanged.map_or(self.now, |stored| stored.updated_at),
            message: message.clone(),
        })
    }
}
