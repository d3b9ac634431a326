//! AddSegmentKeys and RemoveSegmentKeys.

use burgee_proto::admin::v1::{
    AddSegmentKeysRequest, AddSegmentKeysResponse, RemoveSegmentKeysRequest,
    RemoveSegmentKeysResponse, SegmentKeysChange, SegmentList,
};

use super::keys::{self, List};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::SegmentConfigName;

/// The most keys of one call.
const KEYS_A_CALL_MAX: usize = 10_000;

#[tonic::async_trait]
impl Mutation for AddSegmentKeysRequest {
    mutation_fields!(AddSegmentKeysResponse, etag);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Environment(
            SegmentConfigName::parse("name", &self.name)?.environment(),
        ))
    }

    async fn apply(&self, change: &mut Change) -> Result<AddSegmentKeysResponse, Error> {
        let name = SegmentConfigName::parse("name", &self.name)?;
        let list = list(change, &name, self.list(), &self.keys).await?;
        let present = keys::present(change.connection(), list, &self.keys).await?;
        let added: Vec<String> = self
            .keys
            .iter()
            .filter(|key| !present.contains(*key))
            .cloned()
            .collect();
        let mut operation = SegmentKeysChange::default();
        if list.excluded {
            operation.excluded_added = added;
        } else {
            operation.included_added = added;
        }
        change.apply_to_segment_keys(&name, operation).await?;
        Ok(AddSegmentKeysResponse {
            segment_config: Some(change.show_segment_config(&name).await?),
            ..AddSegmentKeysResponse::default()
        })
    }
}

#[tonic::async_trait]
impl Mutation for RemoveSegmentKeysRequest {
    mutation_fields!(RemoveSegmentKeysResponse, etag);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Environment(
            SegmentConfigName::parse("name", &self.name)?.environment(),
        ))
    }

    async fn apply(&self, change: &mut Change) -> Result<RemoveSegmentKeysResponse, Error> {
        let name = SegmentConfigName::parse("name", &self.name)?;
        let list = list(change, &name, self.list(), &self.keys).await?;
        let present = keys::present(change.connection(), list, &self.keys).await?;
        let removed: Vec<String> = present.into_iter().collect();
        let mut operation = SegmentKeysChange::default();
        if list.excluded {
            operation.excluded_removed = removed;
        } else {
            operation.included_removed = removed;
        }
        change.apply_to_segment_keys(&name, operation).await?;
        Ok(RemoveSegmentKeysResponse {
            segment_config: Some(change.show_segment_config(&name).await?),
            ..RemoveSegmentKeysResponse::default()
        })
    }
}

async fn list(
    change: &mut Change,
    name: &SegmentConfigName,
    list: SegmentList,
    keys: &[String],
) -> Result<List, Error> {
    let excluded = match list {
        SegmentList::Included => false,
        SegmentList::Excluded => true,
        SegmentList::Unspecified => {
            let description = "give SEGMENT_LIST_INCLUDED or SEGMENT_LIST_EXCLUDED";
            return Err(Error::invalid("list", description));
        }
    };
    if keys.is_empty() || keys.len() > KEYS_A_CALL_MAX {
        return Err(Error::invalid(
            "keys",
            format!("give 1 to {KEYS_A_CALL_MAX} keys"),
        ));
    }
    keys::check("keys", keys)?;
    let etag = change.common.etag.clone();
    let (environment, stored) = change.load_segment_config(name).await?;
    stored.check_etag(name, &etag)?;
    Ok(List {
        environment,
        segment: stored.id,
        excluded,
    })
}
