//! UpdateSegmentConfig.

use std::collections::BTreeSet;

use burgee_proto::admin::v1::{
    SegmentConfig, SegmentConfigChange, SegmentKeysChange, UpdateSegmentConfigRequest,
    UpdateSegmentConfigResponse,
};

use super::keys::{self, List};
use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::SegmentConfigName;

const CHANGEABLE: &[&str] = &["included", "excluded", "condition"];

fn name(request: &UpdateSegmentConfigRequest) -> Result<SegmentConfigName, Error> {
    let name = request
        .segment_config
        .as_ref()
        .map_or("", |config| &config.name);
    SegmentConfigName::parse("segment_config.name", name)
}

#[tonic::async_trait]
impl Mutation for UpdateSegmentConfigRequest {
    mutation_fields!(UpdateSegmentConfigResponse, etag in segment_config);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Environment(name(self)?.environment()))
    }

    async fn apply(&self, change: &mut Change) -> Result<UpdateSegmentConfigResponse, Error> {
        let name = name(self)?;
        let (environment, stored) = change.load_segment_config(&name).await?;
        stored.demand_etag(&name, &change.common.etag)?;
        let update = self.segment_config.clone().unwrap_or_default();
        keys::check("segment_config.included", &update.included)?;
        keys::check("segment_config.excluded", &update.excluded)?;

        // The lists as they are, so that a mask leaves alone what it does not name.
        let mut before = stored.message.clone();
        let list = |excluded| List {
            environment,
            segment: stored.id,
            excluded,
        };
        before.included = keys::all(change.connection(), list(false)).await?;
        before.excluded = keys::all(change.connection(), list(true)).await?;
        let mask = self.update_mask.as_ref();
        let after = change
            .app
            .descriptors
            .merge(&before, &update, mask, CHANGEABLE)?;
        let operation = difference(before, after);
        change.apply_to_segment_config(&name, operation).await?;
        Ok(UpdateSegmentConfigResponse {
            segment_config: Some(change.show_segment_config(&name).await?),
            ..UpdateSegmentConfigResponse::default()
        })
    }
}

fn difference(before: SegmentConfig, after: SegmentConfig) -> SegmentConfigChange {
    let minus = |left: &[String], right: &[String]| {
        let right: BTreeSet<&String> = right.iter().collect();
        left.iter()
            .filter(|key| !right.contains(key))
            .cloned()
            .collect()
    };
    let keys = SegmentKeysChange {
        included_added: minus(&after.included, &before.included),
        included_removed: minus(&before.included, &after.included),
        excluded_added: minus(&after.excluded, &before.excluded),
        excluded_removed: minus(&before.excluded, &after.excluded),
    };
    let condition = |config: SegmentConfig| SegmentConfig {
        condition: config.condition,
        ..SegmentConfig::default()
    };
    SegmentConfigChange {
        before: Some(condition(before)),
        after: Some(condition(after)),
        keys: Some(keys),
    }
}
