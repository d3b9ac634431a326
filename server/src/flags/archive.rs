//! ArchiveFlag and RestoreFlag.

use burgee_proto::admin::v1::{
    ArchiveFlagRequest, ArchiveFlagResponse, Flag, FlagChange, RestoreFlagRequest,
    RestoreFlagResponse,
};
use prost_types::Timestamp;

use crate::change::scope::Scope;
use crate::change::{Change, Mutation, mutation_fields};
use crate::error::Error;
use crate::names::FlagName;
use crate::stored::timestamp;

#[tonic::async_trait]
impl Mutation for ArchiveFlagRequest {
    mutation_fields!(ArchiveFlagResponse, etag);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Project(
            FlagName::parse("name", &self.name)?.project(),
        ))
    }

    async fn apply(&self, change: &mut Change) -> Result<ArchiveFlagResponse, Error> {
        let now = timestamp(change.now());
        // Archived twice is archived when it was first.
        let flag = set_archived(change, &self.name, |before| before.or(Some(now))).await?;
        Ok(ArchiveFlagResponse {
            flag: Some(flag),
            ..ArchiveFlagResponse::default()
        })
    }
}

#[tonic::async_trait]
impl Mutation for RestoreFlagRequest {
    mutation_fields!(RestoreFlagResponse, etag);

    fn scope(&self) -> Result<Scope, Error> {
        Ok(Scope::Project(
            FlagName::parse("name", &self.name)?.project(),
        ))
    }

    async fn apply(&self, change: &mut Change) -> Result<RestoreFlagResponse, Error> {
        let flag = set_archived(change, &self.name, |_| None).await?;
        Ok(RestoreFlagResponse {
            flag: Some(flag),
            ..RestoreFlagResponse::default()
        })
    }
}

async fn set_archived(
    change: &mut Change,
    name: &str,
    archived: impl FnOnce(Option<Timestamp>) -> Option<Timestamp> + Send,
) -> Result<Flag, Error> {
    let name = FlagName::parse("name", name)?;
    let etag = change.common.etag.clone();
    let entry = change.load_flag(&name.flag, &name).await?;
    let stored = entry
        .definition
        .before
        .as_ref()
        .ok_or_else(|| Error::not_found(&name))?;
    stored.check_etag(&name, &etag)?;
    let before = stored.message.clone();
    let after = Flag {
        archive_time: archived(before.archive_time),
        ..before.clone()
    };
    let operation = FlagChange {
        before: Some(before),
        after: Some(after),
    };
    change.apply_to_flag(&name, operation).await?;
    change.show_flag(&name)
}
