//! What a change would do, for `validate_only`.

use std::collections::BTreeSet;

use burgee_proto::admin::v1::Preview;
use burgee_proto::sync::v1::ItemKind;
use uuid::Uuid;

use super::Change;
use super::ship::Shipment;
use crate::error::Error;

impl Change {
    /// What a change would do; the transaction is then dropped. Environments
    /// that need an approval come with approval policies.
    pub(super) async fn preview(&mut self, shipment: &Shipment) -> Result<Preview, Error> {
        let dependants = self.dependants(shipment).await?;
        let mut warnings = self.warnings.clone();
        if self.operations().is_empty() && shipment.items.is_empty() {
            warnings.push("nothing differs".to_owned());
        }
        Ok(Preview {
            operations: self.operations().to_vec(),
            warnings,
            dependants,
            environments_needing_approval: Vec::new(),
        })
    }

    /// Names of the configurations that reach a changed flag or segment,
    /// directly or through prerequisites.
    async fn dependants(&mut self, shipment: &Shipment) -> Result<Vec<String>, Error> {
        // A part, `{segment}/{number}`, is named by its segment.
        let of_kinds = |kinds: &[ItemKind]| {
            let items = shipment
                .items
                .iter()
                .filter(|item| kinds.iter().any(|kind| item.kind == *kind as i16));
            let key = |key: &str| key.split('/').next().unwrap_or_default().to_owned();
            let named: BTreeSet<(Uuid, String)> = items
                .map(|item| (item.environment, key(&item.key)))
                .collect();
            named.into_iter().unzip()
        };
        let (flag_environments, flags): (Vec<Uuid>, Vec<String>) = of_kinds(&[ItemKind::Flag]);
        let (segment_environments, segments): (Vec<Uuid>, Vec<String>) =
            of_kinds(&[ItemKind::Segment, ItemKind::SegmentPart]);
        let names = sqlx::query_scalar!(
            r#"with recursive reached(environment_id, key) as (
                   select * from unnest($1::uuid[], $2::text[])
                   union
                   select c.environment_id, f.key
                   from unnest($3::uuid[], $4::text[]) as s(environment_id, key)
                   join flag_configs c on c.environment_id = s.environment_id and s.key = any(c.shipped_segments)
                   join flags f on f.id = c.flag_id and f.archived_at is null
                   union
                   select c.environment_id, f.key
                   from reached r
                   join flag_configs c on c.environment_id = r.environment_id and r.key = any(c.prerequisites)
                   join flags f on f.id = c.flag_id and f.archived_at is null
               )
               select 'projects/' || p.key || '/environments/' || e.key || '/flags/' || r.key as "name!"
               from reached r
               join environments e on e.id = r.environment_id
               join projects p on p.id = e.project_id
               where not exists (
                   select from unnest($1::uuid[], $2::text[]) as changed(environment_id, key)
                   where changed.environment_id = r.environment_id and changed.key = r.key
               )
               order by 1"#,
            &flag_environments,
            &flags,
            &segment_environments,
            &segments,
        )
        .fetch_all(self.connection())
        .await?;
        Ok(names)
    }
}
