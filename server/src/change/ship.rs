//! From changed rows to changed items: what each environment ships is encoded
//! here, once, and compared with what it ships already.

use std::collections::{BTreeMap, BTreeSet};

use burgee_evaluator::limits::{ITEM_BYTES_MAX, RULESET_BYTES_MAX};
use burgee_proto::sync::v1::ItemKind;
use uuid::Uuid;

use super::Change;
use crate::error::Error;
use crate::flags::store::ConfigRow;
use crate::{flags, segments};

/// Names an item: environment, kind, key.
pub type ItemName = (Uuid, ItemKind, String);

/// What items shall be. None: not shipped.
pub type Wanted = BTreeMap<ItemName, Option<Vec<u8>>>;

/// What differs from what is shipped already.
#[derive(Debug, Default)]
pub struct Shipment {
    /// Rows that are written with it.
    pub(super) configs: Vec<ConfigRow>,
    pub(super) items: Vec<ChangedItem>,
    pub(super) heads: BTreeMap<Uuid, HeadAfter>,
}

/// An item with a new body, or without one.
#[derive(Debug)]
pub(super) struct ChangedItem {
    pub(super) environment: Uuid,
    pub(super) kind: i16,
    pub(super) key: String,
    pub(super) body: Option<Vec<u8>>,
}

/// A head after the change.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadAfter {
    pub(super) revision: i64,
    pub(super) item_count: i32,
    pub(super) item_bytes: i64,
}

impl Change {
    /// Writes the rows that differ, and finds the items that differ thereby.
    pub(super) async fn ship(&mut self) -> Result<Shipment, Error> {
        let configs = flags::store::write(self).await?;
        segments::store::write(self).await?;
        let mut wanted = Wanted::new();
        let used = flags::shipped::items(self, &mut wanted)?;
        segments::shipped::items(self, used, &mut wanted).await?;
        for ((environment, hash), body) in &self.access_keys {
            let name = (*environment, ItemKind::AccessKey, hash.clone());
            wanted.insert(name, body.clone());
        }
        wanted.retain(|(environment, ..), _| {
            self.heads
                .get(environment)
                .is_some_and(|head| !head.deleted)
        });
        let mut shipment = self.compare(wanted).await?;
        shipment.configs = configs;
        Ok(shipment)
    }

    async fn compare(&mut self, wanted: Wanted) -> Result<Shipment, Error> {
        let shipped = self.shipped(&wanted).await?;
        let mut shipment = Shipment::default();
        for (id, head) in self.heads.iter().filter(|(_, head)| head.created) {
            // It begins at revision 1, whether it ships anything or not.
            shipment.heads.insert(
                *id,
                HeadAfter {
                    revision: 1,
                    ..HeadAfter::of(head)
                },
            );
        }
        let mut bounded = BTreeSet::new();
        for (name, body) in wanted {
            let before = shipped.get(&name);
            if before == body.as_ref() {
                continue;
            }
            let (environment, kind, key) = name;
            let Some(head) = self.heads.get(&environment) else {
                continue;
            };
            let after = shipment
                .heads
                .entry(environment)
                .or_insert_with(|| HeadAfter {
                    revision: head.revision + 1,
                    ..HeadAfter::of(head)
                });
            let size = |body: &Vec<u8>| i64::try_from(body.len()).unwrap_or(i64::MAX);
            after.item_count += i32::from(body.is_some()) - i32::from(before.is_some());
            after.item_bytes += body.as_ref().map_or(0, size) - before.map_or(0, size);
            if body
                .as_ref()
                .is_some_and(|body| body.len() > ITEM_BYTES_MAX)
            {
                return Err(Error::limit(
                    "item_bytes",
                    ITEM_BYTES_MAX,
                    &head.name,
                    format!("{key} would ship more than {ITEM_BYTES_MAX} bytes"),
                ));
            }
            // A key that is there can be revoked however full the environment is.
            if kind != ItemKind::AccessKey || before.is_none() {
                bounded.insert(environment);
            }
            shipment.items.push(ChangedItem {
                environment,
                kind: kind as i16,
                key,
                body,
            });
        }
        for (id, after) in shipment
            .heads
            .iter()
            .filter(|(id, _)| bounded.contains(*id))
        {
            let Some(head) = self.heads.get(id) else {
                continue;
            };
            let fits = usize::try_from(after.item_bytes).is_ok_and(|it| it <= RULESET_BYTES_MAX);
            if !fits && after.item_bytes > head.item_bytes {
                return Err(Error::limit(
                    "ruleset_bytes",
                    RULESET_BYTES_MAX,
                    &head.name,
                    format!("the environment would ship more than {RULESET_BYTES_MAX} bytes"),
                ));
            }
        }
        Ok(shipment)
    }

    /// The bodies that are shipped now under the wanted names: read with the flags, or now.
    async fn shipped(&mut self, wanted: &Wanted) -> Result<BTreeMap<ItemName, Vec<u8>>, Error> {
        let (mut shipped, mut unknown) = (BTreeMap::new(), Vec::new());
        for name in wanted.keys() {
            let (environment, kind, key) = name;
            let flag = self.flags.0.get(key).filter(|_| *kind == ItemKind::Flag);
            match flag.and_then(|entry| entry.shipped.as_ref()) {
                Some(items) => {
                    let item = items.get(environment).cloned();
                    shipped.extend(item.map(|item| (name.clone(), item)));
                }
                None => unknown.push(name),
            }
        }
        if unknown.is_empty() {
            return Ok(shipped);
        }
        let rows = sqlx::query!(
            r#"select i.environment_id, i.kind, i.key, i.body as "body!"
               from unnest($1::uuid[], $2::smallint[], $3::text[]) as w(environment_id, kind, key)
               join environment_items i using (environment_id, kind, key)
               where i.body is not null"#,
            &unknown
                .iter()
                .map(|(environment, ..)| *environment)
                .collect::<Vec<_>>(),
            &unknown
                .iter()
                .map(|(_, kind, _)| *kind as i16)
                .collect::<Vec<_>>(),
            &unknown
                .iter()
                .map(|(.., key)| key.clone())
                .collect::<Vec<_>>(),
        )
        .fetch_all(self.connection())
        .await?;
        let named = rows.into_iter().filter_map(|row| {
            let kind = ItemKind::try_from(i32::from(row.kind)).ok()?;
            Some(((row.environment_id, kind, row.key), row.body))
        });
        shipped.extend(named);
        Ok(shipped)
    }
}

impl HeadAfter {
    fn of(head: &super::Head) -> Self {
        Self {
            revision: head.revision,
            item_count: head.item_count,
            item_bytes: head.item_bytes,
        }
    }
}
